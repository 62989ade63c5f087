"""Restore points: one consistent cut over a tenant's data stores, where it lies, and whether it was ever restored.

A point counts as proven only by a trial restore of it; until then it is untried, and nobody may rely on it.
"""

from typing import Literal

from domain.base import Digest, Frozen, Slug, UtcDatetime
from domain.ids import EnvironmentId, TenantId

PointStatus = Literal["taking", "kept", "failed", "cancelled"]
ProofStatus = Literal["untried", "proven", "unproven"]


class TableCut(Frozen):
    """One table's content at the cut, read from the store itself and not from the archive."""

    rows: int
    digest: Digest


class StoreCut(Frozen):
    """One store's part of a point: only this tenant's rows, also where others have rows in the store."""

    store: Slug
    tables: dict[Slug, TableCut]
    chain: str
    """Of the store's log at the cut: a restore to a later instant goes on from here, and notices what is missing."""
    key: str
    """Id of the key both files are sealed with (AES-256-GCM)."""
    archive: Digest
    """Of the sealed file."""
    archive_bytes: int


class Proof(Frozen):
    """What the newest trial restore found."""

    status: ProofStatus = "untried"
    at: UtcDatetime | None = None
    operation: str = ""
    rows_compared: int = 0
    differences: tuple[str, ...] = ()
    """What differs from the content at the cut; on an unproven point never empty."""


class RestorePoint(Frozen):
    """The manifest of one point."""

    id: Slug
    tenant: TenantId
    environment: EnvironmentId
    trigger: Literal["schedule", "request", "restore"]
    """`restore`: taken of what stood there, just before a restore in place."""
    status: PointStatus
    region: Slug
    cut_seq: int
    """The newest commit in it, in the order of all commits of all stores."""
    cut_at: UtcDatetime
    taken_at: UtcDatetime
    expires_at: UtcDatetime
    asked: tuple[Slug, ...]
    """The stores it is to hold."""
    complete: bool
    """They are all the stores that hold the tenant's rows, so that rules across stores can be checked."""
    stores: tuple[StoreCut, ...] = ()
    proof: Proof = Proof()
    reason: str = ""
    """Why it failed; of what was kept before a restore, what did not fit together."""
