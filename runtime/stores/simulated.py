"""The simulated world's data stores: SQLite files under the tenants' own write load, brought up to date when asked.

What cannot be seen costs nothing: commits since the last look are made when somebody looks again, at their own
instants. A dark region takes no write and ships none; its standby holds what had reached it.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from math import inf
from pathlib import Path

from domain.errors import Invalid, NotFound, Refused, Unavailable
from domain.ids import PLATFORM, TenantId
from runtime.simulator import actuators
from runtime.simulator.backups import DAY_S
from runtime.simulator.inner_metrics import USUAL_LAG_S
from runtime.simulator.spec import ServiceSpec
from runtime.simulator.world import World
from runtime.stores.commits import Leg, misfits
from runtime.stores.files import StoreFile
from runtime.stores.load import Draft, drafts
from runtime.stores.order import CommitOrder, Placement
from runtime.stores.ports import Content, Cut, Entry, Erasure, Key, Replaced, Store

SLOWEST_S = 9.0
"""Stores apply a commit up to so many seconds after it was made, the first at once, the last so late, the others evenly
between: less than a step of the world, and a while after every commit some store lacks what another has."""


@dataclass(frozen=True, slots=True)
class SimulatedStores:
    """A DataPlane over one world; its files lie under `home` and hold all its state."""

    world: World
    home: Path

    async def stores(self, tenant: TenantId) -> tuple[Store, ...]:
        """Return the tenant's own stores, then the platform's."""
        return tuple(self._store(spec) for spec in self._specs(tenant))

    async def barrier(self, tenant: TenantId, at: datetime | None = None) -> Cut:
        """Return the newest cut that all the tenant's stores have reached."""
        self._sync()
        stores = await self.stores(tenant)
        if not stores:
            raise NotFound("the tenant has no data stores")
        until_s = None if at is None else (at - self.world.spec.start).total_seconds()
        return self._cut(min(self._head(store) for store in stores), until_s)

    async def content(self, store: str, tenant: TenantId, seq: int) -> Content:
        """Return the tenant's rows in the store at that cut."""
        self._sync()
        return self._reached(store, seq).content(tenant, seq)

    async def chain(self, store: str, tenant: TenantId, seq: int) -> str:
        """Return the chain over the tenant's log entries up to that cut."""
        self._sync()
        return self._reached(store, seq).chain(tenant, seq)

    async def log(self, store: str, tenant: TenantId, after: int, until: int) -> tuple[Entry, ...]:
        """Return the tenant's log entries after one cut and up to another."""
        self._sync()
        return self._reached(store, until).log(tenant, after, until)

    async def misfits(self, tenant: TenantId, contents: Mapping[str, Content]) -> tuple[str, ...]:
        """Say what does not hold: money that does not add up to zero."""
        del tenant
        return misfits(contents)

    async def hold(self, tenant: TenantId, key: str) -> Cut:
        """Take no more writes of the tenant and let its stores catch up."""
        self._sync()
        self._order.hold(tenant, key)
        for store in await self.stores(tenant):
            self._settle(store)
        return await self.barrier(tenant)

    async def release(self, tenant: TenantId, key: str) -> None:
        """Take the tenant's writes again, once its stores have caught up."""
        self._sync()  # what would have been written meanwhile was turned away
        for store in await self.stores(tenant):
            self._settle(store)
        self._order.release(tenant, key)

    async def replace(self, store: str, tenant: TenantId, content: Content, *, key: str) -> Replaced:
        """Make the tenant's rows in the store these, once per key."""
        self._sync()
        seq = self._order.mark(key, tenant, self.world.elapsed_s)  # one for all its stores: no cut lies between them
        placed = self._store(self._spec(store))
        self._settle(placed)
        return self._primary(placed).replace(tenant, content, seq, key=key)

    async def erasures(self, tenant: TenantId, after: int) -> tuple[Erasure, ...]:
        """Return whom the tenant has forgotten since a cut."""
        self._sync()
        return self._order.erasures(tenant, after)

    async def erase(self, tenant: TenantId, subject: str) -> None:
        """Forget a data subject in all the tenant's stores."""
        self._sync()
        stores = await self.stores(tenant)
        legs = tuple(Leg(store=store.id, verb="erase", subject=subject) for store in stores)
        self._order.add(Draft(tenant, self.world.elapsed_s, legs))
        for store in stores:
            self._settle(store)

    async def seal_key(self, store: str, tenant: TenantId, at: datetime, *, scheduled: bool) -> Key:
        """Return the key of store, tenant and day; derived from the world's seed, where a real one has a vault."""
        day = int((at - self.world.spec.start).total_seconds() // DAY_S)
        key_id = f"{store}/{tenant}/{'job' if scheduled else 'hand'}/{day}"
        return Key(key_id, hashlib.sha256(f"{self.world.seed}/{key_id}".encode()).digest())

    async def open_key(self, key_id: str) -> bytes:
        """Return a key's secret; those of a job whose key was lost are gone, and nobody told the job."""
        store, _, by, day = key_id.split("/")
        lost_s = self.world.backups.unsound.get(store, inf)
        if by == "job" and int(day) >= lost_s // DAY_S:
            raise NotFound(f"no key of id {key_id}", reason="key_lost")
        return hashlib.sha256(f"{self.world.seed}/{key_id}".encode()).digest()

    async def kept(self, store: str, *, key: str) -> None:
        """Let the world's books know of a point by hand."""
        actuators.create_restore_point(self.world, store, f"{key}/{store}")

    async def drilled(self, store: str, *, sound: bool, found: str, key: str) -> None:
        """Let the store's log tell."""
        actuators.tell_drill(self.world, store, f"{key}/{store}", sound=sound, found=found)

    async def commit_head(self, store: str) -> Cut:
        """Return the newest commit the primary has acknowledged."""
        self._sync()
        return self._cut(self._head(self._store(self._spec(store))))

    async def replica_head(self, store: str) -> Cut:
        """Return the newest commit the standby holds."""
        self._sync()
        placed = self._store(self._spec(store))
        if placed.replica_region is None:
            raise NotFound("the store has no standby copy")
        return self._cut(self._file(store, placed.replica_region).head())

    async def fence(self, store: str, region: str) -> None:
        """Let the copy in that region take no write any more."""
        self._sync()
        self._order.fence(store, region, self.world.elapsed_s)

    async def promote(self, store: str, region: str) -> Cut:
        """Make the copy in that region the primary."""
        self._sync()
        spec = self._spec(store)
        placed, held = self._store(spec), self._placement(spec)
        if placed.region == region:
            return await self.commit_head(store)
        if placed.replica_region != region:
            raise Invalid(f"{store} has no standby copy in {region}", reason="no_standby")
        if self._order.fenced_s(store, placed.region) is None:
            raise Refused(f"{store} may still take writes in {placed.region}: fence it first", reason="not_fenced")
        if self._limit_s(store, region) < self.world.elapsed_s:
            raise Unavailable(f"{region} does not answer", reason="region_dark")
        standby, primary = self._file(store, region), self._file(store, placed.region)
        if self._dark_s(placed.region) is None:
            standby.receive(primary.changes(standby.entries(), primary.head()), primary.head())
        since = standby.head()
        self._order.promoted(store, region, held, primary.acknowledged(since), since, self.world.elapsed_s)
        for other in self.world.spec.services:  # no cut lies before all of what is made good
            if other.id in self.world.data_stores:
                self._settle(self._store(other))
        return await self.commit_head(store)

    async def lost_writes(self, store: str) -> int:
        """Return how many acknowledged commits are in no copy that counts."""
        return self._placement(self._spec(store)).lost

    @property
    def _order(self) -> CommitOrder:
        return CommitOrder(self.home / "order.db")

    def _sync(self) -> None:
        """Make the commits since the last look, let every store apply its part, and standbys follow."""
        now_s, upto_s = self.world.elapsed_s, self._order.upto_s()
        if now_s <= upto_s:
            return
        made: list[Draft] = []
        for binding in self.world.spec.tenants:
            stores = [self._store(spec) for spec in self._specs(binding.tenant)]
            names = [store.id for store in stores]
            until_s = min((self._limit_s(s.id, s.region) for s in stores), default=0.0)
            made += drafts(self.world.seed, binding.tenant, names, upto_s, min(now_s, until_s))
        self._order.extend(made, now_s)
        for spec in self.world.spec.services:
            if spec.id in self.world.data_stores:
                store = self._store(spec)
                self._apply(store, self._slow_s(spec.id))
                self._follow(store)

    def _slow_s(self, store: str) -> float:
        """Seconds a store is behind the order: no two of them the same."""
        held = list(self.world.data_stores)
        return SLOWEST_S * held.index(store) / max(len(held) - 1, 1)

    def _settle(self, store: Store) -> None:
        """Let a store catch up; one that is dark stays where it was when it went dark."""
        if self._dark_s(store.region) is None:
            self._apply(store, 0.0)

    def _apply(self, store: Store, lag_s: float) -> None:
        until_s = min(self.world.elapsed_s, self._limit_s(store.id, store.region)) - lag_s
        commits = self._order.after(self._head(store), until_s)
        if commits:
            self._file(store.id, store.region).apply(store.id, commits)

    def _follow(self, store: Store) -> None:
        """Ship to the standby what is older than the lag, as long as both regions are there."""
        if store.replica_region is None or self._dark_s(store.replica_region) is not None:
            return
        standby, primary = self._file(store.id, store.replica_region), self._file(store.id, store.region)
        turns = self._placement(self._spec(store.id)).turns
        if self._order.seeded(store.id, store.replica_region) != turns:
            primary.copy_to(standby)
            self._order.seed(store.id, store.replica_region, turns)
        ships_s = min(self.world.elapsed_s, self._limit_s(store.id, store.region)) - self._lag_s(store.id)
        until = min(self._order.newest(until_s=ships_s)[0], self._head(store))
        if until > standby.head():
            standby.receive(primary.changes(standby.entries(), until), until)

    def _lag_s(self, store: str) -> float:
        """Seconds a standby is behind: what its exporter tells."""
        columns = self.world.layout.columns(store)
        if len(columns) < 2:
            return USUAL_LAG_S
        return self.world.gauges.now("replica_lag_s", columns[1], self.world.history.count, USUAL_LAG_S)

    def _limit_s(self, store: str, region: str) -> float:
        """Until when the copy in a region takes writes."""
        fenced, dark = self._order.fenced_s(store, region), self._dark_s(region)
        return min(inf if fenced is None else fenced, inf if dark is None else dark)

    def _dark_s(self, region: str) -> float | None:
        """Since when every zone of a region is gone; None while one is there."""
        if self.world.cluster.zone_up[self.world.layout.regions.index(region)].any():
            return None
        zones = {f"zone/{z}" for r in self.world.spec.regions if r.id == region for z in r.zones}
        gone = [c.at for c in self.world.journal.changes if c.entity in zones and c.after is False]
        return (max(gone) - self.world.spec.start).total_seconds() if gone else self.world.elapsed_s

    def _cut(self, seq: int, until_s: float | None = None) -> Cut:
        found, at_s = self._order.newest(seq=seq, until_s=until_s)
        return Cut(found, self.world.instant(at_s))

    def _head(self, store: Store) -> int:
        return max(self._file(store.id, store.region).head(), self._placement(self._spec(store.id)).past)

    def _reached(self, store: str, seq: int) -> StoreFile:
        placed = self._store(self._spec(store))
        if self._head(placed) < seq:
            raise Unavailable(f"{store} has not reached commit {seq} yet", reason="behind")
        return self._primary(placed)

    def _primary(self, store: Store) -> StoreFile:
        if self._dark_s(store.region) is not None:
            raise Unavailable(f"{store.id} is out of reach: {store.region} is dark", reason="region_dark")
        return self._file(store.id, store.region)

    def _file(self, store: str, region: str) -> StoreFile:
        return StoreFile(self.home / f"{store}@{region}.db")

    def _placement(self, spec: ServiceSpec) -> Placement:
        return self._order.placement(spec.id, spec.regions[0])

    def _store(self, spec: ServiceSpec) -> Store:
        region = self._placement(spec).region
        standby = self.world.data_stores[spec.id].replica_region
        other = standby if standby != region else spec.regions[0]
        return Store(spec.id, TenantId(spec.tenant), region, None if standby is None or other == region else other)

    def _spec(self, store: str) -> ServiceSpec:
        if store not in self.world.data_stores:
            raise NotFound("no such data store")
        return self.world.layout.services[self.world.layout.service_index[store]]

    def _specs(self, tenant: str) -> list[ServiceSpec]:
        found = [s for s in self.world.spec.services if s.id in self.world.data_stores]
        own = [s for s in found if s.tenant == tenant]
        return own if tenant == PLATFORM else own + [s for s in found if s.tenant == PLATFORM]
