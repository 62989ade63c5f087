"""The frame of every write: `dryRun`, `Idempotency-Key` and `If-Match` mean the same wherever something is changed.

A dry run does all the work, keeps nothing and answers in the same form. A key means one request of one caller: the
same again is answered again, not done again. What an endpoint takes itself it answers for itself: a proposal's key is
its command's.
"""

import json
import logging
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, ClassVar, get_type_hints

from fastapi import Depends, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from fastapi.security.utils import get_authorization_scheme_param
from pydantic import BaseModel, JsonValue, TypeAdapter, ValidationError
from starlette.exceptions import HTTPException

from api.auth import Authenticator
from api.ports import ApiServices
from domain.base import digest_of
from domain.errors import Conflict, Invalid, OpsmeshError, OutcomeUnknown, Refused, Unauthenticated, Unavailable
from domain.idempotency import KeptAnswer, KeyClaim
from domain.ids import CommandId
from domain.principals import READING_ROLES, EventSourceKey, Principal, Reach

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
STOPS = ("POST /v1/kill-switches",)
"""Writes that no key holds up: they take effect every time, and twice does no harm."""
VERSIONED: tuple[tuple[str, Callable[[ApiServices, Reach, str], int]], ...] = (
    ("command", lambda services, reach, name: services.commands.find(reach, CommandId(name)).version),
    ("plan", lambda services, reach, name: services.plans.find(reach, name).version),
)
"""Path parameters that name what has a version. Everything else is refused an If-Match."""
DRY_RUN_HEADER = "Opsmesh-Dry-Run"
_KEPT_HEADERS = ("content-type", "location", "etag")
_LOG = logging.getLogger(__name__)
_FLAG = TypeAdapter(bool)
IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")]
_KEY = TypeAdapter(IdempotencyKey)
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def unkeyed_frame(
    if_match: Annotated[str | None, Header(max_length=40)] = None,
    dry_run: Annotated[bool, Query(alias="dryRun")] = False,  # noqa: FBT002  # a query parameter
) -> None:
    """Publish and check what `WriteRoute` reads before anything is done."""
    del if_match, dry_run


def frame(_rest: Annotated[None, Depends(unkeyed_frame)], idempotency_key: IdempotencyKey = None) -> None:
    """Publish and check the same with an idempotency key."""
    del idempotency_key


class WriteRoute(APIRoute):
    """A route whose writes keep the promises of the frame; reads pass through."""

    keyed: ClassVar[bool] = True

    def __init__(self, path: str, endpoint: Callable[..., object], **options: Any) -> None:  # noqa: ANN401  # APIRoute's own, handed on
        if WRITES & set(options.get("methods") or ()):
            told = Depends(frame if self.keyed else unkeyed_frame)
            options["dependencies"] = [*(options.get("dependencies") or ()), told]
            model = get_type_hints(endpoint).get("return")
            if options.get("status_code") in {201, 202} and isinstance(model, type) and issubclass(model, BaseModel):
                rehearsed = {"model": model, "description": "Dry run"}
                options["responses"] = {**(options.get("responses") or {}), 200: rehearsed}
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Handler:
        """Return the handler with the frame around it."""
        handle = super().get_route_handler()
        return self._framed(handle) if WRITES & set(self.methods or ()) else handle

    def _framed(self, handle: Handler) -> Handler:
        own = {field.alias.lower() for field in (*self.dependant.header_params, *self.dependant.query_params)}
        rehearses, keyed = "dryrun" not in own, self.keyed and "idempotency-key" not in own

        async def framed(request: Request) -> Response:
            await run_in_threadpool(_check_version, request)
            if _is_dry(request):
                services: ApiServices = request.app.state.services
                with services.rehearsal():
                    response = await handle(request)
                return _rehearsed(response) if rehearses else response
            if keyed and f"{request.method} {self.path_format}" not in STOPS:
                return await _once(request, handle)
            return await handle(request)

        return framed


class IntakeRoute(WriteRoute):
    """A way in for events and telemetry: what is sent has an id of its own, and the same id again changes nothing."""

    keyed: ClassVar[bool] = False


