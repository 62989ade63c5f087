"""Data stores in memory: the same promises as files keep, without files, a world, or time of their own.

Nothing is written unless a caller commits it. Every other store is a few commits behind until it has to catch up, and
standbys are behind their primaries, so that cuts can be torn and writes can be lost here too.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime

from domain.errors import Broken, Invalid, NotFound, Refused, Unavailable
from domain.ids import PLATFORM, TenantId
from domain.ports import Clock
from runtime.stores.commits import TABLES, Commit, Leg, Row, carry_out, made_good, misfits, row_of, text_of
from runtime.stores.files import Change, digest_of_rows
from runtime.stores.ports import Content, Cut, Entry, Erasure, Key, Replaced, Store, linked

LAG, STANDBY_LAG = 1, 2
"""Commits that every other store, and every standby, is behind."""


@dataclass(slots=True)
class _Copy:
    """One copy of one store: (tenant, table, key) to row, and the log of all changes."""

    rows: dict[tuple[str, str, str], Row] = field(default_factory=dict[tuple[str, str, str], Row])
    log: list[tuple[Change, str]] = field(default_factory=list[tuple[Change, str]])
    chains: dict[str, str] = field(default_factory=dict[str, str])
    restored: dict[str, Replaced] = field(default_factory=dict[str, Replaced])
    head: int = 0

    def put(self, tenant: str, seq: int, table: str, key: str, row: Row | None) -> None:
        """Write one row, or remove it, and log it."""
        place = (tenant, table, key)
        before = self.rows.pop(place, None)
        if row is not None:
            self.rows[place] = row
        old, after = (None if r is None else text_of(r) for r in (before, row))
        self.chains[tenant] = linked(self.chains.get(tenant, ""), seq, table, key, after)
        self.log.append(((seq, tenant, table, key, old, after), self.chains[tenant]))

    def content(self, tenant: str, *, others: bool = False) -> dict[str, dict[str, str]]:
        """Return a tenant's rows, or everybody else's under tenant and key."""
        found: dict[str, dict[str, str]] = {table: {} for table in TABLES}
        for (owner, table, key), row in self.rows.items():
            if (owner != tenant) == others:
                found[table][f"{owner}/{key}" if others else key] = text_of(row)
        return found

    def at(self, tenant: str, seq: int) -> dict[str, dict[str, str]]:
        """Return a tenant's rows as they were at a commit."""
        found = self.content(tenant)
        later = [change for change, _ in self.log if change[1] == tenant and change[0] > seq]
        # the order of commits, not of their coming: a restore gone on with writes under its first number
        for _, _, table, key, before, _ in sorted(later, key=lambda c: c[0])[::-1]:
            if before is None:
                found[table].pop(key, None)
            else:
                found[table][key] = before
        return found


@dataclass(frozen=True, slots=True)
class _Rows:
    """One tenant's rows in one copy, open for one commit."""

    copy: _Copy
    tenant: str
    seq: int

    def get(self, table: str, key: str) -> Row | None:
        return self.copy.rows.get((self.tenant, table, key))

    def put(self, table: str, key: str, row: Row | None) -> None:
        self.copy.put(self.tenant, self.seq, table, key, row)

    def keys(self, table: str, column: str, value: str) -> Sequence[str]:
        at = [name for name, _ in TABLES[table]].index(column)
        held = ((k, row) for (t, tab, k), row in self.copy.rows.items() if (t, tab) == (self.tenant, table))
        return sorted(key for key, row in held if row[at] == value)


