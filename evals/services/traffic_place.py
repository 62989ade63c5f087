"""A runtime over a random world for the traffic cases: real document, controller and judge, versions drawn by seed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from domain.changes import Patch
from domain.desired import apply_patches
from domain.events import IncomingEvent
from domain.ids import CommandId, PrincipalId, TenantId
from domain.policies import ReleasePolicy, TrafficPolicy
from domain.releases import ENDED, ReleaseState
from mesh.time import OsEntropy, UlidIds, VirtualClock
from runtime import state
from runtime.convergence import Convergence
from runtime.engine.embedded import EmbeddedEngine
from runtime.parts import RuntimeParts
from runtime.planes import Planes
from runtime.ports import TrafficPlane
from runtime.services.traffic.controller import RELEASES, ReleaseController
from runtime.simulator.faults.targets import scalable
from runtime.simulator.generator import foreign_laws, random_world
from runtime.simulator.live import Traits
from runtime.simulator.world import World
from runtime.targets.simulated import SimulatedTarget
from runtime.targets.traffic import SimulatedTraffic
from storage.engine import Database
from storage.tables.runtime import create_runtime_tables

TURN = timedelta(seconds=30)
CANDIDATE = "v9.9.0"


@dataclass(slots=True)
class Heard:
    """Keeps what the controller tells."""

    events: list[IncomingEvent] = field(default_factory=list[IncomingEvent])

    def tell(self, tenant: TenantId, event: IncomingEvent) -> None:
        """Keep an event."""
        del tenant
        self.events.append(event)


@dataclass(slots=True)
class TrafficPlace:
    """A world, the runtime over it, and the controller that is measured."""

    world: World
    clock: VirtualClock
    parts: RuntimeParts
    controller: ReleaseController
    convergence: Convergence
    heard: Heard
    service: str

    async def write(self, *path: str, value: object) -> None:
        """Let a patch take effect as a granted one does."""
        environment, at = self.world.spec.environment, self.clock.now()
        patch = Patch.model_validate({"op": "set", "path": ("services", self.service, *path), "value": value})
        with self.parts.database.begin() as connection:
            before = state.current(connection, environment)
            after = apply_patches(before, [patch], command=CommandId("c"), at=at)
            state.append(connection, after, actor=PrincipalId("executor"), key=f"k-{after.version}", at=at)
        await self.convergence.follow(environment)

    async def release(self, plan: ReleasePolicy) -> None:
        """Approve a release."""
        await self.write("traffic", value=TrafficPolicy(release=plan).model_dump(mode="json"))

    async def live(self, minutes: float, *, until: Callable[["TrafficPlace"], bool] = lambda _: False) -> None:
        """Let the world, the target and the controller go on, half a minute at a time."""
        ends = self.world.now + timedelta(minutes=minutes)
        while self.world.now < ends and not until(self):
            self.world.advance(self.world.now + TURN)
            self.clock.move_to(self.world.now)
            await self.convergence.reconcile()
            await self.controller.turn()

    @property
    def standing(self) -> ReleaseState:
        """Where the release stands."""
        with self.parts.database.read() as connection:
            found = RELEASES.list(connection, self.world.spec.environment)
        return next(d.body for d in found if d.body.service == self.service)

    def candidate_served(self) -> float:
        """Requests that the candidate truly served, from the world's own books."""
        kept = self.world.traffic.splits.kept.get(self.service, ())
        step_s = float(self.world.spec.step_s)
        return sum(s.rate * step_s for step in kept for s in step.served if s.version == CANDIDATE)

    def requests(self) -> float:
        """All requests to the service since the release began."""
        kept = self.world.traffic.splits.kept.get(self.service, ())
        return sum(s.rate * float(self.world.spec.step_s) for step in kept for s in step.served)


def over(place: TrafficPlace) -> bool:
    """Whether the release has ended."""
    try:
        return place.standing.phase in ENDED
    except StopIteration:
        return False


def traffic_place(
    seed: int, folder: Path, traits: Traits, measures: Callable[[World], TrafficPlane] = SimulatedTraffic
) -> TrafficPlace:
    """Open a runtime over a world that has lived for an hour; the candidate of its busiest service behaves as told."""
    folder.mkdir(parents=True, exist_ok=True)
    world = World(random_world(seed, services=16, laws=foreign_laws(seed)), seed)
    world.advance(world.now + timedelta(hours=1))
    rate = world.plant.graph.push_down(world.demand.base, world.prepared.calls, world.state.accepted)
    service = max(scalable(world), key=lambda s: float(rate[world.layout.columns(s)].sum()))
    world.live.traits[service, CANDIDATE] = traits
    clock, database = VirtualClock(world.now), Database(f"sqlite:///{folder / 'runtime.db'}")
    create_runtime_tables(database.engine)
    heard = Heard()
    parts = RuntimeParts(
        database=database, clock=clock, ids=UlidIds(clock, seed=1), entropy=OsEntropy(), target=SimulatedTarget(world),
        planes=Planes(traffic=measures(world)), home=folder, tell=heard,
    )  # fmt: skip
    with database.begin() as connection:
        state.register(
            connection, world.spec.environment, world.spec.tenants, world.environment_state(), at=clock.now()
        )
    convergence = Convergence(database, clock, EmbeddedEngine(parts.target, clock), parts.target, {})
    return TrafficPlace(world, clock, parts, ReleaseController(parts), convergence, heard, service)
