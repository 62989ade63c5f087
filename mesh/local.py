"""A mesh over the state folder itself, for whoever holds its lock: the server, or a verb where none runs."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import BinaryIO

import httpx
from pydantic import JsonValue

from agents.llm import OpenAIChat
from agents.reasoner import ModelReasoner
from agents.skeleton import Reasoner
from domain.ids import PrincipalId, TenantId
from domain.principals import EventSourceKey
from grounding import knowledge_rows
from grounding.embeddings import HashedNgrams
from grounding.event_log import EventLog
from grounding.ingest import ingest_lines
from grounding.knowledge import KnowledgeIndex
from grounding.vectors import ChromaVectors
from mesh.lock import exclusive
from mesh.remote import TOKEN_FILE, local_token
from mesh.serving import local_client
from mesh.settings import Settings
from mesh.simulation import WARM_UP, Choices, SimulatedMesh, open_simulated
from mesh.telemetry import over_otlp
from mesh.time import SystemClock, UlidIds
from runtime.simulator import faults
from runtime.simulator.demo import demo_world
from runtime.simulator.faults import Draw
from runtime.simulator.record import Record, record
from runtime.simulator.twin import Twin
from storage.engine import Database

WORLD_FILE = "world.json"
DEFAULT_MODEL_URL = "https://api.openai.com/v1"
DEFAULT_SEED = 7


@asynccontextmanager
async def connected(settings: Settings) -> AsyncGenerator[httpx.AsyncClient]:
    """Yield a client of Opsmesh's API over the local store, whose lock is held meanwhile."""
    settings.ensure_home()
    with exclusive(settings.home):
        simulated = await open_local(settings, seed=DEFAULT_SEED, lived=False)
        async with local_client(simulated.mesh, local_token(settings)) as client:
            yield client
        await simulated.mesh.close()


async def open_local(settings: Settings, *, seed: int, lived: bool = True) -> SimulatedMesh:
    """Open the mesh of the state folder over its embedded world; the first start makes the administrator's token.

    A new world's clock is the present, so that outside events are neither late nor from the future. A world that was
    lived in before is lived through again from its record. Without `lived` it stands still at its start: enough to
    look at the store and to propose.
    """
    settings.ensure_home()
    known = _record(settings)
    choices = Choices(
        rehearsal=Twin(), store_url=settings.store_url, runtime_store_url=settings.runtime_store_url,
        telemetry=over_otlp(settings.otlp_endpoint) if settings.otlp_endpoint else None, reasoner=_reasoner(settings),
        resume=known if lived else None, warm_up=WARM_UP if lived else timedelta(),
        loopback_receivers=settings.loopback_receivers,
    )  # fmt: skip
    start = SystemClock().now().replace(second=0, microsecond=0) - choices.warm_up
    simulated = await open_simulated(settings.home, demo_world(start=start), seed, choices)
    if not lived and known is not None:
        simulated.clock.move_to(known.spec.start + timedelta(seconds=known.elapsed_s))
    issued = simulated.mesh.principals.bootstrap()
    if issued is not None:
        path = settings.home / TOKEN_FILE
        path.touch(mode=0o600)
        path.write_text(issued.token, encoding="utf-8")
    return simulated


def drawn_fault(simulated: SimulatedMesh, name: str, seed: int) -> Draw:
    """Choose target and size of a fault for the embedded world. Raises NotFound with the names there are."""
    return faults.draw(simulated.world, name, seed)


def keep_record(settings: Settings, simulated: SimulatedMesh) -> None:
    """Write the world's record, so that the next start goes on where this one stopped."""
    part = settings.home / (WORLD_FILE + ".part")
    part.write_text(record(simulated.world).model_dump_json(), encoding="utf-8")
    part.replace(settings.home / WORLD_FILE)


def _record(settings: Settings) -> Record | None:
    path = settings.home / WORLD_FILE
    return Record.model_validate_json(path.read_text(encoding="utf-8")) if path.exists() else None


def _reasoner(settings: Settings) -> Reasoner | None:
    """Return the model's place where a key is set; without one the code's word stands alone."""
    if settings.openai_api_key is None:
        return None
    chat = OpenAIChat(
        base_url=settings.openai_base_url or DEFAULT_MODEL_URL, api_key=settings.openai_api_key.get_secret_value(),
        model=settings.model,
    )  # fmt: skip
    return ModelReasoner(chat)


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
