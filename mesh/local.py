"""How the command line reaches a mesh: the running server, or the store itself under its exclusive lock."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx

from domain.errors import Refused
from mesh.lock import exclusive, running_server
from mesh.serving import local_client
from mesh.settings import Settings
from mesh.simulation import Choices, SimulatedMesh, open_simulated
from runtime.simulator.demo import demo_world
from runtime.simulator.twin import Twin

TOKEN_FILE = "token"  # noqa: S105  # a file name
DEFAULT_SEED = 7


@asynccontextmanager
async def connected(settings: Settings) -> AsyncGenerator[httpx.AsyncClient]:
    """Yield a client of Opsmesh's API: the server's if one runs, else one over the locked local store."""
    server = running_server(settings.home)
    url = settings.url or (server.url if server is not None else None)
    if url is not None:
        headers = {"Authorization": f"Bearer {local_token(settings)}"}
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30.0) as client:
            yield client
        return
    settings.ensure_home()
    with exclusive(settings.home):
        simulated = await open_local(settings, seed=DEFAULT_SEED)
        async with local_client(simulated.mesh, local_token(settings)) as client:
            yield client
        await simulated.mesh.close()


async def open_local(settings: Settings, *, seed: int, choices: Choices | None = None) -> SimulatedMesh:
    """Open the mesh of the state folder over its embedded world; the first start makes the administrator's token."""
    settings.ensure_home()
    simulated = await open_simulated(settings.home, demo_world(), seed, choices or Choices(rehearsal=Twin()))
    issued = simulated.mesh.principals.bootstrap()
    if issued is not None:
        path = settings.home / TOKEN_FILE
        path.touch(mode=0o600)
        path.write_text(issued.token, encoding="utf-8")
    return simulated


def local_token(settings: Settings) -> str:
    """Return the caller's token. Raises Refused with what to do when there is none."""
    if settings.token is not None:
        return settings.token.get_secret_value()
    path = settings.home / TOKEN_FILE
    if not path.exists():
        raise Refused(f"no token: set OPSMESH_TOKEN, or start a server on {settings.home}", reason="no_token")
    return path.read_text(encoding="utf-8").strip()
