"""The one place where a command's state changes: a compare-and-set with its audit record and event beside it.

All three commit together or not at all. Ends give back what the command held; states that need a person page one.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypedDict, Unpack

from pydantic import JsonValue
from sqlalchemy import Connection, update

from domain.base import Digest, Severity
from domain.catalogue import CommandChanged, PageRaised
from domain.commands import IN_FLIGHT, PAGES, TRANSITIONS, Command, CommandRecord, State
from domain.errors import Broken, Conflict
from domain.events import Dimensions, OutgoingEvent
from domain.ids import PrincipalId
from domain.ports import Clock
from governance import budgets, gate
from governance.audit import AuditEntry, AuditLog
from governance.runbooks import runbook
from storage.inserts import insert_once
from storage.outbox import Outbox
from storage.tables.governance import commands

_BEFORE_START = frozenset({State.PROPOSED, State.AWAITING_APPROVAL, State.APPROVED})
_WAITING = frozenset({State.AWAITING_APPROVAL, State.APPROVED, State.EXECUTING})


class Changes(TypedDict, total=False):
    """Columns that a step may write besides state, version, reason and instant."""

    decided_by: PrincipalId
    policy_digest: Digest | None
    approval_expires_at: datetime
    fencing: int
    worker: PrincipalId
    lease_until: datetime


class Steps:
    """Writes steps within the caller's transaction."""

    def __init__(self, audit: AuditLog, outbox: Outbox, clock: Clock) -> None:
        self.audit = audit
        self.outbox = outbox
        self.clock = clock

    def insert(
        self, connection: Connection, command: Command, *, actor: PrincipalId, unique: str | None = None
    ) -> CommandRecord | None:
        """Store a new command as PROPOSED; None when its key or proposal was there first."""
        now = self.clock.now()
        record = CommandRecord(command=command, digest=command.digest, state=State.PROPOSED, version=1, updated_at=now)
        if not insert_once(connection, commands, {**_row(record), "proposal_key": unique}):
            return None
        self._tell(connection, record, None, actor, {"proposal": command.model_dump(mode="json")})
        return record

    def step(
        self,
        connection: Connection,
        record: CommandRecord,
        to: State,
        *,
        actor: PrincipalId,
        reason: str = "",
        body: Mapping[str, JsonValue] | None = None,
        **changes: Unpack[Changes],
    ) -> CommandRecord:
        """Move a command one legal step, if it is still what the record says; Conflict when it moved meanwhile."""
        if to not in TRANSITIONS.get(record.state, frozenset()):
            raise Conflict(f"a command cannot go from {record.state} to {to}", reason="illegal_step")
        moved = self._write(connection, record, to, reason, changes)
        self._settle(connection, record.state, moved)
        self._tell(connection, moved, record.state, actor, dict(body or {}))
        return moved

    def touch(
        self,
        connection: Connection,
        record: CommandRecord,
        *,
        actor: PrincipalId,
        action: str = "",
        **changes: Unpack[Changes],
    ) -> CommandRecord:
        """Write columns without changing state or its instant, under the same compare-and-set; audited when named."""
        touched = self._write(connection, record, record.state, record.reason, changes)
        if action:
            self.note(connection, touched, action, actor, {"fencing": touched.fencing})
        return touched

    def note(
        self,
        connection: Connection,
        record: CommandRecord,
        action: str,
        actor: PrincipalId,
        body: Mapping[str, JsonValue],
    ) -> None:
        """Audit something about a command that is no step."""
        text: dict[str, JsonValue] = {"digest": record.digest, **body}
        entry = AuditEntry(
            tenant=record.command.tenant, action=action, subject=record.command.id, actor=actor, body=text
        )
        self.audit.append(connection, entry)

    def emit(self, connection: Connection, events: Sequence[OutgoingEvent]) -> None:
        """Send events with the transaction."""
        for event in events:
            self.outbox.append(connection, event)

    def _write(
        self, connection: Connection, record: CommandRecord, to: State, reason: str, changes: Changes
    ) -> CommandRecord:
        at = record.updated_at if to is record.state else self.clock.now()
        written = {"state": to, "version": record.version + 1, "reason": reason, "updated_at": at, **changes}
        done = connection.execute(
            update(commands)
            .where(
                commands.c.id == record.command.id,
                commands.c.tenant == record.command.tenant,
                commands.c.state == record.state.value,
                commands.c.version == record.version,
            )
            .values(**{**written, "state": to.value})
        )
        if done.rowcount != 1:
            raise Conflict(f"command {record.command.id} moved on from {record.state}", reason="moved_on")
        known = {name: value for name, value in written.items() if name in CommandRecord.model_fields}
        return record.model_copy(update=known)

    def _settle(self, connection: Connection, before: State, moved: CommandRecord) -> None:
        """Give back what a command no longer needs. FAILED and INCONCLUSIVE take it again when they are undone."""
        now, key = self.clock.now(), moved.command.id
        if before in IN_FLIGHT and moved.state not in IN_FLIGHT:
            gate.release(connection, key)
        if moved.state is State.EXECUTING:
            budgets.move(connection, key, "spent", now)
        elif before in _BEFORE_START and moved.state not in _WAITING:
            budgets.move(connection, key, "released", now)

    def _tell(
        self,
        connection: Connection,
        record: CommandRecord,
        before: State | None,
        actor: PrincipalId,
        body: dict[str, JsonValue],
    ) -> None:
        facts: dict[str, JsonValue] = {
            "from": before.value if before else None,
            "to": record.state.value,
            "version": record.version,
            "kind": record.command.kind,
            "target": record.command.target.address,
            "idempotency_key": record.command.idempotency_key,
            "fencing": record.fencing,
            "reason": record.reason,
        }
        self.note(connection, record, f"command.{record.state.value.lower()}", actor, {**facts, **body})
        self.outbox.append(connection, changed_event(record))
        if record.state in PAGES:
            self.outbox.append(connection, page_event(record))


