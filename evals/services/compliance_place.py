"""A runtime over a random world for the compliance cases: real document, worker and controls; proposals carried out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import JsonValue

from domain.changes import PatchPath
from domain.commands import Proposal
from domain.compliance import ComplianceFinding, ControlSet
from domain.desired import apply_patches, read_path
from domain.events import IncomingEvent
from domain.findings import Finding
from domain.ids import PLATFORM, CommandId, PrincipalId, TenantId
from domain.plans import PlanWindow
from governance.policy import PolicySet
from mesh.time import OsEntropy, UlidIds, VirtualClock
from runtime import state
from runtime.convergence import Convergence
from runtime.engine.embedded import EmbeddedEngine
from runtime.findings import standing
from runtime.parts import RuntimeParts
from runtime.planes import Planes
from runtime.services.compliance.posture import posture
from runtime.simulator.spec import WorldSpec
from runtime.simulator.world import World
from runtime.targets.simulated import SimulatedTarget
from runtime.worker_runner import WorkerRunner
from runtime.workers.compliance_drift import ComplianceDriftWorker
from storage.engine import Database
from storage.tables.runtime import create_runtime_tables

TURN = timedelta(seconds=30)


@dataclass(slots=True)
class Taken:
    """Takes what the worker tells and proposes."""

    proposals: list[Proposal] = field(default_factory=list[Proposal])
    events: list[tuple[TenantId, IncomingEvent]] = field(default_factory=list[tuple[TenantId, IncomingEvent]])

    async def propose(self, proposal: Proposal, *, idempotency_key: str) -> str:
        """Take a proposal."""
        self.proposals.append(proposal)
        return f"/commands/{idempotency_key}"

    async def propose_plan(
        self,
        proposals: Sequence[Proposal],
        *,
        window: PlanWindow,
        compensate_in: Sequence[int] | None,
        idempotency_key: str,
    ) -> str:
        """Take a plan's proposals."""
        del window, compensate_in
        self.proposals += proposals
        return f"/plans/{idempotency_key}"

    def tell(self, tenant: TenantId, event: IncomingEvent) -> None:
        """Take an event."""
        self.events.append((tenant, event))


@dataclass(slots=True)
class CompliancePlace:
    """A world, the runtime over it, and the worker that is measured. `controls` may be exchanged at any time."""

    world: World
    clock: VirtualClock
    parts: RuntimeParts
    convergence: Convergence
    runner: WorkerRunner
    taken: Taken
    controls: list[ControlSet]

    async def live(self, minutes: float) -> None:
        """Let the world, the target and the worker go on, half a minute at a time."""
        ends = self.world.now + timedelta(minutes=minutes)
        while self.world.now < ends:
            self.world.advance(self.world.now + TURN)
            self.clock.move_to(self.world.now)
            await self.convergence.reconcile()
            await self.runner.turn()

    def open(self) -> tuple[tuple[Finding, datetime], ...]:
        """Return what stands, and since when it was seen."""
        with self.parts.database.read() as connection:
            kept = standing(connection, self.world.spec.environment)
        return tuple((record.finding, record.first_seen) for record in kept.values())

    async def failing(self) -> tuple[ComplianceFinding, ...]:
        """Return what the live posture fails."""
        found = await posture(self.parts, self.world.spec.environment, PLATFORM)
        return tuple(f for c in found.states[1].controls for f in c.findings if not f.passed)

    async def write(self, control: str, resource: str) -> bool:
        """Carry the remedy of one finding out as a granted command would; False where it has none."""
        finding = next((f for f in await self.failing() if (f.control, f.resource) == (control, resource)), None)
        if finding is None or not finding.remedy:
            return False
        environment, at = self.world.spec.environment, self.clock.now()
        with self.parts.database.begin() as connection:
            before = state.current(connection, environment)
            after = apply_patches(before, finding.remedy, command=CommandId("c"), at=at)
            state.append(connection, after, actor=PrincipalId("executor"), key=f"k-{after.version}", at=at)
        await self.convergence.follow(environment)
        return True

    def held(self, path: PatchPath) -> JsonValue:
        """Return what runs at a path."""
        return read_path(self.world.environment_state().model_dump(mode="json"), path)


def shipped() -> ControlSet:
    """Return the shipped controls."""
    controls = PolicySet.load().controls
    if controls is None:
        msg = "the shipped policy set has controls"
        raise AssertionError(msg)
    return controls


def without(controls: ControlSet, name: str) -> ControlSet:
    """Return the controls as if one had never been written."""
    return controls.model_copy(update={"controls": tuple(c for c in controls.controls if c.id != name)})


async def compliance_place(spec: WorldSpec, seed: int, folder: Path, controls: ControlSet) -> CompliancePlace:
    """Put the runtime over a new world."""
    world = World(spec, seed)
    world.advance(world.now + TURN)
    clock, target, taken, held = VirtualClock(world.now), SimulatedTarget(world), Taken(), [controls]
    database = Database(f"sqlite:///{folder / 'runtime.db'}")
    create_runtime_tables(database.engine)
    parts = RuntimeParts(
        database=database, clock=clock, ids=UlidIds(clock, seed=seed), entropy=OsEntropy(), target=target,
        planes=Planes(), home=folder, tell=taken, controls=lambda: held[0],
    )  # fmt: skip
    with database.begin() as connection:
        base = await target.live(spec.environment)
        state.register(connection, spec.environment, spec.tenants, base, at=clock.now())
    return CompliancePlace(
        world=world, clock=clock, parts=parts, taken=taken, controls=held,
        convergence=Convergence(database, clock, EmbeddedEngine(target, clock), target, {}),
        runner=WorkerRunner(parts, taken, workers=(ComplianceDriftWorker(),)),
    )  # fmt: skip
