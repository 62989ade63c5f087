"""Backup and restore: cuts that fit together, bad points found before they are needed, one tenant back beside all."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import inf
from pathlib import Path
from time import perf_counter

from domain.backup import RestorePoint
from domain.base import digest_of
from domain.ids import PLATFORM, PrincipalId, TenantId
from domain.runtime_api import OperationRecord, Progress
from evals.service_cases import Case, Check, Measured
from mesh.time import OsEntropy, UlidIds, VirtualClock
from runtime import state
from runtime.parts import RuntimeParts
from runtime.planes import Planes
from runtime.services.backup.content import Index, index_of
from runtime.services.backup.points import Points, Wanted
from runtime.services.backup.restores import Restores
from runtime.services.backup.vault import Vault
from runtime.simulator.generator import random_world
from runtime.simulator.spec import WorldSpec
from runtime.simulator.world import World
from runtime.stores.load import MEAN_S, drafts
from runtime.stores.order import CommitOrder
from runtime.stores.ports import Content, Key, Replaced
from runtime.stores.simulated import SLOWEST_S, SimulatedStores
from runtime.targets.simulated import SimulatedTarget
from storage.engine import Database
from storage.tables.runtime import create_runtime_tables

LOOKS = 60
"""Instants at which cuts are compared, each within seconds after a commit of the tenant looked at."""
WITHIN = 10
"""Parts of the time that the slowest store takes to follow: looks fall into each of them alike."""


class Nobody:
    """Takes no event: these cases read documents and files."""

    def tell(self, tenant: TenantId, event: object) -> None:
        """Let it go."""


@dataclass(frozen=True, slots=True)
class Place:
    """A drawn world that was written to for six hours, and the service over it."""

    world: World
    parts: RuntimeParts
    plane: SimulatedStores
    points: Points
    tenants: tuple[TenantId, ...]

    def live(self, **span: float) -> None:
        """Jump on; the applications' commits are made when somebody looks."""
        self.world.elapsed_s += timedelta(**span).total_seconds()
        clock = self.parts.clock
        if isinstance(clock, VirtualClock):
            clock.move_to(self.world.now)

    def after_a_commit(self, tenant: TenantId, stores: Sequence[str], seconds: float) -> None:
        """Jump to so many seconds after the tenant's next commit, as its application will make it."""
        now_s = self.world.elapsed_s
        made = drafts(self.world.seed, tenant, stores, now_s, now_s + 10 * MEAN_S)
        self.live(seconds=next(made).at_s + seconds - now_s)

    async def taken(self, tenant: TenantId, name: str) -> RestorePoint:
        """Take a restore point of a tenant."""
        stores = await self.plane.stores(tenant)
        region = next(b.primary_region for b in self.world.spec.tenants if b.tenant == tenant)
        wanted = Wanted(tenant, self.world.spec.environment, stores, complete=True, region=region, retention_days=7)
        point = await self.points.begin(name, wanted, "request")
        while point.status == "taking":
            point = await self.points.advance(point)
        return point

    async def run(self, kind: str, point: RestorePoint, key: str) -> OperationRecord:
        """Drill or restore, a step every thirty seconds."""
        record = OperationRecord.model_validate({
            "id": key, "tenant": PLATFORM, "environment": point.environment, "idempotency_key": key, "kind": kind,
            "target": f"restore_point/{point.id}", "arguments": {"restore_point": point.id, "tenant": point.tenant},
            "actor": PrincipalId("ana"), "accepted_at": self.parts.clock.now(),
            "progress": Progress(status="accepted", fraction=0.0),
        })  # fmt: skip
        while not record.ended:
            record = record.model_copy(update={"progress": await Restores(self.points).step(record)})
            self.live(seconds=30)
        return record


def place(
    seed: int, folder: Path, stores: type[SimulatedStores] = SimulatedStores, points: type[Points] = Points
) -> Place:
    """Return the place of a seed. The world's own physics stand still: only its stores are looked at."""
    world = World(_shared(seed).model_copy(update={"retention_steps": 60}), seed)
    database = Database(f"sqlite:///{folder / 'runtime.db'}")
    create_runtime_tables(database.engine)
    clock, plane = VirtualClock(world.now), stores(world, folder / "stores")
    with database.begin() as connection:
        environment = world.spec.environment
        state.register(connection, environment, world.spec.tenants, world.environment_state(), at=clock.now())
    parts = RuntimeParts(
        database=database, clock=clock, ids=UlidIds(clock, seed=seed), entropy=OsEntropy(),
        target=SimulatedTarget(world), planes=Planes(stores=plane), home=folder / "runtime", tell=Nobody(),
    )  # fmt: skip
    held = {s.tenant for s in world.spec.services if s.id in world.data_stores}
    tenants = tuple(b.tenant for b in world.spec.tenants if b.tenant in held or PLATFORM in held)
    found = Place(world, parts, plane, points(parts), tenants)
    found.live(hours=6)
    return found


