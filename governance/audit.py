"""Audit: one hash chain per tenant, appended in the transaction of the change it records.

Links are keyed digests (HMAC-SHA256), so whoever rewrites the database without the key cannot forge one. Texts lie
beside the chain, sealed under the tenant's key; shredding the key erases them and leaves the chain verifiable.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from pydantic import Field, JsonValue
from sqlalchemy import ColumnElement, Connection, RowMapping, select, update

from domain.base import Digest, Frozen, canonical_json
from domain.decisions import AuditRecord
from domain.ids import PrincipalId, TenantId
from domain.ports import Clock
from governance.anchors import AnchorFile, Checkpoint
from governance.keys import KeyRing
from governance.sealing import TextKeys
from storage.engine import Database
from storage.inserts import insert_once
from storage.tables.governance import audit_bodies, audit_chains, audit_checkpoints, audit_records

SHREDDED = "audit.text_shredded"
"""Action that tells of an erasure: a missing text key without one is tampering."""


class AuditEntry(Frozen):
    """What happened, before it becomes a link."""

    tenant: TenantId
    action: str
    subject: str
    actor: PrincipalId
    body: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])


class AuditLine(Frozen):
    """A link with its text; None when the text was erased."""

    record: AuditRecord
    body: dict[str, JsonValue] | None


class ChainKey:
    """Makes and checks the digests of links."""

    def __init__(self, keys: KeyRing) -> None:
        self._key = keys.derived("audit chain")

    def genesis(self, tenant: TenantId) -> Digest:
        """Return what the first link of a tenant points back to."""
        return self._digest(["genesis", tenant])

    def link(self, row: Mapping[str, object] | RowMapping) -> Digest:
        """Return the digest of a link over all its other fields."""
        at = row["at"]
        instant = at.isoformat() if isinstance(at, datetime) else str(at)
        names = ("tenant", "seq", "action", "subject", "actor", "body_digest", "previous")
        return self._digest([instant, *(row[name] for name in names)])

    def _digest(self, fields: Sequence[object]) -> Digest:
        text = json.dumps(fields, separators=(",", ":")).encode()
        return "sha256:" + hmac.new(self._key, text, hashlib.sha256).hexdigest()


class AuditLog:
    """Appends, reads, anchors and erases. Verification is `governance.verification`."""

    def __init__(self, database: Database, clock: Clock, keys: KeyRing, anchor: Path) -> None:
        self._database = database
        self._clock = clock
        self.chain = ChainKey(keys)
        self.texts = TextKeys(keys.derived("audit text keys"))
        self.anchors = AnchorFile(anchor)
        self.signing_key = keys.signing_key("checkpoints")

    def append(self, connection: Connection, entry: AuditEntry) -> AuditRecord:
        """Add a link to the tenant's chain in the caller's transaction; holds the chain until it commits."""
        seq, previous, generation = self._lock_head(connection, entry.tenant)
        text = canonical_json(entry.body)
        spot = place(entry.tenant, seq + 1)
        key = self.texts.current(connection, entry.tenant, generation)
        link = {
            **entry.model_dump(exclude={"body"}),
            "seq": seq + 1,
            "at": self._clock.now(),
            "body_digest": key.digest(text, spot),
            "previous": previous,
        }
        record = AuditRecord.model_validate({**link, "digest": self.chain.link(link)})
        connection.execute(audit_records.insert().values(**record.model_dump()))
        body = {"tenant": record.tenant, "seq": record.seq, "sealed": key.seal(text, spot)}
        connection.execute(audit_bodies.insert().values(**body, key_generation=generation))
        connection.execute(
            update(audit_chains)
            .where(audit_chains.c.tenant == entry.tenant)
            .values(seq=record.seq, digest=record.digest)
        )
        return record

    def read(
        self, tenant: TenantId, *, subject: str | None = None, after: int = 0, limit: int = 1000
    ) -> tuple[AuditLine, ...]:
        """Return a tenant's links after a sequence number, oldest first, with what can still be read of their texts."""
        statement = (
            select(audit_records, audit_bodies.c.key_generation, audit_bodies.c.sealed)
            .outerjoin_from(audit_records, audit_bodies, _same_place())
            .where(audit_records.c.tenant == tenant, audit_records.c.seq > after)
            .order_by(audit_records.c.seq)
            .limit(limit)
        )
        if subject is not None:
            statement = statement.where(audit_records.c.subject == subject)
        with self._database.read() as connection:
            return tuple(self._line(connection, row) for row in connection.execute(statement).mappings())

    def checkpoint(self) -> tuple[Checkpoint, ...]:
        """Sign every chain's head that grew since its last checkpoint and anchor it outside the database."""
        with self._database.begin() as connection:
            heads = connection.execute(select(audit_chains).where(audit_chains.c.seq > 0)).mappings().all()
            fresh = tuple(
                Checkpoint(tenant=h["tenant"], seq=h["seq"], digest=h["digest"], at=self._clock.now()).signed(
                    self.signing_key
                )
                for h in heads
            )
            made = tuple(c for c in fresh if insert_once(connection, audit_checkpoints, c.model_dump()))
        if made:
            self.anchors.append(made)
        return made

    def shred(self, tenant: TenantId, actor: PrincipalId, reason: str) -> AuditRecord:
        """Erase every text of a tenant so far by destroying its keys; the chain says who did it."""
        with self._database.begin() as connection:
            _, _, generation = self._lock_head(connection, tenant)
            self.texts.shred(connection, tenant)
            connection.execute(
                update(audit_chains).where(audit_chains.c.tenant == tenant).values(key_generation=generation + 1)
            )
            entry = AuditEntry(tenant=tenant, action=SHREDDED, subject=tenant, actor=actor, body={"reason": reason})
            return self.append(connection, entry)

    def _lock_head(self, connection: Connection, tenant: TenantId) -> tuple[int, Digest, int]:
        head = select(audit_chains).where(audit_chains.c.tenant == tenant).with_for_update()
        row = connection.execute(head).one_or_none()
        if row is None:
            first = {"tenant": tenant, "seq": 0, "digest": self.chain.genesis(tenant), "key_generation": 1}
            insert_once(connection, audit_chains, first)
            row = connection.execute(head).one()
        return row.seq, row.digest, row.key_generation

    def _line(self, connection: Connection, row: RowMapping) -> AuditLine:
        record = AuditRecord.model_validate({name: row[name] for name in AuditRecord.model_fields})
        key = self.texts.find(connection, record.tenant, row["key_generation"]) if row["sealed"] else None
        text = key.open(row["sealed"], place(record.tenant, record.seq)) if key else None
        return AuditLine(record=record, body=json.loads(text) if text is not None else None)


def place(tenant: TenantId, seq: int) -> bytes:
    """Return what binds a text to its link."""
    return json.dumps([tenant, seq]).encode()


def _same_place() -> ColumnElement[bool]:
    return (audit_bodies.c.tenant == audit_records.c.tenant) & (audit_bodies.c.seq == audit_records.c.seq)
