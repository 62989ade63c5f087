"""A runtime over a random world for the cost cases: the real store, service and worker, and a clock that can be led."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path

from domain.changes import Patch
from domain.desired import apply_patches
from domain.events import IncomingEvent
from domain.findings import Act, Finding
from domain.ids import CommandId, PrincipalId, TenantId
from mesh.time import OsEntropy, UlidIds, VirtualClock
from runtime import state
from runtime.bills.ports import Billing
from runtime.convergence import Convergence
from runtime.engine.embedded import EmbeddedEngine
from runtime.parts import RuntimeParts
from runtime.planes import Planes
from runtime.services.cost.service import CostService
from runtime.simulator.generator import foreign_laws, random_world
from runtime.simulator.world import World
from runtime.targets.billing import SimulatedBilling
from runtime.targets.simulated import SimulatedTarget
from runtime.workers.cost_anomaly import CostAnomalyWorker
from storage.engine import Database
from storage.tables.runtime import create_runtime_tables

STEP_S = 60
"""A minute a step: replicas and prices, which is all a bill sees, go the same way as at ten seconds."""


class Unheard:
    """Takes events and keeps none."""

    def tell(self, tenant: TenantId, event: IncomingEvent) -> None:
        """Hear nothing."""
        del tenant, event


@lru_cache(maxsize=1)
def lived(seed: int, days: float) -> World:
    """Return a world under foreign laws that has lived for so many days; copy it before changing it."""
    spec = random_world(seed, laws=foreign_laws(seed)).model_copy(
        update={"step_s": STEP_S, "retention_steps": int(3 * 86_400 / STEP_S)}
    )
    world = World(spec, seed)
    world.advance(world.now + timedelta(days=days))
    return world


@dataclass(frozen=True, slots=True)
class CostPlace:
    """A world, the runtime over it, and the two that are measured."""

    world: World
    clock: VirtualClock
    parts: RuntimeParts
    service: CostService
    worker: CostAnomalyWorker
    convergence: Convergence

    async def live(self, minutes: float) -> None:
        """Let the world go on, take its pipelines' writes into the document, and give the service its turn."""
        self.world.advance(self.world.now + timedelta(minutes=minutes))
        self.clock.move_to(self.world.now)
        await self.convergence.reconcile()
        await self.service.turn()

    async def look(self) -> tuple[Finding, ...]:
        """Return what the worker finds now."""
        return await self.worker.look(self.parts, self.world.spec.environment)

    async def do(self, act: Act) -> None:
        """Let a command take effect as a granted one does: a version with its key, which the target follows."""
        environment, at = self.world.spec.environment, self.clock.now()
        await self.convergence.absorb(environment)
        patches = _patches(act)
        with self.parts.database.begin() as connection:
            before = state.current(connection, environment)
            after = apply_patches(before, patches, command=CommandId("c"), at=at)
            state.append(connection, after, actor=PrincipalId("executor"), key=f"k-{after.version}", at=at)
        await self.convergence.follow(environment)


def cost_place(world: World, folder: Path, books: Callable[[World], Billing] = SimulatedBilling) -> CostPlace:
    """Open a runtime over a copy of the world; `books` makes its billing plane."""
    folder.mkdir(parents=True, exist_ok=True)
    own = deepcopy(world)
    clock, database = VirtualClock(own.now), Database(f"sqlite:///{folder / 'runtime.db'}")
    create_runtime_tables(database.engine)
    parts = RuntimeParts(
        database=database, clock=clock, ids=UlidIds(clock, seed=1), entropy=OsEntropy(), target=SimulatedTarget(own),
        planes=Planes(billing=books(own)), home=folder, tell=Unheard(),
    )  # fmt: skip
    with database.begin() as connection:
        state.register(connection, own.spec.environment, own.spec.tenants, own.environment_state(), at=clock.now())
    engine = EmbeddedEngine(parts.target, clock)
    convergence = Convergence(database, clock, engine, parts.target, {})
    return CostPlace(own, clock, parts, CostService(parts), CostAnomalyWorker(), convergence)


def _patches(act: Act) -> tuple[Patch, ...]:
    """What the kinds write that the worker proposes."""
    said = dict(act.arguments)
    match act.kind:
        case "node_pool.change_sku":
            return (Patch(op="set", path=("node_pools", str(said["node_pool"]), "sku"), value=said["sku"]),)
        case "scaling_policy.update":
            return (Patch(op="set", path=("services", str(said["service"]), "scaling"), value=said["policy"]),)
        case "node_pool.scale":
            return (
                Patch(op="set", path=("node_pools", str(said["node_pool"]), "node_count"), value=said["node_count"]),
            )
        case _:
            service = str(said.pop("service"))
            return tuple(Patch(op="set", path=("services", service, k), value=v) for k, v in said.items())
