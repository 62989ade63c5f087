"""Where recovery is measured: the demo world with its loop and two people on call, and what may be done to it."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType

from domain.errors import Broken, Refused
from domain.findings import FindingRecord
from domain.ids import EnvironmentId, TenantId
from domain.plans import PLAN_TERMINAL, PlanRecord, PlanState
from domain.ports import Entropy
from grounding.vectors import MemoryVectors
from mesh import composition
from mesh.embedded import EmbeddedRuntime
from mesh.on_call import ON_CALL
from mesh.simulation import Choices, SimulatedMesh, open_simulated
from runtime.findings import FINDINGS, RESOLVED
from runtime.parts import RuntimeParts
from runtime.planes import Planes, offered
from runtime.regions.ports import RegionPlace, Regions, Room, Says, Testimony
from runtime.services.recovery.failover import FAILOVERS, Failover
from runtime.simulator.demo import demo_world
from runtime.simulator.faults.base import Draw
from runtime.simulator.faults.regions import REGION_LOSS
from runtime.simulator.spec import WorldSpec
from runtime.simulator.world import World
from runtime.stores.ports import DataPlane
from runtime.targets.planes import simulated_planes

WARM_UP = timedelta(hours=3)
ROUND = timedelta(seconds=30)
Wrap = Callable[[Planes], Planes]


def as_is(planes: Planes) -> Planes:
    """Leave the planes as they are."""
    return planes


@contextmanager
def patched(module: ModuleType | type, name: str, value: object) -> Generator[None]:
    """Damage one name of a module or a class for a while: how a break is planted."""
    held: object = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, held)


@dataclass(frozen=True, slots=True)
class Told:
    """Regions of which one witness or more say what they are told to say, whatever they see."""

    regions: Regions
    says: Callable[[Testimony], Says]

    async def places(self) -> tuple[RegionPlace, ...]:
        """Return the places as they are."""
        return await self.regions.places()

    async def testimonies(self) -> tuple[Testimony, ...]:
        """Return what the witnesses say now."""
        return tuple(replace(t, says=self.says(t)) for t in await self.regions.testimonies())

    async def room(self, region: str) -> Room:
        """Return the room as it is."""
        return await self.regions.room(region)


@dataclass(slots=True)
class Recovery:
    """A running world."""

    held: SimulatedMesh
    lost_at: datetime | None = None

    @property
    def world(self) -> World:
        """The world."""
        return self.held.world

    @property
    def environment(self) -> EnvironmentId:
        """Its environment."""
        return EnvironmentId(self.world.spec.environment)

    @property
    def parts(self) -> RuntimeParts:
        """What the runtime's services are made over."""
        runtime = self.held.mesh.runtime
        if not isinstance(runtime, EmbeddedRuntime):
            raise Broken("the runtime is not embedded", reason="not_embedded")
        return runtime.services.parts

    @property
    def stores(self) -> DataPlane:
        """The data stores behind it."""
        return offered(self.parts.planes.stores, "data stores")

    def region(self, name: str, *, up: bool) -> None:
        """Lose a region, or let it come back."""
        draw = Draw(fault="region_loss", entity=f"region/{name}", names={"region": name})
        (REGION_LOSS.undo if up else REGION_LOSS.inject)(self.world, draw)
        self.lost_at = self.lost_at or self.world.now

    async def live(self, lasts: timedelta, *, answer: bool = True, until: Callable[[], bool] = lambda: False) -> None:
        """Let time pass; people approve what plans wait for an answer."""
        end = self.world.now + lasts
        while self.world.now < end and not until():
            await self.held.simulation.run(min(self.world.now + ROUND, end))
            for plan in self.plans() if answer else ():
                await self._approve(plan)

    async def _approve(self, plan: PlanRecord) -> None:
        for person in ON_CALL if plan.standing is PlanState.AWAITING_APPROVAL else ():
            try:
                await self.held.mesh.loop.planning.answer(plan, plan.digest, person, "approve", "api")
            except Refused:
                return

    def plans(self) -> tuple[PlanRecord, ...]:
        """Return every plan so far."""
        return self.held.mesh.governed.plans.list("*")

    def ended(self, count: int = 1) -> bool:
        """Tell whether so many plans have ended."""
        return sum(plan.standing in PLAN_TERMINAL for plan in self.plans()) >= count

    def findings(self, kind: str) -> tuple[FindingRecord, ...]:
        """Return the findings of a kind, resolved ones too."""
        with self.held.mesh.parts.runtime_database.read() as connection:
            found = [*FINDINGS.list(connection, self.environment), *RESOLVED.list(connection, self.environment)]
        return tuple(d.body for d in found if d.body.finding.kind == kind)

    def failovers(self) -> tuple[Failover, ...]:
        """Return every switch so far, by term."""
        with self.held.mesh.parts.runtime_database.read() as connection:
            found = FAILOVERS.list(connection, self.environment)
        return tuple(sorted((d.body for d in found), key=lambda f: f.term))

    async def acknowledged(self) -> dict[str, set[tuple[str, int]]]:
        """Return (tenant, commit) by store as its primary's own log has them."""
        tenants = [TenantId(b.tenant) for b in self.world.spec.tenants]
        found: dict[str, set[tuple[str, int]]] = {}
        for store in {s.id: s for t in tenants for s in await self.stores.stores(t)}:
            head = (await self.stores.commit_head(store)).seq
            found[store] = {
                (tenant, entry.seq) for tenant in tenants for entry in await self.stores.log(store, tenant, 0, head)
            }
        return found

    async def close(self) -> None:
        """Close the mesh."""
        await self.held.mesh.close()


async def opened(seed: int, home: Path, *, wrap: Wrap = as_is, spec: WorldSpec | None = None) -> Recovery:
    """Open the demo world, only the recovery worker running beside the loop."""

    def planes(world: World, folder: Path, entropy: Entropy) -> Planes:
        return wrap(simulated_planes(world, folder, entropy))

    home.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240  # a case runs alone
    choices = Choices(vectors=MemoryVectors(), warm_up=WARM_UP, loops=("disaster_recovery",))
    with patched(composition, "simulated_planes", planes):
        held = await open_simulated(home, spec or demo_world(), seed, choices)
    for person in ON_CALL:
        held.mesh.principals.ensure(person)
    return Recovery(held)


def at_home(spec: WorldSpec, tenant: str) -> WorldSpec:
    """Return the world with one tenant's residency narrowed to its primary region."""
    tenants = tuple(
        b.model_copy(update={"residency": b.residency.model_copy(update={"allowed_regions": (b.primary_region,)})})
        if b.tenant == tenant
        else b
        for b in spec.tenants
    )
    return spec.model_copy(update={"tenants": tenants})