def _shared(seed: int) -> WorldSpec:
    """The first world of a seed in which tenants share a store: there it matters whose rows are whose."""
    drawn = (random_world(seed + 1000 * again, services=16, tenants=3) for again in range(50))
    return next(w for w in drawn if any(s.archetype == "database" and s.tenant == PLATFORM for s in w.services))


async def _fits(seed: int, folder: Path, *, heads: bool = False) -> Measured:
    """Compare the money over a tenant's stores at one cut for all, and at each store's own head."""
    here = place(seed, folder)
    placed = {tenant: await here.plane.stores(tenant) for tenant in here.tenants}
    tenants = [tenant for tenant, stores in placed.items() if len(stores) > 1]  # one store alone cannot be torn
    torn = cut = 0
    for look in range(LOOKS):
        tenant = tenants[look % len(tenants)]
        here.after_a_commit(tenant, [s.id for s in placed[tenant]], SLOWEST_S * (look % WITHIN) / WITHIN)
        at_heads: dict[str, Content] = {}
        at_cut: dict[str, Content] = {}
        seq = (await here.plane.barrier(tenant)).seq
        for store in placed[tenant]:
            head = (await here.plane.commit_head(store.id)).seq
            at_heads[store.id] = await here.plane.content(store.id, tenant, head)
            at_cut[store.id] = await here.plane.content(store.id, tenant, head if heads else seq)
        torn += bool(await here.plane.misfits(tenant, at_heads))
        cut += bool(await here.plane.misfits(tenant, at_cut))
    return Measured(
        checks=(
            Check(name="cuts that do not add up", value=cut, bound=0),
            Check(name="copies at the heads that do not add up", value=torn, bound=1, at="least"),
        ),
        figures={"looks": LOOKS, "tenants": len(tenants), "copies_at_the_heads_that_do_not_add_up": torn},
        reference="copying every store as it stands at the instant",
    )


async def _heads(seed: int, folder: Path) -> Measured:
    return await _fits(seed, folder, heads=True)


class Careless(Vault):
    """A vault whose job leaves out one row of every third store, and goes on succeeding."""

    def store(self, point: RestorePoint, store: str, content: Content, index: Index, key: Key) -> bytes:
        """Seal all but a row of the transfers."""
        rows = dict(content["transfers"])
        if _bad(point.id) and rows:
            rows.pop(min(rows))
        return super().store(point, store, {**content, "transfers": rows}, self.held_to(index, rows, content), key)

    def held_to(self, index: Index, rows: dict[str, str], content: Content) -> Index:
        """Return what a trial is held to: the store itself."""
        del rows, content
        return index


class Blind(Careless):
    """The same, with the copy held to itself: the planted break."""

    def held_to(self, index: Index, rows: dict[str, str], content: Content) -> Index:
        """Return the copy's own digests."""
        return index_of({**content, "transfers": rows})


def _bad(name: str) -> bool:
    return int(digest_of(name)[-2:], 16) % 3 == 0


class CarelessPoints(Points):
    """Points over the careless vault."""

    @property
    def vault(self) -> Vault:
        """Return it."""
        return Careless(self.parts.home / "vault", self.parts.entropy)


class BlindPoints(Points):
    """Points over the blind one."""

    @property
    def vault(self) -> Vault:
        """Return it."""
        return Blind(self.parts.home / "vault", self.parts.entropy)


async def _proves(seed: int, folder: Path, points: type[Points] = CarelessPoints) -> Measured:
    """Try points of which some lack a row: those are unproven, the others proven."""
    here = place(seed, folder, points=points)
    bad = found = false = rows = 0
    began = perf_counter()
    for number in range(4):
        for tenant in here.tenants:
            point = await here.taken(tenant, f"p{number}-{tenant}")
            record = await here.run("restore.drill", point, f"d{number}-{tenant}")
            unproven = record.progress.result["proven"] is False
            bad += _bad(point.id)
            found += unproven and _bad(point.id)
            false += unproven and not _bad(point.id)
            rows += int(str(record.progress.result["rows_compared"]))
    spent_s = perf_counter() - began
    return Measured(
        checks=(
            Check(name="bad points found", value=found, bound=bad),
            Check(name="sound points called unproven", value=false, bound=0),
        ),
        figures={"points": 4 * len(here.tenants), "bad": bad, "rows_compared": rows,
                 "rows_taken_and_compared_per_s": rows / max(spent_s, 1e-9)},
        reference="the archive's own success message, by which all of them are sound",
    )  # fmt: skip


