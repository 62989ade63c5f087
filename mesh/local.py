"""How the command line reaches a mesh: the running server, or the store itself under its exclusive lock."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import BinaryIO

import httpx
from pydantic import JsonValue

from domain.errors import Refused
from domain.ids import PrincipalId, TenantId
from domain.principals import EventSourceKey
from grounding import knowledge_rows
from grounding.embeddings import HashedNgrams
from grounding.event_log import EventLog
from grounding.ingest import ingest_lines
from grounding.knowledge import KnowledgeIndex
from grounding.vectors import ChromaVectors
from mesh.lock import exclusive, running_server
from mesh.serving import local_client
from mesh.settings import Settings
from mesh.simulation import Choices, SimulatedMesh, open_simulated
from mesh.time import SystemClock, UlidIds
from runtime.simulator.demo import demo_world
from runtime.simulator.twin import Twin
from storage.engine import Database

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


async def ingest_file(
    settings: Settings, stream: BinaryIO, tenant: str, told: Callable[[int], None]
) -> dict[str, JsonValue]:
    """Take JSON lines into the local store as one tenant's untrusted file; returns how each line ended."""
    settings.ensure_home()
    with exclusive(settings.home):
        database = Database(settings.store_url)
        database.create()
        clock = SystemClock()
        sender = EventSourceKey(id=PrincipalId("file"), source="file", tenants=(TenantId(tenant),), trust="untrusted")
        counts = ingest_lines(
            EventLog(database, clock, UlidIds(clock)), sender, stream, progress=lambda p: told(p.bytes_read)
        )
        database.close()
    return {name: getattr(counts, name) for name in ("lines", "accepted", "duplicates", "quarantined")}


async def rebuild_index(settings: Settings, tenant: str | None) -> dict[str, int]:
    """Build the knowledge index of one tenant or all anew from the store."""
    settings.ensure_home()
    with exclusive(settings.home):
        database = Database(settings.store_url)
        database.create()
        index = KnowledgeIndex(database, ChromaVectors(settings.home / "index"), HashedNgrams())
        with database.read() as connection:
            tenants = [TenantId(tenant)] if tenant else list(knowledge_rows.tenants(connection))
        counts = {str(one): index.rebuild(one) for one in tenants}
        database.close()
    return counts