def changed_event(record: CommandRecord) -> OutgoingEvent:
    """Return the event that tells of a command's new state."""
    data = CommandChanged(
        command=record.command.id,
        kind=record.command.kind,
        state=record.state,
        digest=record.digest,
        target=record.command.target.address,
        reason=record.reason,
    )
    return outgoing(record, "opsmesh.command.changed.v1", data.model_dump(mode="json"), "info")


def page_event(record: CommandRecord) -> OutgoingEvent:
    """Return the event that calls a person, with the runbook filled in."""
    data = PageRaised(
        command=record.command.id,
        incident=record.command.incident,
        reason=f"{record.command.kind} on {record.command.target.address} is {record.state}: {record.reason}",
        runbook=runbook(record),
    )
    return outgoing(record, "opsmesh.page.raised.v1", data.model_dump(mode="json"), "error")


def outgoing(record: CommandRecord, kind: str, data: dict[str, JsonValue], severity: Severity) -> OutgoingEvent:
    """Return an event about a command with its canonical dimensions."""
    command = record.command
    dimensions = Dimensions(
        environmentid=command.environment,
        serviceid=command.target.id if command.target.kind == "service" else None,
        severity=severity,
        traceparent=command.trace,
        correlationid=command.incident,
        causationid=command.parent,
        sequence=str(record.version),
    )
    return OutgoingEvent(type=kind, tenant=command.tenant, subject=command.id, dimensions=dimensions, data=data)


def _row(record: CommandRecord) -> dict[str, object]:
    command = record.command
    if command.digest != record.digest:
        raise Broken("a command's digest does not match its body", reason="digest_mismatch")
    named = ("id", "tenant", "environment", "kind", "proposer", "incident", "parent", "role", "idempotency_key")
    return {
        **{name: getattr(command, name) for name in named},
        "target": command.target.address,
        "expires_at": command.expires_at,
        "proposed_at": command.proposed_at,
        "digest": record.digest,
        "state": record.state.value,
        "version": record.version,
        "updated_at": record.updated_at,
        "body": command.model_dump(mode="json"),
    }
