"""How large a request body may be, held before anything parses it.

A declared length over the limit is answered without reading a byte; an undeclared or understated one is cut off at the
limit. Paths that count for themselves (intake, which records what it refuses) are named with a limit of their own.
"""

from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import problem

DEFAULT_BODY_BYTES = 1024 * 1024
"""1 MiB: a command's arguments are a few hundred bytes; the largest honest body is a batch of approvals."""


class BodyLimit:
    """ASGI middleware. `paths` maps prefixes to their limit in bytes, None where the route counts by itself."""

    def __init__(
        self, app: ASGIApp, default: int = DEFAULT_BODY_BYTES, paths: Sequence[tuple[str, int | None]] = ()
    ) -> None:
        self._app = app
        self._default = default
        self._paths = sorted(paths, key=lambda row: -len(row[0]))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit = self._limit(scope)
        if limit is None:
            await self._app(scope, receive, send)
            return
        if _declared(scope) > limit:
            answer = problem(413, _detail(limit), reason="too_large")
            await answer(scope, receive, send)
            return
        await self._app(scope, _counted(receive, limit), send)

    def _limit(self, scope: Scope) -> int | None:
        if scope["type"] != "http":
            return None
        path: str = scope["path"]
        return next((limit for prefix, limit in self._paths if path.startswith(prefix)), self._default)


def _detail(limit: int) -> str:
    return f"the body is larger than {limit} bytes"


def _declared(scope: Scope) -> int:
    text = Headers(scope=scope).get("content-length", "0")
    return int(text) if text.isascii() and text.isdigit() else 0


def _counted(receive: Receive, limit: int) -> Receive:
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise HTTPException(413, _detail(limit))  # the one exception FastAPI lets through while it reads a body
        return message

    return counted
