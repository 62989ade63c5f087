"""Verification of the audit: every link, every text, every checkpoint, at a stated speed.

Catches an edit, a removal, a reordering, a swapped tenant and a tail cut back to before the last anchor, also when
the attacker may rewrite the whole database. What lies after the last anchor can only be cut, never changed.
"""

import time
from collections.abc import Iterator
from typing import Literal

from sqlalchemy import Connection, RowMapping, select

from domain.base import Digest, Frozen
from domain.ids import TenantId
from governance.anchors import Checkpoint
from governance.audit import SHREDDED, AuditLog, place
from governance.sealing import TextKey
from storage.engine import Database
from storage.tables.governance import audit_bodies, audit_chains, audit_checkpoints, audit_keys, audit_records

FlawKind = Literal["edited", "missing", "unlinked", "head", "text", "key", "truncated", "signature", "anchor"]
BATCH = 2000
"""Rows fetched at a time: bounds memory; larger batches measured no faster."""


class Flaw(Frozen):
    """One thing that does not hold."""

    tenant: TenantId | None
    seq: int | None
    kind: FlawKind
    text: str


class AuditReport(Frozen):
    """The answer of a verification."""

    ok: bool
    records: int
    tenants: tuple[TenantId, ...]
    flaws: tuple[Flaw, ...]
    unanchored: int
    """Records after each chain's last anchor: their tail could be cut without a trace."""
    erased_texts: int
    torn_anchor_lines: int
    seconds: float
    records_per_s: float


class _Chain:
    """Walks one tenant's chain once."""

    def __init__(self, audit: AuditLog, connection: Connection, tenant: TenantId) -> None:
        self._audit = audit
        self._connection = connection
        self.tenant = tenant
        self.flaws: list[Flaw] = []
        self.seq = 0
        self.count = 0
        self.erased = 0
        self.head: Digest = audit.chain.genesis(tenant)
        self.missing_keys: set[int] = set()
        self._opened: dict[int, TextKey | None] = {}
        self.shredded_at = 0
        self.first_with_key: dict[int, int] = {}

    def walk(self, anchors: dict[int, Checkpoint]) -> None:
        """Check links in order, texts, and each anchor on passing it."""
        wanted = dict(anchors)
        for row in _rows(self._connection, self.tenant):
            self._link(row)
            self._text(row)
            anchor = wanted.pop(row["seq"], None)
            if anchor is not None and anchor.digest != row["digest"]:
                self._flaw("anchor", f"the anchor of {anchor.at.isoformat()} saw another record here", row["seq"])
        if wanted:
            self._flaw("truncated", f"an anchor saw {max(wanted)} records, the chain ends at {self.seq}")
        self._head()
        self._keys()

    def _link(self, row: RowMapping) -> None:
        expected = self.seq + 1
        if row["seq"] != expected:
            self._flaw("missing", f"record {expected} is missing", expected)
        elif row["previous"] != self.head:
            self._flaw("unlinked", "does not point back to the record before it", row["seq"])
        if self._audit.chain.link(row) != row["digest"]:
            self._flaw("edited", "its fields do not give its digest", row["seq"])
        self.seq, self.head = row["seq"], row["digest"]
        self.count += 1
        if row["action"] == SHREDDED:
            self.shredded_at = row["seq"]

    def _text(self, row: RowMapping) -> None:
        if row["sealed"] is None:
            self._flaw("text", "its text is gone", row["seq"])
            return
        generation = row["key_generation"]
        self.first_with_key[generation] = row["seq"]
        if generation not in self._opened:
            self._opened[generation] = self._audit.texts.find(self._connection, self.tenant, generation)
        key = self._opened[generation]
        if key is None:
            self.missing_keys.add(generation)
            self.erased += 1
            return
        spot = place(self.tenant, row["seq"])
        text = key.open(row["sealed"], spot)
        if text is None or key.digest(text, spot) != row["body_digest"]:
            self._flaw("text", "its text is not the one that was recorded", row["seq"])

    def _head(self) -> None:
        where = audit_chains.c.tenant == self.tenant
        head = self._connection.execute(select(audit_chains).where(where)).one_or_none()
        if head is None or (head.seq, head.digest) != (self.seq, self.head):
            kept = "no head" if head is None else f"a head at {head.seq}"
            self._flaw("head", f"the chain ends at {self.seq} but has {kept}")

    def _keys(self) -> None:
        for generation in sorted(self.missing_keys):
            if self.first_with_key[generation] >= self.shredded_at:
                self._flaw("key", f"text key {generation} cannot be opened and no record tells of its erasure")

    def _flaw(self, kind: FlawKind, text: str, seq: int | None = None) -> None:
        self.flaws.append(Flaw(tenant=self.tenant, seq=seq, kind=kind, text=text))


def verify(database: Database, audit: AuditLog, tenant: TenantId | None = None) -> AuditReport:
    """Check one tenant's chain, or all of them, against keys and anchors. Never raises on tampering: it reports."""
    begun = time.perf_counter()
    checkpoints, torn = audit.anchors.read()
    flaws = [
        Flaw(tenant=c.tenant, seq=c.seq, kind="signature", text="an anchor's signature is not ours")
        for c in checkpoints
        if not c.genuine(audit.signing_key.public_key())
    ]
    with database.read() as connection:
        if not audit.anchors.exists() and connection.execute(select(audit_checkpoints.c.seq).limit(1)).first():
            flaws.append(
                Flaw(tenant=None, seq=None, kind="anchor", text="checkpoints were made, but the anchor is gone")
            )
        tenants = (tenant,) if tenant is not None else _tenants(connection, checkpoints)
        chains = [_Chain(audit, connection, name) for name in tenants]
        last = 0
        for chain in chains:
            anchors = {c.seq: c for c in checkpoints if c.tenant == chain.tenant}
            chain.walk(anchors)
            last += max(0, chain.seq - max(anchors, default=0))
            flaws += chain.flaws
    seconds = time.perf_counter() - begun
    records = sum(chain.count for chain in chains)
    return AuditReport(
        ok=not flaws,
        records=records,
        tenants=tenants,
        flaws=tuple(flaws),
        unanchored=last,
        erased_texts=sum(chain.erased for chain in chains),
        torn_anchor_lines=torn,
        seconds=seconds,
        records_per_s=records / max(seconds, 1e-9),
    )


def _rows(connection: Connection, tenant: TenantId) -> Iterator[RowMapping]:
    """Yield a chain's rows by position, texts beside them. Positions below 1 are an attacker's: they come first."""
    same = (audit_bodies.c.tenant == audit_records.c.tenant) & (audit_bodies.c.seq == audit_records.c.seq)
    statement = (
        select(audit_records, audit_bodies.c.key_generation, audit_bodies.c.sealed)
        .outerjoin_from(audit_records, audit_bodies, same)
        .where(audit_records.c.tenant == tenant)
        .order_by(audit_records.c.seq)
    )
    yield from connection.execution_options(yield_per=BATCH).execute(statement).mappings()


def _tenants(connection: Connection, checkpoints: tuple[Checkpoint, ...]) -> tuple[TenantId, ...]:
    """Return every tenant that anything tells of: chains, records, or anchors alone."""
    named = {checkpoint.tenant for checkpoint in checkpoints}
    for table in (audit_chains, audit_records, audit_keys):
        named |= set(connection.execute(select(table.c.tenant).distinct()).scalars())
    return tuple(sorted(named))
