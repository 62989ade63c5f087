"""Execution: claimed under a lease with a fencing number, recorded, verified, undone, or taken over from the dead.

A worker holds a command as long as its fencing number is the record's; a stale one is refused at every step. An effect
whose end is unknown is UNKNOWN until the target says, and is never sent again.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import Connection

from domain.commands import IN_FLIGHT, Command, CommandRecord, State
from domain.errors import Conflict, Invalid, Refused
from domain.events import OutgoingEvent
from domain.ids import CommandId, PrincipalId, TenantId
from domain.outcomes import EffectReceipt
from domain.ports import Clock, CrashPoints
from governance import budgets
from governance.gate import reserve, take_gate
from governance.narrowing import beyond_inverse
from governance.plan_records import may_compensate, not_its_turn
from governance.records import Scope, ancestors, approvals_of, decision_of, lease_ended, listed, load
from governance.revalidate import Current, Snapshot, revalidate
from governance.rights import FindPrincipal, accountable_for
from governance.steps import Steps
from governance.switches import engaged, frozen
from storage.engine import Database

Verdict = Literal[State.SUCCEEDED, State.REGRESSED, State.INCONCLUSIVE]
_UNDOABLE = frozenset({State.REGRESSED, State.INCONCLUSIVE, State.FAILED})
_LEASED = IN_FLIGHT | _UNDOABLE


class Executions:
    """The path from APPROVED to the end. Every method is one transaction."""

    def __init__(self, database: Database, steps: Steps, find: FindPrincipal, clock: Clock, crash: CrashPoints) -> None:
        self._database = database
        self._steps = steps
        self._find = find
        self._clock = clock
        self._crash = crash

    def claim(
        self, tenant: TenantId, command: CommandId, *, worker: PrincipalId, lease_s: float, current: Current
    ) -> CommandRecord:
        """Check everything again and start: EXECUTING with lease and fencing number, or LAPSED, EXPIRED with reason.

        Raises Conflict while another command holds a resource or failure domain (`in_flight`) or its plan has another
        turn (`not_its_turn`): try again later.
        Behind the gate, so that no switch thrown before is missed.
        """
        with self._database.begin() as connection:
            fencing = take_gate(connection)
            record = load(connection, tenant, command, lock=True)
            if record.state is not State.APPROVED:
                raise Conflict(f"command {command} is {record.state}, not approved", reason="not_approved")
            if wait := not_its_turn(connection, record, self._clock.now()):
                raise Conflict(f"command {command} waits: {wait}", reason="not_its_turn")
            reason = revalidate(self._snapshot(connection, record, current))
            if reason is None:
                moved = self._start(connection, record, fencing, worker, lease_s)
            else:
                to = State.EXPIRED if reason.startswith("expired:") else State.LAPSED
                moved = self._steps.step(connection, record, to, actor=worker, reason=reason)
            self._crash.reach("claim.before_commit", command=command)
        if moved.state is State.EXECUTING:
            self._crash.reach("claim.before_effect", command=command)
        return moved

    def renew(self, tenant: TenantId, command: CommandId, *, fencing: int, lease_s: float) -> CommandRecord:
        """Prolong the lease; Refused (`fenced`) when somebody else holds the command, `lease_ended` when it is late."""
        with self._database.begin() as connection:
            record = self._held(connection, tenant, command, fencing)
            if record.lease_until is None or record.lease_until <= self._clock.now():
                raise Refused("the lease has ended; the command may be taken over", reason="lease_ended")
            return self._steps.touch(
                connection, record, actor=record.command.proposer, lease_until=self._lease(lease_s)
            )

    def record_effect(
        self, tenant: TenantId, command: CommandId, *, fencing: int, worker: PrincipalId, receipt: EffectReceipt
    ) -> CommandRecord:
        """Record what the target answered: EXECUTED, FAILED or UNKNOWN. Also resolves an UNKNOWN once it is known."""
        self._crash.reach("effect.before_record", command=command)
        to = {"applied": State.EXECUTED, "not_applied": State.FAILED, "unknown": State.UNKNOWN}[receipt.status]
        with self._database.begin() as connection:
            record = self._held(connection, tenant, command, fencing)
            if receipt.idempotency_key != record.command.idempotency_key:
                raise Invalid("the receipt is for another idempotency key", reason="key_mismatch")
            if record.state is to is State.UNKNOWN:
                return record
            body = {"receipt": receipt.model_dump(mode="json")}
            moved = self._steps.step(connection, record, to, actor=worker, reason=receipt.detail, body=body)
            self._crash.reach("record.before_commit", command=command)
        self._crash.reach("record.before_verify", command=command)
        return moved

    def fail(
        self, tenant: TenantId, command: CommandId, *, fencing: int, worker: PrincipalId, reason: str
    ) -> CommandRecord:
        """Record that the effect failed, wholly or in part."""
        return self._move(tenant, command, fencing, State.FAILED, worker, reason, "record.before_commit")

    def to_unknown(
        self, tenant: TenantId, command: CommandId, *, fencing: int, worker: PrincipalId, reason: str
    ) -> CommandRecord:
        """Record that nobody knows whether the effect happened."""
        return self._move(tenant, command, fencing, State.UNKNOWN, worker, reason, "record.before_commit")

    def start_verifying(
        self, tenant: TenantId, command: CommandId, *, fencing: int, worker: PrincipalId
    ) -> CommandRecord:
        """Begin the hold window."""
        return self._move(tenant, command, fencing, State.VERIFYING, worker, "", "verify.before_commit")

    def finish(
        self,
        tenant: TenantId,
        command: CommandId,
        *,
        fencing: int,
        worker: PrincipalId,
        verdict: Verdict,
        reason: str = "",
        events: Sequence[OutgoingEvent] = (),
    ) -> CommandRecord:
        """Record the verdict of the verification; `events` (the outcome) leave with it."""
        moved = self._move(tenant, command, fencing, verdict, worker, reason, "finish.before_commit", events)
        self._crash.reach("finish.committed", command=command)
        return moved

    def start_undo(
        self, tenant: TenantId, command: CommandId, *, fencing: int, worker: PrincipalId, child: Command
    ) -> tuple[CommandRecord, CommandRecord]:
        """Begin the undo: the parent is UNDOING, its child APPROVED by the parent's decision. Return both.

        Conflict (`in_flight`) when another command has taken the resources of a FAILED or INCONCLUSIVE parent.
        """
        if child.parent != command or child.role != "undo" or child.tenant != tenant:
            raise Invalid("an undo must name its parent and share its tenant", reason="not_an_undo")
        with self._database.begin() as connection:
            take_gate(connection)
            record = self._held(connection, tenant, command, fencing)
            if record.command.role != "forward":
                raise Refused("an undo is not undone: no decision allows that", reason="undo_of_undo")
            if record.state is State.SUCCEEDED and not may_compensate(connection, record):
                raise Refused("what succeeded is undone only when its plan has stopped", reason="not_compensated")
            if beyond := beyond_inverse(record.command, child):
                raise Refused(f"an undo restores only what its command wrote: {beyond}", reason="undo_too_wide")
            self._keep(connection, record.command)
            body = {"child": child.id}
            parent = self._steps.step(connection, record, State.UNDOING, actor=worker, body=body)
            made = self._steps.insert(connection, child, actor=worker)
            if made is None:
                raise Conflict("this undo was begun before", reason="key_taken")
            reason = f"undo of {command}, allowed by its decision"
            undo = self._steps.step(
                connection,
                made,
                State.APPROVED,
                actor=worker,
                reason=reason,
                decided_by=record.decided_by or worker,
                policy_digest=record.policy_digest,
            )
            self._crash.reach("undo.before_commit", command=command)
        self._crash.reach("undo.during", command=command)
        return parent, undo

    def finish_undo(
        self,
        tenant: TenantId,
        command: CommandId,
        *,
        fencing: int,
        worker: PrincipalId,
        undone: bool,
        reason: str = "",
        events: Sequence[OutgoingEvent] = (),
    ) -> CommandRecord:
        """Record how the undo ended: UNDONE, or UNDO_FAILED which pages."""
        self._crash.reach("undo.before_record", command=command)
        to = State.UNDONE if undone else State.UNDO_FAILED
        return self._move(tenant, command, fencing, to, worker, reason, "finish.before_commit", events)

    def take_over(self, tenant: TenantId, command: CommandId, *, worker: PrincipalId, lease_s: float) -> CommandRecord:
        """Take a command whose worker's lease ended, under a new fencing number; EXECUTING becomes UNKNOWN.

        Exactly one of several takers wins; the old worker is refused from then on.
        """
        with self._database.begin() as connection:
            fencing = take_gate(connection)
            record = load(connection, tenant, command, lock=True)
            if record.state not in _LEASED or record.fencing is None or record.lease_until is None:
                raise Conflict(f"command {command} is {record.state}, not in flight", reason="not_in_flight")
            if record.lease_until > self._clock.now():
                raise Conflict(f"command {command} is held until {record.lease_until.isoformat()}", reason="leased")
            lease = self._lease(lease_s)
            if record.state is State.EXECUTING:
                moved = self._steps.step(
                    connection,
                    record,
                    State.UNKNOWN,
                    actor=worker,
                    reason="its worker's lease ended mid-effect",
                    fencing=fencing,
                    worker=worker,
                    lease_until=lease,
                )
            else:
                moved = self._steps.touch(
                    connection,
                    record,
                    actor=worker,
                    action="command.taken_over",
                    fencing=fencing,
                    worker=worker,
                    lease_until=lease,
                )
            self._crash.reach("recover.before_commit", command=command)
        return moved

    def in_flight(self, scope: Scope) -> tuple[CommandRecord, ...]:
        """Return what has started and not ended."""
        with self._database.read() as connection:
            return listed(connection, scope, states=IN_FLIGHT, limit=100_000)

    def stuck(self, scope: Scope) -> tuple[CommandRecord, ...]:
        """Return what is in flight under a lease that ended: its worker is dead or slow."""
        with self._database.read() as connection:
            return lease_ended(connection, scope, IN_FLIGHT, self._clock.now())

    def _start(
        self, connection: Connection, record: CommandRecord, fencing: int, worker: PrincipalId, lease_s: float
    ) -> CommandRecord:
        self._keep(connection, record.command)
        return self._steps.step(
            connection,
            record,
            State.EXECUTING,
            actor=worker,
            fencing=fencing,
            worker=worker,
            lease_until=self._lease(lease_s),
        )

    def _keep(self, connection: Connection, command: Command) -> None:
        held = reserve(connection, command, self._clock.now())
        if held is not None:
            key, holder = held
            raise Conflict(f"{key} is in the hands of command {holder}", reason="in_flight")

    def _move(
        self,
        tenant: TenantId,
        command: CommandId,
        fencing: int,
        to: State,
        worker: PrincipalId,
        reason: str,
        point: str,
        events: Sequence[OutgoingEvent] = (),
    ) -> CommandRecord:
        with self._database.begin() as connection:
            record = self._held(connection, tenant, command, fencing)
            moved = self._steps.step(connection, record, to, actor=worker, reason=reason)
            self._steps.emit(connection, events)
            self._crash.reach(point, command=command)
        return moved

    def _held(self, connection: Connection, tenant: TenantId, command: CommandId, fencing: int) -> CommandRecord:
        record = load(connection, tenant, command, lock=True)
        if record.fencing != fencing:
            raise Refused(f"fenced: command {command} is in other hands ({record.fencing})", reason="fenced")
        return record

    def _lease(self, lease_s: float) -> datetime:
        return self._clock.now() + timedelta(seconds=lease_s)

    def _snapshot(self, connection: Connection, record: CommandRecord, current: Current) -> Snapshot:
        command, now = record.command, self._clock.now()
        approvals = approvals_of(connection, command.tenant, command.id)
        people = [self._find(connection, approval.principal) for approval in approvals]
        family = ancestors(connection, record)
        return Snapshot(
            at=now,
            record=record,
            current=current,
            decision=decision_of(connection, command.tenant, command.id),
            approvals=approvals,
            approvers={person.id: person for person in people if person is not None},
            accountable=None if (name := accountable_for(command)) is None else self._find(connection, name),
            authors=tuple(ancestor.command.proposer for ancestor in family),
            switches=engaged(connection),
            freezes=frozen(connection, command, now),
            budget=budgets.shortfall(connection, command.id, now),
            parent_state=family[0].state if family else None,
        )
