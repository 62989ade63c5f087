"""What backup, restore and failover ask of whoever keeps the tenants' data: cuts, contents, the log, keys, replicas.

Writes of all stores carry one global commit sequence. A store applies commits in that order, each in its own time, so
what stores hold at one instant need not fit together; what they hold at one sequence number does.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.ids import TenantId

Content = Mapping[str, Mapping[str, str]]
"""One tenant's rows in one store: table, key, canonical JSON text of the row."""


@dataclass(frozen=True, slots=True)
class Store:
    """A data store as it is placed now."""

    id: str
    tenant: TenantId
    """Its owner; the platform's stores hold rows of every tenant."""
    region: str
    replica_region: str | None

    @property
    def address(self) -> str:
        """Return `data_store/<id>`."""
        return f"data_store/{self.id}"


@dataclass(frozen=True, slots=True)
class Cut:
    """A place in the global order of commits: everything up to `seq`, nothing after it."""

    seq: int
    at: datetime
    """When that commit was made."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row's change in a store's log; `chain` folds in all of that tenant's entries in that store so far."""

    seq: int
    table: str
    key: str
    after: str | None
    chain: str


def linked(chain: str, seq: int, table: str, key: str, after: str | None) -> str:
    """Return a log's chain with one more entry folded in."""
    text = "\x1f".join((chain, str(seq), table, key, "" if after is None else after))
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Key:
    """What an archive is sealed with."""

    id: str
    secret: bytes


@dataclass(frozen=True, slots=True)
class Erasure:
    """One data subject of a tenant who is to be forgotten, and the newest commit that did it.

    The newest: between a restore's replacing and its forgetting again there are cuts that hold the subject once more.
    """

    subject: str
    seq: int


@dataclass(frozen=True, slots=True)
class Replaced:
    """What a restore in place did to one store. The digests are of everybody else's rows."""

    seq: int
    others_before: str
    others_after: str


class TenantData(Protocol):
    """Reads one tenant's part of its stores as it was at a cut. Raises Unavailable where a store is out of reach."""

    async def stores(self, tenant: TenantId) -> tuple[Store, ...]:
        """Return the stores that hold the tenant's rows: its own, and shared ones."""
        ...

    async def barrier(self, tenant: TenantId, at: datetime | None = None) -> Cut:
        """Return the newest cut that all the tenant's stores have reached, made no later than `at`."""
        ...

    async def content(self, store: str, tenant: TenantId, seq: int) -> Content:
        """Return the tenant's rows in the store at that cut."""
        ...

    async def chain(self, store: str, tenant: TenantId, seq: int) -> str:
        """Return the chain over the tenant's log entries up to that cut; empty before the first."""
        ...

    async def log(self, store: str, tenant: TenantId, after: int, until: int) -> tuple[Entry, ...]:
        """Return the tenant's log entries after one cut and up to another, oldest first."""
        ...

    async def misfits(self, tenant: TenantId, contents: Mapping[str, Content]) -> tuple[str, ...]:
        """Say what does not hold across the tenant's stores at one cut; the application's own rule."""
        ...


class RestoreHands(Protocol):
    """Writes back. Every call is idempotent under its key."""

    async def hold(self, tenant: TenantId, key: str) -> Cut:
        """Take no more writes of the tenant, let all its stores catch up, and return where they stand."""
        ...

    async def release(self, tenant: TenantId, key: str) -> None:
        """Take the tenant's writes again; its stores have caught up, so that the next cut holds what was replaced."""
        ...

    async def replace(self, store: str, tenant: TenantId, content: Content, *, key: str) -> Replaced:
        """Make the tenant's rows in the store these, in one transaction that no other tenant's row is part of."""
        ...

    async def erasures(self, tenant: TenantId, after: int) -> tuple[Erasure, ...]:
        """Return whom the tenant has forgotten since a cut; kept apart from the stores, so no restore loses it."""
        ...

    async def erase(self, tenant: TenantId, subject: str) -> None:
        """Forget a data subject in all the tenant's stores, and note it."""
        ...


class ArchiveBooks(Protocol):
    """Keys for archives, one per store and day, the scheduled job's apart from those used by hand; and who is told."""

    async def seal_key(self, store: str, tenant: TenantId, at: datetime, *, scheduled: bool) -> Key:
        """Return the key to seal with now."""
        ...

    async def open_key(self, key_id: str) -> bytes:
        """Return a key's secret. Raises NotFound where there is no key of that id."""
        ...

    async def kept(self, store: str, *, key: str) -> None:
        """Take note that a restore point of the store was taken by hand; once per key."""
        ...

    async def drilled(self, store: str, *, sound: bool, found: str, key: str) -> None:
        """Take note that a trial restore of the store was made, and what it found; once per key."""
        ...


class Replication(Protocol):
    """Standby copies, which follow their primary with a lag, and the handing over to them."""

    async def commit_head(self, store: str) -> Cut:
        """Return the newest commit the primary has acknowledged, as far as anybody can still know it."""
        ...

    async def replica_head(self, store: str) -> Cut:
        """Return the newest commit the standby holds. Raises NotFound where there is no standby."""
        ...

    async def fence(self, store: str, region: str) -> None:
        """Let the copy in that region take no write any more, also when it comes back."""
        ...

    async def promote(self, store: str, region: str) -> Cut:
        """Make the copy in that region the primary. Raises Refused(not_fenced) while another may still take writes."""
        ...

    async def lost_writes(self, store: str) -> int:
        """Return how many commits were acknowledged and are in no copy that counts, over all promotions."""
        ...


class DataPlane(TenantData, RestoreHands, ArchiveBooks, Replication, Protocol):
    """All of it: what `Planes.stores` holds."""