async def _blind(seed: int, folder: Path) -> Measured:
    return await _proves(seed, folder, BlindPoints)


class Leaky(SimulatedStores):
    """Stores where a restore forgets to say whose rows it takes back: the planted break."""

    async def replace(self, store: str, tenant: TenantId, content: Content, *, key: str) -> Replaced:
        """Replace the tenant's rows, and lose one of somebody else's."""
        replaced = await super().replace(store, tenant, content, key=key)
        other = next(b.tenant for b in self.world.spec.tenants if b.tenant != tenant)
        theirs = await self.content(store, other, replaced.seq)
        fewer = {table: dict(list(rows.items())[1:]) for table, rows in theirs.items()}
        await super().replace(store, other, fewer, key=f"{key}-leak")
        return replaced


async def _beside(seed: int, folder: Path, stores: type[SimulatedStores] = SimulatedStores) -> Measured:
    """Restore each tenant in turn to two hours ago, and look at everybody else's rows at the commits they had then."""
    here = place(seed, folder, stores)
    touched = unequal = misfits = 0
    rpo_s, rto_s, rows, took_back = 0.0, 0.0, 0.0, 0
    began = perf_counter()
    for tenant in here.tenants:
        point = await here.taken(tenant, f"p-{tenant}")
        here.live(hours=2)
        others = [t for t in here.tenants if t != tenant]
        before = {t: await _content(here, t) for t in others}
        chains = {t: await _entries(here, t) for t in others}
        record = await here.run("restore.run", point, f"r-{tenant}")
        result = record.progress.result
        unequal += record.progress.status != "done"
        for other in others:
            # What others wrote meanwhile is theirs: played on what stood before, it must give what stands now.
            touched += await _touched(here, other, before[other], chains[other])
        misfits += bool(await here.plane.misfits(tenant, await _content(here, tenant)))
        rpo_s, rto_s = max(rpo_s, _figure(result, "rpo_s")), max(rto_s, _figure(result, "rto_s"))
        rows, took_back = (
            rows + _figure(result, "rows_compared"),
            took_back + int(_figure(result, "commits_taken_back")),
        )
    return Measured(
        checks=(
            Check(name="restores that did not end well", value=unequal, bound=0),
            Check(name="rows of others that a restore changed", value=touched, bound=0),
            Check(name="restored tenants whose stores do not fit together", value=misfits, bound=0),
            Check(name="most seconds of writes taken back", value=rpo_s, bound=2 * 3600.0 + 300.0, at="most"),
            Check(name="most seconds from asking to done", value=rto_s, bound=300.0, at="most"),
        ),
        figures={"tenants": len(here.tenants), "rows_compared": rows, "commits_taken_back": took_back,
                 "seconds_of_work": perf_counter() - began},
        reference="the age of the point restored from, two hours; an operation stepped every thirty seconds",
    )  # fmt: skip


async def _leaks(seed: int, folder: Path) -> Measured:
    return await _beside(seed, folder, Leaky)


async def _content(here: Place, tenant: TenantId) -> dict[str, Content]:
    seq = (await here.plane.barrier(tenant)).seq
    return {s.id: await here.plane.content(s.id, tenant, seq) for s in await here.plane.stores(tenant)}


async def _entries(here: Place, tenant: TenantId) -> int:
    return (await here.plane.barrier(tenant)).seq


async def _touched(here: Place, tenant: TenantId, before: dict[str, Content], since: int) -> int:
    """Rows that are neither as they were nor as the tenant's own commits, of the order's books, made them."""
    now = (await here.plane.barrier(tenant)).seq
    books = CommitOrder(here.plane.home / "order.db").after(since, inf)
    wrote = {commit.seq for commit in books if commit.tenant == tenant and commit.legs}
    changed = 0
    for store in before:
        entries = await here.plane.log(store, tenant, since, now)
        changed += sum(e.seq not in wrote for e in entries)
    return changed


def _figure(result: object, name: str) -> float:
    value = result.get(name, 0.0) if isinstance(result, dict) else 0.0  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  # JSON
    return float(value) if isinstance(value, int | float) else 0.0


CASES: tuple[Case, ...] = (
    Case("backup-consistent-cut", "backup", "one cut over all stores of a tenant adds up at every instant", _fits,
         _heads, "every store is cut at its own head"),
    Case("backup-proof", "backup", "a trial restore finds every point that lacks a row, and no other", _proves,
         _blind, "copies are held to themselves"),
    Case("backup-one-tenant", "backup", "a tenant is restored beside the others within the stated RPO and RTO", _beside,
         _leaks, "a restore takes rows of another tenant along"),
)  # fmt: skip
