"""How the command line reaches a running server: its address and the caller's token. Light: every verb starts here."""

from domain.errors import Refused
from mesh.lock import running_server
from mesh.settings import Settings

TOKEN_FILE = "token"  # noqa: S105  # a file name


def server_url(settings: Settings) -> str | None:
    """Return where the server of these settings listens, None when none runs."""
    server = running_server(settings.home)
    return settings.url or (server.url if server is not None else None)


def local_token(settings: Settings) -> str:
    """Return the caller's token. Raises Refused with what to do when there is none."""
    if settings.token is not None:
        return settings.token.get_secret_value()
    path = settings.home / TOKEN_FILE
    if not path.exists():
        raise Refused(f"no token: set OPSMESH_TOKEN, or start a server on {settings.home}", reason="no_token")
    return path.read_text(encoding="utf-8").strip()
