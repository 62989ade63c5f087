"""A composed mesh over the demo world, warmed up once a process, with people in it and parts that can fail."""

import functools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from sqlalchemy import func, select

from domain.commands import CommandRecord, State
from domain.decisions import DecideResult
from domain.errors import OpsmeshError
from domain.ports import Clock, CrashPoints
from evals.crash_cases import (
    APPROVER,
    NARROWER,
    NEW_VERSION,
    PROPOSER,
    SERVICE,
    TENANT,
    proposal_of,
)
from governance.ballots import Answer
from grounding.vectors import MemoryVectors
from mesh.composition import Mesh, Parts, compose
from mesh.crash import NO_CRASH
from mesh.simulation import Simulation
from mesh.telemetry import in_memory
from mesh.time import UlidIds, VirtualClock
from runtime.simulator import actuators
from runtime.simulator.demo import demo_world
from runtime.simulator.record import launch
from runtime.simulator.world import World
from storage.engine import Database
from storage.tables.runtime import effects

WARM_UP = timedelta(hours=2, minutes=30)


@functools.cache
def _warmed() -> World:
    world = launch(demo_world(), 5)
    world.advance(world.now + WARM_UP)
    world.journal.drain(world.elapsed_s)
    return world


@dataclass
class Composed:
    """The mesh, its world and its clock."""

    mesh: Mesh
    world: World
    clock: VirtualClock
    simulation: Simulation

    async def proposed(self, kind: str = "service.rollback", **changed: object) -> CommandRecord:
        proposal = proposal_of(kind).model_copy(update=changed)
        return await self.mesh.submission.submit(proposal, key=f"test-{kind}")

    def approve(self, record: CommandRecord, **changed: object) -> DecideResult:
        answer = Answer(TENANT, record.command.id, record.digest, APPROVER, "approve", "api")
        return self.mesh.governed.approvals.decide(replace(answer, **changed))

    async def approved(self, kind: str = "service.rollback") -> CommandRecord:
        record = await self.proposed(kind)
        assert record.state is State.AWAITING_APPROVAL, record.reason
        self.approve(record)
        return self.read(record)

    def read(self, record: CommandRecord) -> CommandRecord:
        return self.mesh.governed.commands.get(record.command.tenant, record.command.id)

    def effects(self) -> int:
        """What the world counted under anybody's key, and what the ledger has: they must agree."""
        counted = sum(count for key, count in self.world.effects.items() if "@" not in key)
        with self.mesh.parts.runtime_database.read() as connection:
            ledger = connection.execute(select(func.count()).select_from(effects)).scalar_one()
        assert counted == ledger
        return counted

    async def start(self, record: CommandRecord) -> CommandRecord | OpsmeshError:
        """Let the executor try once; what stops it is returned."""
        try:
            return await self.mesh.loop.executor.start(record)
        except OpsmeshError as error:
            return error

    def audited(self, record: CommandRecord) -> list[str]:
        lines = self.mesh.governed.audit.read(record.command.tenant, subject=record.command.id)
        return [line.record.action for line in lines]


Wrap = Callable[[Clock], Clock]


@asynccontextmanager
async def composed(
    folder: Path,
    *,
    crash: CrashPoints = NO_CRASH,
    database: type[Database] = Database,
    runtime_database: type[Database] = Database,
    wrap_clock: Wrap = lambda clock: clock,
    spec_autonomy: str | None = None,
    kept: World | None = None,
    loops: tuple[str, ...] = (),
) -> AsyncIterator[Composed]:
    """A mesh over a copy of the warmed-up world, closed at the end. With `kept` it goes on in a folder left before."""
    world = deepcopy(_warmed() if kept is None else kept)
    if spec_autonomy is not None:
        tenants = tuple(t.model_copy(update={"autonomy": spec_autonomy}) for t in world.spec.tenants)
        world.spec = world.spec.model_copy(update={"tenants": tenants})
    clock = VirtualClock(world.now)
    seen = wrap_clock(clock)
    telemetry, _, _ = in_memory(seed=1)
    parts = Parts(
        home=folder, database=database(f"sqlite:///{folder / 'opsmesh.db'}"),
        runtime_database=runtime_database(f"sqlite:///{folder / 'runtime.db'}"), clock=seen,
        ids=UlidIds(clock, seed=1 if kept is None else 2), telemetry=telemetry, crash=crash, vectors=MemoryVectors(),
        loops=loops,
    )  # fmt: skip
    mesh = compose(parts, world)
    await mesh.register(world)
    if kept is None:
        await _people_and_versions(mesh, world)
    try:
        yield Composed(mesh, world, clock, Simulation(world, clock, mesh.log, mesh.reconcile, mesh.loop.step))
    finally:
        await mesh.close()


async def _people_and_versions(mesh: Mesh, world: World) -> None:
    actuators.write_externally(world, ("services", SERVICE, "version"), NEW_VERSION, "releases")
    await mesh.runtime.services.reconcile()
    for person in (PROPOSER, NARROWER, APPROVER):
        mesh.principals.ensure(person)