async def _once(request: Request, handle: Handler) -> Response:
    """Do what was asked under a key once; without a key, or without a caller, it is the handler's matter."""
    claim = await _claim_of(request)
    if claim is None:
        return await handle(request)
    services: ApiServices = request.app.state.services
    known = await run_in_threadpool(services.answers.claim, claim)
    if known is not None:
        return Response(known.body, known.status, known.headers)
    try:
        response = await handle(request)
    except (OpsmeshError, RequestValidationError, HTTPException) as error:
        if _changed_nothing(error):
            await run_in_threadpool(_release, services, claim)
        raise
    headers = {name: value for name, value in response.headers.items() if name in _KEPT_HEADERS}
    answer = KeptAnswer(status=response.status_code, headers=headers, body=bytes(response.body).decode())
    await run_in_threadpool(_keep, services, claim, answer)
    return response


def _changed_nothing(error: Exception) -> bool:
    """Tell whether an error is a refusal, or a part that did not answer, of which transactions leave nothing."""
    known = (Refused, Invalid, Unavailable, RequestValidationError, HTTPException)
    return isinstance(error, known) and not isinstance(error, OutcomeUnknown)


def _release(services: ApiServices, claim: KeyClaim) -> None:
    try:
        services.answers.release(claim)
    except Unavailable:
        _LOG.warning("a refused request keeps its idempotency key", exc_info=True)


def _keep(services: ApiServices, claim: KeyClaim, answer: KeptAnswer) -> None:
    """Keep the answer; what was done is done, so a store that fails now costs the repetition, not the answer."""
    try:
        services.answers.keep(claim, answer)
    except Unavailable:
        _LOG.warning("an answer could not be kept under its idempotency key", exc_info=True)


def _is_dry(request: Request) -> bool:
    """Tell whether it is a dry run; what cannot be read as a yes or no is refused with the other parameters."""
    try:
        return _FLAG.validate_python(request.query_params.get("dryRun", "false"))
    except ValidationError:
        return True


async def _claim_of(request: Request) -> KeyClaim | None:
    key = request.headers.get("idempotency-key")
    caller = None if key is None else await run_in_threadpool(_caller, request)
    if key is None or caller is None:
        return None
    who, token = caller
    try:
        _KEY.validate_python(key)
        body: JsonValue = json.loads(await request.body() or b"null")
        query: list[JsonValue] = [f"{name}={value}" for name, value in sorted(request.query_params.multi_items())]
        asked: list[JsonValue] = [request.method, request.url.path, query]
        return KeyClaim(holder=who.id, key=key, request=digest_of([asked, body]), secret=token)
    except (ValueError, RecursionError):
        return None  # the route itself says what is wrong with it, before it does anything


def _caller(request: Request) -> tuple[Principal | EventSourceKey, str] | None:
    scheme, token = get_authorization_scheme_param(request.headers.get("authorization"))
    authenticator: Authenticator = request.app.state.authenticator
    try:
        who = authenticator.authenticate(token) if scheme.lower() == "bearer" else None
    except Unauthenticated:
        return None
    return None if who is None else (who, token)


def _check_version(request: Request) -> None:
    """Hold a request to its If-Match. Raises Conflict, and NotFound for what is out of the caller's reach."""
    wanted = request.headers.get("if-match")
    caller = None if wanted is None else _caller(request)
    if wanted is None or caller is None:
        return
    for name, version in VERSIONED:
        named = request.path_params.get(name)
        if named is not None and isinstance(who := caller[0], Principal):
            found = version(request.app.state.services, who.reach(READING_ROLES), str(named))
            if wanted.strip() not in {"*", f'"{found}"'}:
                raise Conflict("it is at another version", reason="version_mismatch")
            return
    raise Conflict("nothing here has a version that If-Match could name", reason="no_version")


def _rehearsed(response: Response) -> Response:
    """Return the answer of a dry run: as it would have been, without a token, since none counts."""
    body, form = bytes(response.body), response.headers.get("content-type", "")
    said: JsonValue = json.loads(body) if body and form.startswith("application/json") else None
    if isinstance(said, dict) and "token" in said:
        body = json.dumps(said | {"token": ""}).encode()
    headers = {name: value for name, value in response.headers.items() if name == "content-type"}
    status = 200 if response.status_code == 201 else response.status_code
    return Response(body, status, headers | {DRY_RUN_HEADER: "true"})
