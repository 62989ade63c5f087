"""The one way to the runtime API: bounded, retried where that is safe, with errors of ours only.

Reads are retried. A write is repeated only when it surely was not received; when its answer is lost the outcome is
unknown, and whoever called asks by idempotency key instead of trying again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import httpx
from pydantic import TypeAdapter, ValidationError
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_exponential

from domain.base import Frozen
from domain.errors import (
    Broken,
    Conflict,
    Invalid,
    NotFound,
    OpsmeshError,
    OutcomeUnknown,
    Refused,
    Unauthenticated,
    Unavailable,
)
from domain.ids import PLATFORM, TenantId
from domain.problems import Problem

T = TypeVar("T")
Params = Mapping[str, str | Sequence[str]]


class Limits(Frozen):
    """Bounds of every call."""

    time_s: float = 20.0
    """Longer than the store's busy timeout (15 s), so that a queued write is answered."""
    output_bytes: int = 32 * 1024 * 1024
    """The API's own bound of samples as JSON, with room."""
    input_bytes: int = 256 * 1024
    """The API's own bound of a body."""
    attempts: int = 3
    """Reads, and writes that were surely not received."""


class Answer(Frozen):
    """Status, headers that matter and the body of a good answer."""

    status: int
    location: str | None
    body: bytes


class _NotReceived(Unavailable):
    """The request surely did not reach the runtime."""


class _TooLarge(Invalid):
    """The answer was cut off; what it answered may have happened."""


Pause = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class RuntimeClient:
    """Calls of one principal for one tenant. `for_tenant` gives another tenant's view over the same connection."""

    http: httpx.AsyncClient
    token: str = field(repr=False)
    tenant: TenantId = PLATFORM
    limits: Limits = field(default_factory=Limits)
    pause: Pause = asyncio.sleep

    def for_tenant(self, tenant: TenantId) -> "RuntimeClient":
        """Return a client that acts for another tenant."""
        return replace(self, tenant=tenant)

    async def read(self, path: str, shape: TypeAdapter[T], params: Params | None = None) -> T:
        """GET and parse. Raises NotFound, Refused, Invalid, Unavailable."""
        answer = await self._retried(lambda: self._call("GET", path, params=params, headers={}))
        return _parse(shape, answer)

    async def write(
        self,
        method: str,
        path: str,
        body: Frozen,
        *,
        key: str,
        grant: str,
        trace: str | None = None,
    ) -> Answer:
        """Send a granted write. Raises OutcomeUnknown when the answer was lost or says nothing certain."""
        headers = {"Idempotency-Key": key, "Opsmesh-Grant": grant}
        if trace is not None:
            headers["traceparent"] = trace
        try:
            return await self._retried(
                lambda: self._call(method, path, body=body, headers=headers), again=_surely_not_received
            )
        except _NotReceived:
            raise
        except (Unavailable, _TooLarge) as error:
            raise OutcomeUnknown(str(error), reason="outcome_unknown") from error

    async def preview(self, method: str, path: str, body: Frozen, shape: TypeAdapter[T]) -> T:
        """Send a dry run, which has no effect and is retried like a read."""
        answer = await self._retried(lambda: self._call(method, path, params={"dryRun": "true"}, body=body, headers={}))
        return _parse(shape, answer)

    async def _retried(
        self, call: Callable[[], Awaitable[Answer]], again: Callable[[BaseException], bool] | None = None
    ) -> Answer:
        retrying = AsyncRetrying(
            sleep=self.pause,
            stop=stop_after_attempt(self.limits.attempts),
            wait=wait_exponential(multiplier=0.1, max=2.0),
            retry=retry_if_exception(again or _unavailable),
            reraise=True,
        )

        async def once() -> Answer:
            return await call()

        return await retrying(once)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        params: Params | None = None,
        body: Frozen | None = None,
    ) -> Answer:
        content = None if body is None else body.model_dump_json(exclude_defaults=True).encode()
        if content is not None and len(content) > self.limits.input_bytes:
            raise Invalid("the request is larger than the runtime takes", reason="input_limit")
        request = self.http.build_request(
            method,
            path,
            params=params,
            content=content,
            headers={
                "Authorization": f"Bearer {self.token}",
                "Opsmesh-Tenant": self.tenant,
                "Content-Type": "application/json",
                **headers,
            },
        )
        try:
            # The deadline is ours: transports in one process know none.
            async with asyncio.timeout(self.limits.time_s):
                return await self._send(request)
        except TimeoutError as error:
            raise Unavailable("the runtime did not answer in time", reason="timeout") from error
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise _NotReceived("the runtime cannot be reached", reason="unreachable") from error
        except httpx.TransportError as error:
            raise Unavailable("the connection to the runtime was lost", reason="connection_lost") from error

    async def _send(self, request: httpx.Request) -> Answer:
        response = await self.http.send(request, stream=True)
        try:
            content = bytearray()
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > self.limits.output_bytes:
                    raise _TooLarge("the answer is larger than this tool takes", reason="output_limit")
        finally:
            await response.aclose()
        if response.is_success:
            return Answer(status=response.status_code, location=response.headers.get("Location"), body=bytes(content))
        raise _error(response.status_code, bytes(content))


_FAMILIES: dict[int, type[OpsmeshError]] = {
    400: Invalid,
    401: Unauthenticated,
    403: Refused,
    404: NotFound,
    409: Conflict,
    412: Conflict,
    413: Invalid,
    422: Invalid,
    429: _NotReceived,
}


def _error(status: int, body: bytes) -> OpsmeshError:
    """Translate an error answer; what no table names is unavailable on 5xx and broken else."""
    family = _FAMILIES.get(status, Unavailable if status >= 500 else Broken)
    try:
        problem = Problem.model_validate_json(body)
    except ValidationError:
        return family(f"the runtime answered {status}", reason=f"http_{status}")
    return family(problem.detail, reason=problem.reason)


def _unavailable(error: BaseException) -> bool:
    return isinstance(error, Unavailable)


def _surely_not_received(error: BaseException) -> bool:
    return isinstance(error, _NotReceived)


def _parse(shape: TypeAdapter[T], answer: Answer) -> T:
    try:
        return shape.validate_json(answer.body)
    except ValidationError as error:
        raise Broken("the runtime's answer does not fit its schema", reason="answer_malformed") from error
