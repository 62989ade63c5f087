"""How large a request body may be, held before anything parses it."""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtime.api.problems import problem

MAX_BODY_BYTES = 256 * 1024
"""Fifty patches of full configuration values (4 KiB each) fit."""


class BodyLimit:
    """ASGI middleware: a declared length over the limit is answered at once, an undeclared one is cut off."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "0")
        if not declared.isdecimal() or int(declared) > MAX_BODY_BYTES:
            await problem(413, f"the body is larger than {MAX_BODY_BYTES} bytes", "too_large")(scope, receive, send)
            return
        await self._app(scope, _counted(receive), send)


def _counted(receive: Receive) -> Receive:
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > MAX_BODY_BYTES:
            raise HTTPException(413)
        return message

    return counted
