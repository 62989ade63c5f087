"""Calls to Opsmesh's API from a verb: one connection, clear errors, JSON out."""

import asyncio
from collections.abc import Mapping

from pydantic import JsonValue, TypeAdapter

from domain.errors import Invalid, NotFound, OpsmeshError, Refused, Unavailable
from domain.problems import Problem

_JSON: TypeAdapter[JsonValue] = TypeAdapter(JsonValue)
TIMEOUT_S = 30.0
"""Longer than the store's busy timeout (15 s): a queued write is answered."""
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

    from mesh.remote import local_token, server_url
    from mesh.settings import read_settings

    settings = read_settings()
    url = server_url(settings)
    try:
        if url is None:
            from mesh.local import connected

            async with connected(settings) as client:
                answer = await client.request(method, path, json=body, params=params, headers=headers)
        else:
            bearer = {"Authorization": f"Bearer {local_token(settings)}"}
            async with httpx.AsyncClient(base_url=url, headers=bearer, timeout=TIMEOUT_S) as client:
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
