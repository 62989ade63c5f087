"""A passage to another application under a path of the same server, with its routes' full paths left as they are."""

from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send


class Passage(BaseRoute):
    """Hands every HTTP request below a prefix over, untouched: authentication and errors are the other's."""

    def __init__(self, prefix: str, app: ASGIApp) -> None:
        self._prefix, self._app = prefix.rstrip("/") + "/", app

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Take what lies below the prefix."""
        below = scope["type"] == "http" and str(scope["path"]).startswith(self._prefix)
        return (Match.FULL if below else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request over."""
        await self._app(scope, receive, send)
