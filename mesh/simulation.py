"""Drives a simulated world and the loop together in virtual time: the demo's, the tests' and the evals' engine.

Each round moves the world, delivers what its platform tells to intake (late, twice or in flaps, as it comes), then
lets the loop take one step. The loop sees the world only through intake and readers.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from agents.skeleton import Reasoner
from domain.events import IncomingEvent
from domain.ids import TenantId
from domain.ports import CrashPoints, Rehearsal
from domain.tenancy import AutonomyLevel
from grounding.event_log import EventLog
from grounding.vectors import Vectors
from mesh.composition import Mesh, Parts, compose
from mesh.crash import NO_CRASH
from mesh.internal import platform_sender
from mesh.investigation import Redirect, as_proposed
from mesh.on_call import Approver, OnCall
from mesh.stages import Watcher, nobody
from mesh.telemetry import Telemetry, in_memory
from mesh.time import UlidIds, VirtualClock
from runtime.simulator.record import Record, launch, rebuild
from runtime.simulator.spec import WorldSpec
from runtime.simulator.world import World
from storage.engine import Database

ROUND = timedelta(seconds=30)
"""How often the loop looks: half the shortest hold of an alert."""
WARM_UP = timedelta(hours=3, minutes=30)
"""What a world lives through before the loop looks at it: the baseline of an evidence pack, and half an hour."""


async def nobody_answers() -> None:
    """Nobody is on call: what waits for a person goes on waiting."""


@dataclass(frozen=True, slots=True)
class Simulation:
    """A world, its clock and the loop over it."""

    world: World
    clock: VirtualClock
    log: EventLog
    reconcile: Callable[[], Awaitable[object]]
    """The runtime's own turn: overrides end, platform teams' writes are taken in, lagging targets follow."""
    step: Callable[[], Awaitable[None]]
    people: Callable[[], Awaitable[None]] = nobody_answers
    """Whoever is on call looks at what waits for an answer."""

    async def run(self, until: datetime, *, stop: Callable[[], bool] = lambda: False, loop: bool = True) -> None:
        """Advance to an instant, or until `stop` says so after a round. Without `loop` only the world moves."""
        while self.world.now < until and not stop():
            self.world.advance(min(self.world.now + ROUND, until))
            self.clock.move_to(self.world.now)
            self.deliver()
            await self.reconcile()
            if loop:
                await self.step()
                await self.people()

    def deliver(self) -> int:
        """Hand what the world's platform sent to intake, each tenant's events under its own credential."""
        by_tenant: dict[TenantId, list[IncomingEvent]] = {}
        due = self.world.journal.drain(self.world.elapsed_s)
        for sent in due:
            by_tenant.setdefault(sent.tenant, []).append(sent.event)
        for tenant, events in by_tenant.items():
            self.log.accept(platform_sender(tenant), events)
        return len(due)


@dataclass(frozen=True, slots=True)
class Choices:
    """What may differ between simulated runs."""

    autonomy: AutonomyLevel | None = None
    """Override of every binding's level; None keeps them. `act` asks nobody about what policy lets run unattended; what
    policy wants people asked about (unknown predictions, several tenants, high risk) still waits for a person."""
    approver: Approver | None = None
    """Who answers what waits for a person; None means that nobody does."""
    watcher: Watcher = nobody
    rehearsal: Rehearsal | None = None
    redirect: Redirect = as_proposed
    crash: CrashPoints = NO_CRASH
    warm_up: timedelta = WARM_UP
    """What a new world lives through first; zero opens it as it is, for looking only."""
    vectors: Vectors | None = None
    store_url: str | None = None
    """Opsmesh's own store; None means SQLite in the folder."""
    runtime_store_url: str | None = None
    telemetry: Telemetry | None = None
    """Where our own spans go; None keeps them in memory, with repeatable ids."""
    reasoner: Reasoner | None = None
    resume: Record | None = None
    """A world that was lived in before, to be lived in further."""
    world: World | None = None
    """A world that somebody else warmed up and also has a hand in: it is taken as it is."""
    loops: tuple[str, ...] | None = None
    """Names of the runtime's services and workers whose control loops run; None means all."""
    loopback_receivers: bool = False
    """Whether feedback may go to this machine."""


@dataclass(frozen=True, slots=True)
class SimulatedMesh:
    """A mesh over a world, with the engine that drives both."""

    mesh: Mesh
    world: World
    clock: VirtualClock
    simulation: Simulation


async def open_simulated(home: Path, spec: WorldSpec, seed: int, choices: Choices) -> SimulatedMesh:
    """Start or resume a world and put a mesh over it. A new world is repeatable per seed."""
    world = _world(spec, seed, choices)
    clock = VirtualClock(world.now)
    parts = Parts(
        home=home, database=Database(choices.store_url or f"sqlite:///{home / 'opsmesh.db'}"),
        runtime_database=Database(choices.runtime_store_url or f"sqlite:///{home / 'runtime.db'}"), clock=clock,
        ids=UlidIds(clock, seed=None if choices.resume else seed),
        telemetry=choices.telemetry or in_memory(seed=seed)[0], crash=choices.crash, watcher=choices.watcher,
        rehearsal=choices.rehearsal, reasoner=choices.reasoner, redirect=choices.redirect, vectors=choices.vectors,
        loops=choices.loops, loopback_receivers=choices.loopback_receivers,
    )  # fmt: skip
    mesh = compose(parts, world)
    await mesh.register(world)
    people = nobody_answers
    if choices.approver is not None:
        on_call = OnCall(mesh, choices.approver)
        on_call.introduce()
        people = on_call.answer
    simulation = Simulation(world, clock, mesh.log, mesh.reconcile, mesh.loop.step, people)
    return SimulatedMesh(mesh, world, clock, simulation)


def _world(spec: WorldSpec, seed: int, choices: Choices) -> World:
    if choices.resume is not None:
        return rebuild(choices.resume)
    if choices.world is not None:
        return choices.world
    if (level := choices.autonomy) is not None:
        tenants = tuple(t.model_copy(update={"autonomy": level}) for t in spec.tenants)
        spec = spec.model_copy(update={"tenants": tenants})
    world = launch(spec, seed)
    world.advance(world.now + choices.warm_up)
    world.journal.drain(world.elapsed_s)
    return world