class MemoryStores:
    """A DataPlane; `dark` holds regions out of reach, `keys_lost` prefixes of key ids that open nothing."""

    def __init__(self, clock: Clock, placed: Iterable[Store]) -> None:
        self.dark: set[str] = set()
        self.keys_lost: set[str] = set()
        self.kept_by_hand: dict[str, str] = {}
        self.drills: dict[str, tuple[bool, str]] = {}
        self._clock, self._began = clock, clock.now()
        self._stores = {store.id: store for store in placed}
        self._commits: list[Commit] = []
        self._copies: dict[tuple[str, str], _Copy] = {}
        self._holds: set[tuple[str, str]] = set()
        self._marks: dict[str, int] = {}
        self._erasures: dict[tuple[str, str], int] = {}
        self._fences: set[tuple[str, str]] = set()
        self._lost: dict[str, int] = {}
        self._gaps: list[tuple[str, int, int]] = []
        self._turns: dict[str, int] = {}

    def commit(self, tenant: TenantId, *legs: Leg) -> int | None:
        """Commit as the tenant's application does; None where the writes are turned away."""
        out = any(self._stores[leg.store].region in self.dark for leg in legs)
        fenced = any((leg.store, self._stores[leg.store].region) in self._fences for leg in legs)
        held = any(tenant == holder for holder, _ in self._holds)
        return None if out or fenced or held else self._add(tenant, legs)

    async def stores(self, tenant: TenantId) -> tuple[Store, ...]:
        """Return the tenant's own stores, then the platform's."""
        own = tuple(s for s in self._stores.values() if s.tenant == tenant)
        shared = tuple(s for s in self._stores.values() if s.tenant == PLATFORM)
        return own if tenant == PLATFORM else own + shared

    async def barrier(self, tenant: TenantId, at: datetime | None = None) -> Cut:
        """Return the newest cut that all the tenant's stores have reached."""
        self._sync()
        found = await self.stores(tenant)
        if not found:
            raise NotFound("the tenant has no data stores")
        return self._cut(min(self._at(s.id, s.region).head for s in found), at)

    async def content(self, store: str, tenant: TenantId, seq: int) -> Content:
        """Return the tenant's rows in the store at that cut."""
        return self._reached(store, seq).at(tenant, seq)

    async def chain(self, store: str, tenant: TenantId, seq: int) -> str:
        """Return the chain over the tenant's log entries up to that cut."""
        log = self._reached(store, seq).log
        return next((chain for change, chain in reversed(log) if change[1] == tenant and change[0] <= seq), "")

    async def log(self, store: str, tenant: TenantId, after: int, until: int) -> tuple[Entry, ...]:
        """Return the tenant's log entries after one cut and up to another."""
        log = self._reached(store, until).log
        return tuple(
            Entry(seq, table, key, now, chain)
            for (seq, owner, table, key, _, now), chain in log
            if owner == tenant and after < seq <= until
        )

    async def misfits(self, tenant: TenantId, contents: Mapping[str, Content]) -> tuple[str, ...]:
        """Say what does not hold: money that does not add up to zero."""
        del tenant
        return misfits(contents)

    async def hold(self, tenant: TenantId, key: str) -> Cut:
        """Take no more writes of the tenant and let its stores catch up."""
        self._holds.add((tenant, key))
        self._sync(behind=0)
        return await self.barrier(tenant)

    async def release(self, tenant: TenantId, key: str) -> None:
        """Take the tenant's writes again, once its stores have caught up."""
        self._sync(behind=0)
        self._holds.discard((tenant, key))

    async def replace(self, store: str, tenant: TenantId, content: Content, *, key: str) -> Replaced:
        """Make the tenant's rows in the store these, once per key."""
        if key not in self._marks:
            self._marks[key] = self._add(tenant, ())
        self._sync(behind=0)
        copy, seq = self._reached(store, self._marks[key]), self._marks[key]
        if key not in copy.restored:
            before, held = digest_of_rows(copy.content(tenant, others=True)), copy.content(tenant)
            for table, rows in held.items():
                wanted = content.get(table, {})
                for name in sorted(rows.keys() | wanted.keys()):
                    if rows.get(name) != wanted.get(name):
                        copy.put(tenant, seq, table, name, row_of(wanted[name]) if name in wanted else None)
            after = digest_of_rows(copy.content(tenant, others=True))
            if after != before:
                raise Broken("a restore touched another tenant's rows", reason="restore_leaked")
            copy.restored[key] = Replaced(seq, before, after)
        return copy.restored[key]

    async def erasures(self, tenant: TenantId, after: int) -> tuple[Erasure, ...]:
        """Return whom the tenant has forgotten since a cut."""
        found = [Erasure(s, seq) for (owner, s), seq in self._erasures.items() if owner == tenant and seq > after]
        return tuple(sorted(found, key=lambda e: (e.seq, e.subject)))

    async def erase(self, tenant: TenantId, subject: str) -> None:
        """Forget a data subject in all the tenant's stores."""
        self._add(tenant, [Leg(store=s.id, verb="erase", subject=subject) for s in await self.stores(tenant)])
        self._sync(behind=0)

    async def seal_key(self, store: str, tenant: TenantId, at: datetime, *, scheduled: bool) -> Key:
        """Return the key of store, tenant and day."""
        name = f"{store}/{tenant}/{'job' if scheduled else 'hand'}/{(at - self._began).days}"
        return Key(name, hashlib.sha256(name.encode()).digest())

    async def open_key(self, key_id: str) -> bytes:
        """Return a key's secret, but for keys that are lost."""
        if any(key_id.startswith(lost) for lost in self.keys_lost):
            raise NotFound(f"no key of id {key_id}", reason="key_lost")
        return hashlib.sha256(key_id.encode()).digest()

    async def kept(self, store: str, *, key: str) -> None:
        """Note a point by hand."""
        self.kept_by_hand.setdefault(f"{key}/{store}", store)

    async def drilled(self, store: str, *, sound: bool, found: str, key: str) -> None:
        """Note a trial."""
        self.drills.setdefault(f"{key}/{store}", (sound, found))

    async def commit_head(self, store: str) -> Cut:
        """Return the newest commit the primary has acknowledged."""
        self._sync()
        return self._cut(self._at(store, self._store(store).region).head)

    async def replica_head(self, store: str) -> Cut:
        """Return the newest commit the standby holds."""
        self._sync()
        placed = self._store(store)
        if placed.replica_region is None:
            raise NotFound("the store has no standby copy")
        return self._cut(self._at(store, placed.replica_region).head)

    async def fence(self, store: str, region: str) -> None:
        """Let the copy in that region take no write any more."""
        self._fences.add((store, region))

    async def promote(self, store: str, region: str) -> Cut:
        """Make the copy in that region the primary."""
        self._sync()
        placed = self._store(store)
        if placed.region == region:
            return await self.commit_head(store)
        if placed.replica_region != region:
            raise Invalid(f"{store} has no standby copy in {region}", reason="no_standby")
        if (store, placed.region) not in self._fences:
            raise Refused(f"{store} may still take writes in {placed.region}: fence it first", reason="not_fenced")
        if region in self.dark:
            raise Unavailable(f"{region} does not answer", reason="region_dark")
        primary, standby = self._at(store, placed.region), self._at(store, region)
        if placed.region not in self.dark:
            self._ship(primary, standby, primary.head)
        since, newest = standby.head, len(self._commits)
        self._stores[store] = replace(placed, region=region, replica_region=placed.region)
        gone = {change[0] for change, _ in primary.log if change[0] > since}
        self._lost[store] = self._lost.get(store, 0) + len(gone)
        standby.head = newest  # what lies between is not its to apply any more
        self._copies.pop((store, placed.region))  # it is seeded anew when it is there again
        turn = self._turns[store] = self._turns.get(store, -1) + 1
        self._gaps.append((store, since, newest))
        for number, commit in enumerate(self._commits[since:newest]):
            if good := made_good(commit, store, self._held, f"{turn}-{number}"):
                self._add(TenantId(commit.tenant), good)
        self._fences.discard((store, region))
        self._sync(behind=0)  # no cut lies before all of what is made good
        return await self.commit_head(store)

    async def lost_writes(self, store: str) -> int:
        """Return how many acknowledged commits are in no copy that counts."""
        return self._lost.get(self._store(store).id, 0)

    def _held(self, store: str, seq: int) -> bool:
        return not any(lost == store and after < seq <= until for lost, after, until in self._gaps)

    def _add(self, tenant: TenantId, legs: Sequence[Leg]) -> int:
        seq, at_s = len(self._commits) + 1, (self._clock.now() - self._began).total_seconds()
        self._commits.append(Commit(seq=seq, tenant=tenant, at_s=at_s, legs=tuple(legs)))
        self._erasures |= {(tenant, leg.subject): seq for leg in legs if leg.verb == "erase"}
        return seq

    def _sync(self, behind: int = LAG) -> None:
        for number, store in enumerate(self._stores.values()):
            if store.region in self.dark or (store.id, store.region) in self._fences:
                continue
            copy = self._at(store.id, store.region)
            for commit in self._commits[copy.head : len(self._commits) - behind * (number % 2)]:
                for leg in commit.legs:
                    if leg.store == store.id:
                        carry_out(leg, _Rows(copy, commit.tenant, commit.seq), commit.at_s)
                copy.head = commit.seq
            if store.replica_region is not None and store.replica_region not in self.dark:
                self._ship(copy, self._standby(store, copy), copy.head - STANDBY_LAG)

    def _standby(self, store: Store, primary: _Copy) -> _Copy:
        place = (store.id, str(store.replica_region))
        if store.id in self._turns and place not in self._copies:
            self._copies[place] = deepcopy(primary)
            self._fences.discard(place)
        return self._at(*place)

    @staticmethod
    def _ship(primary: _Copy, standby: _Copy, until: int) -> None:
        for (seq, tenant, table, key, _, after), _ in primary.log[len(standby.log) :]:
            if seq > until:
                break
            standby.put(tenant, seq, table, key, None if after is None else row_of(after))
        standby.head = max(standby.head, until)

    def _cut(self, seq: int, at: datetime | None = None) -> Cut:
        until_s = float("inf") if at is None else (at - self._began).total_seconds()
        made = [c for c in self._commits[:seq] if c.at_s <= until_s]
        return Cut(made[-1].seq, self._instant(made[-1].at_s)) if made else Cut(0, self._began)

    def _instant(self, at_s: float) -> datetime:
        return datetime.fromtimestamp(self._began.timestamp() + at_s, tz=self._began.tzinfo)

    def _reached(self, store: str, seq: int) -> _Copy:
        self._sync()
        placed = self._store(store)
        if placed.region in self.dark:
            raise Unavailable(f"{store} is out of reach: {placed.region} is dark", reason="region_dark")
        copy = self._at(store, placed.region)
        if copy.head < seq:
            raise Unavailable(f"{store} has not reached commit {seq} yet", reason="behind")
        return copy

    def _at(self, store: str, region: str) -> _Copy:
        return self._copies.setdefault((store, region), _Copy())

    def _store(self, store: str) -> Store:
        if store not in self._stores:
            raise NotFound("no such data store")
        return self._stores[store]
