"""Calls to Opsmesh's API from a verb: one connection, clear errors, JSON out."""

import asyncio
from collections.abc import Mapping

from pydantic import JsonValue, TypeAdapter

from domain.errors import Invalid, NotFound, OpsmeshError, Refused, Unavailable
from domain.problems import Problem

_JSON: TypeAdapter[JsonValue] = TypeAdapter(JsonValue)
_FAMILIES: Mapping[int, type[OpsmeshError]] = {401: Refused, 403: Refused, 404: NotFound, 503: Unavailable}


def call(
    method: str,
    path: str,
    *,
    body: JsonValue = None,
    params: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JsonValue:
    """Call the server, or the locked local store, and return the JSON answer. Raises the family of a problem answer."""
    return asyncio.run(_call(method, path, body, params or {}, headers or {}))


async def _call(
    method: str, path: str, body: JsonValue, params: Mapping[str, str], headers: Mapping[str, str]
) -> JsonValue:
    import httpx

    from mesh.local import connected
    from mesh.settings import read_settings

    try:
        async with connected(read_settings()) as client:
            answer = await client.request(method, path, json=body, params=params, headers=headers)
    except httpx.TransportError as error:
        raise Unavailable(f"the server does not answer: {error}", reason="server_gone") from error
    if answer.status_code >= 400:
        raise _problem(answer.status_code, answer.content)
    return _JSON.validate_json(answer.content) if answer.content else None


def _problem(status: int, content: bytes) -> OpsmeshError:
    try:
        told = Problem.model_validate_json(content)
    except ValueError:
        return Unavailable(f"the server answered {status}", reason="server_error")
    fields = "".join(f"\n  {field.where}: {field.what}" for field in told.fields)
    family = _FAMILIES.get(status, Invalid if status < 500 else Unavailable)
    return family(told.detail + fields, reason=told.reason)
