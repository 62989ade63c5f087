"""A world with data, the backup service over it, and the hands to jump in time, ask, step and damage."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from domain.command_kinds import CATALOGUE
from domain.ids import PLATFORM, EnvironmentId, PrincipalId, TenantId
from domain.runtime_api import OperationRecord, Progress
from domain.tenancy import Residency
from mesh.time import OsEntropy, UlidIds, VirtualClock
from runtime import state
from runtime.meaning import operation_meaning
from runtime.parts import RuntimeParts
from runtime.planes import Planes
from runtime.ports import Asked
from runtime.scope import TenantView
from runtime.services.backup.operators import operators
from runtime.services.backup.points import Points
from runtime.services.backup.schedule import Schedule
from runtime.simulator.demo import demo_world
from runtime.simulator.world import World
from runtime.stores.simulated import SimulatedStores
from runtime.targets.simulated import SimulatedTarget
from storage.engine import Database
from storage.tables.runtime import create_runtime_tables

PROD = EnvironmentId("prod")
ACME = TenantId("acme-retail")
BOREALIS = TenantId("borealis-media")
CINDER = TenantId("cinder-logistics")


class Told:
    def __init__(self):
        self.events = []

    def tell(self, tenant, event):
        self.events.append((tenant, event))


@dataclass
class BackupPlace:
    world: World
    parts: RuntimeParts
    folder: Path
    asked: int = 0

    @property
    def plane(self):
        return self.parts.planes.stores

    @property
    def points(self):
        return Points(self.parts)

    def live(self, **span):
        """Jump on: what the applications committed meanwhile is made when somebody looks."""
        self.world.elapsed_s += timedelta(**span).total_seconds()
        self.parts.clock.move_to(self.world.now)

    def restarted(self):
        """The same place after a crash: new objects over the same files."""
        planes = Planes(stores=SimulatedStores(self.world, self.folder / "stores"))
        database = Database(self.parts.database.url)
        parts = RuntimeParts(
            database,
            self.parts.clock,
            self.parts.ids,
            self.parts.entropy,
            SimulatedTarget(self.world),
            planes,
            self.parts.home,
            self.parts.tell,
        )
        return BackupPlace(self.world, parts, self.folder, self.asked)

    def view(self, tenant=PLATFORM):
        from runtime.simulator import readers

        return TenantView(tenant, readers.topology(self.world), self.world.spec.tenants)

    def asks(self, kind, by=PLATFORM, **arguments):
        """Return what is asked for, as the door would frame it."""
        self.asked += 1
        meaning = operation_meaning(kind, CATALOGUE[kind].arguments.model_validate(arguments), PROD)
        with self.parts.database.read() as connection:
            desired = state.current(connection, PROD)
        return Asked(meaning, by, PROD, self.view(by), desired, self.parts.clock.now(), f"key-{self.asked}")

    async def accepted(self, kind, by=PLATFORM, **arguments):
        """Plan an operation and return its record, accepted and not begun."""
        asked = self.asks(kind, by, **arguments)
        await operators(self.parts)[kind].plan(asked)
        return OperationRecord(
            id=f"op-{self.asked}",
            tenant=by,
            environment=PROD,
            idempotency_key=asked.key,
            kind=kind,
            target=asked.meaning.target.address,
            arguments=asked.meaning.arguments,
            actor=PrincipalId("ana"),
            accepted_at=self.parts.clock.now(),
            progress=Progress(status="accepted", fraction=0.0),
        )

    async def step(self, record):
        """One step, thirty seconds later, by objects made anew for it."""
        progress = await operators(self.restarted().parts)[record.kind].step(record)
        self.live(seconds=30)
        return record.model_copy(update={"progress": progress})

    async def done(self, record):
        """Step until it ends; return the record."""
        for _ in range(20):
            if record.ended:
                return record
            record = await self.step(record)
        raise AssertionError(f"{record.kind} does not end: {record.progress}")

    async def point(self, tenant=ACME, **arguments):
        """Take a point and return its manifest."""
        record = await self.done(await self.accepted("restore_point.create", tenant=tenant, **arguments))
        assert record.progress.status == "done", record.progress
        return self.points.find(PROD, tenant, record.id)

    async def drill(self, point):
        """Try a point; return the operation and the manifest afterwards."""
        record = await self.done(await self.accepted("restore.drill", restore_point=point.id, tenant=point.tenant))
        return record, self.points.find(PROD, point.tenant, point.id)

    def archive(self, point, store, suffix="db"):
        return self.parts.home / "vault" / point.region / point.tenant / point.id / f"{store}.{suffix}.sealed"

    async def contents(self, tenant, seq=None):
        """Return every store's rows of a tenant at one cut."""
        seq = (await self.plane.barrier(tenant)).seq if seq is None else seq
        return {s.id: await self.plane.content(s.id, tenant, seq) for s in await self.plane.stores(tenant)}

    @property
    def schedule(self):
        return Schedule(self.parts)

    async def scheduled(self, schedule=None):
        """Let the schedule take its turns, a second apart, until nothing is left of the round; return how many."""
        schedule = schedule or self.schedule
        for turn in range(1, 100):
            await schedule.turn()
            if not schedule._left:
                return turn
            self.live(seconds=1)
        raise AssertionError("the schedule does not come to an end")


async def backup_place(folder: Path, *, days=0.15, residency=None) -> BackupPlace:
    """A demo world that has been written to for some days. `residency` maps tenants to other allowed regions."""
    spec = demo_world().model_copy(update={"retention_steps": 60})
    if residency:
        bound = tuple(
            b.model_copy(update={"residency": Residency(allowed_regions=residency[b.tenant])})
            if b.tenant in residency
            else b
            for b in spec.tenants
        )
        spec = spec.model_copy(update={"tenants": bound})
    world = World(spec, seed=3)
    database = Database(f"sqlite:///{folder / 'runtime.db'}")
    create_runtime_tables(database.engine)
    clock = VirtualClock(world.now)
    with database.begin() as connection:
        state.register(connection, PROD, spec.tenants, world.environment_state(), at=clock.now())
    parts = RuntimeParts(
        database,
        clock,
        UlidIds(clock, seed=1),
        OsEntropy(),
        SimulatedTarget(world),
        Planes(stores=SimulatedStores(world, folder / "stores")),
        folder / "runtime",
        Told(),
    )
    place = BackupPlace(world, parts, folder)
    place.live(days=days)
    return place
