"""Commands on their way to execution: proposed, decided by policy, cancelled, superseded, expired.

Execution and what follows is `governance.execution`; people's answers are `governance.approvals`.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, and_, or_

from domain.catalogue import DecisionRecorded
from domain.commands import Command, CommandRecord, State
from domain.decisions import Approval, DecideResult, Decision
from domain.errors import Broken, Conflict, Invalid, Refused
from domain.events import OutgoingEvent
from domain.ids import CommandId, IncidentId, PrincipalId, TenantId
from domain.ports import Clock, CrashPoints
from governance import budgets
from governance.budgets import Charge
from governance.narrowing import widening
from governance.plan_records import hint, plan_id_of
from governance.records import Scope, approvals_of, decision_of, listed, load, record_of, scoped
from governance.steps import Steps, outgoing
from storage.engine import Database
from storage.tables.governance import commands, decisions

POLICY = PrincipalId("policy")
"""Who decides when nobody is asked."""
CLOCKWORK = PrincipalId("clock")
"""Who ends what nobody answered in time."""
_DUE = (State.PROPOSED, State.AWAITING_APPROVAL, State.APPROVED)


class CommandStore:
    """The path up to execution. Every method is one transaction; reads are scoped by tenant."""

    def __init__(self, database: Database, steps: Steps, clock: Clock, crash: CrashPoints) -> None:
        self._database = database
        self._steps = steps
        self._clock = clock
        self._crash = crash

    def propose(self, command: Command, *, unique: str | None = None) -> CommandRecord:
        """Store a command as PROPOSED and return it, or the first with the same key.

        `unique` names the proposal (incident, evidence digest, agent, attempt): its first command stands, whatever a
        later run proposes. The same idempotency key with another content raises Conflict.
        """
        if command.role != "forward":
            raise Invalid("an undo is begun with its parent, not proposed", reason="undo_not_proposed")
        with self._database.begin() as connection:
            record = self._steps.insert(connection, command, actor=command.proposer, unique=unique)
            if record is None:
                return _first(connection, command, unique)
            self._crash.reach("propose.before_commit", command=command.id)
        self._crash.reach("propose.committed", command=command.id)
        return record

    def record_decision(
        self, tenant: TenantId, decision: Decision, *, charges: Sequence[Charge] | None = None
    ) -> DecideResult:
        """Record policy's decision about a PROPOSED command and take the step it means; a second one learns the first.

        What always needs a human (one-way kinds, untrusted evidence alone) is denied when policy would let it run by
        itself, and so is what no budget holds. Refused when the decision is about another digest.
        """
        with self._database.begin() as connection:
            record = load(connection, tenant, decision.command, lock=True)
            if record.digest != decision.digest:
                raise Refused("the decision is about another digest", reason="digest_mismatch")
            if record.state is not State.PROPOSED:
                return already(record)
            connection.execute(decisions.insert().values(**_decision_row(tenant, decision)))
            wanted = budgets.charges_of(record.command) if charges is None else charges
            budgets.ask(connection, record.command.id, wanted, self._clock.now())
            moved = self._apply(connection, record, decision)
            self._steps.emit(connection, (decision_event(moved, decision.effect, POLICY, decision.reasons),))
            self._crash.reach("decide.before_commit", command=decision.command)
        self._crash.reach("decide.committed", command=decision.command)
        return DecideResult(
            command=decision.command, won=True, state=moved.state, decided_by=POLICY, message=moved.reason
        )

    def cancel(self, tenant: TenantId, command: CommandId, actor: PrincipalId, reason: str) -> CommandRecord:
        """Take a command back before it starts; Conflict when it has started or ended."""
        with self._database.begin() as connection:
            record = load(connection, tenant, command, lock=True)
            moved = self._steps.step(connection, record, State.CANCELLED, actor=actor, reason=reason)
            self._crash.reach("cancel.before_commit", command=command)
        return moved

    def supersede(
        self, tenant: TenantId, parent: CommandId, child: Command, actor: PrincipalId, reason: str
    ) -> CommandRecord:
        """Replace a command before it starts by a narrower child, which needs its own decision; return the child.

        Refused when the child goes beyond what the parent showed.
        """
        if child.parent != parent or child.tenant != tenant or child.role != "forward":
            raise Invalid("the child must name its parent and share its tenant", reason="not_a_child")
        with self._database.begin() as connection:
            record = load(connection, tenant, parent, lock=True)
            if record.command.role != "forward":
                raise Refused("an undo is finished or cancelled, never replaced", reason="undo_not_superseded")
            if (plan := plan_id_of(connection, parent)) is not None:
                raise Refused(hint(plan), reason="plan_member")
            if beyond := widening(record.command, child):
                raise Refused(f"a child may only narrow its parent, this one has {beyond}", reason="not_narrower")
            body = {"child": child.id}
            self._steps.step(connection, record, State.SUPERSEDED, actor=actor, reason=reason, body=body)
            made = self._steps.insert(connection, child, actor=actor)
            if made is None:
                raise Conflict("the child's idempotency key is taken", reason="key_taken")
            self._crash.reach("supersede.before_commit", command=child.id)
        self._crash.reach("supersede.committed", command=child.id)
        return made

    def expire_due(self, scope: Scope, *, limit: int = 500) -> tuple[CommandRecord, ...]:
        """End what nobody decided, approved or started in time; silence means no."""
        now = self._clock.now()
        unanswered = and_(commands.c.state == State.AWAITING_APPROVAL.value, commands.c.approval_expires_at <= now)
        over = or_(commands.c.expires_at <= now, unanswered)
        statement = scoped(scope).where(commands.c.state.in_([s.value for s in _DUE]), over).limit(limit)
        with self._database.read() as connection:
            due = [record_of(row) for row in connection.execute(statement).mappings()]
        return tuple(record for item in due if (record := self._expire(item)) is not None)

    def get(self, scope: Scope, command: CommandId) -> CommandRecord:
        """Return one command of the scope; NotFound otherwise."""
        with self._database.read() as connection:
            return load(connection, scope, command)

    def list(
        self,
        scope: Scope,
        *,
        states: Iterable[State] = (),
        incident: IncidentId | None = None,
        parent: CommandId | None = None,
        limit: int = 500,
    ) -> tuple[CommandRecord, ...]:
        """Return the newest `limit` commands of the scope, oldest first."""
        with self._database.read() as connection:
            return listed(connection, scope, states=states, incident=incident, parent=parent, limit=limit)

    def decision(self, tenant: TenantId, command: CommandId) -> Decision | None:
        """Return policy's decision about a command."""
        with self._database.read() as connection:
            return decision_of(connection, tenant, command)

    def approvals(self, tenant: TenantId, command: CommandId) -> tuple[Approval, ...]:
        """Return people's answers to a command, first come first."""
        with self._database.read() as connection:
            return approvals_of(connection, tenant, command)

    def _apply(self, connection: Connection, record: CommandRecord, decision: Decision) -> CommandRecord:
        reason = "; ".join(decision.reasons)
        body = {"decision": decision.model_dump(mode="json")}
        digest = decision.policy_digest
        if decision.effect == "ask" and decision.ask is not None:
            until = decision.ask.expires_at
            return self._steps.step(
                connection,
                record,
                State.AWAITING_APPROVAL,
                actor=POLICY,
                reason=reason,
                body=body,
                policy_digest=digest,
                approval_expires_at=until,
            )
        refusal = reason if decision.effect != "allow" else self._unfit(connection, record)
        to = State.DENIED if refusal else State.APPROVED
        return self._steps.step(
            connection,
            record,
            to,
            actor=POLICY,
            reason=refusal or reason,
            body=body,
            policy_digest=digest,
            decided_by=POLICY,
        )

    def _unfit(self, connection: Connection, record: CommandRecord) -> str | None:
        """Return why a command may not run unattended whatever policy says, or which budget refuses it."""
        if record.command.spec.reversibility == "one_way":
            return "floor: a one-way command always needs a human"
        if record.command.untrusted_only:
            return "floor: untrusted evidence alone never runs unattended"
        if self._clock.now() >= record.command.expires_at:
            return "expired: the command was over before it was decided"
        return budgets.hold(connection, record.command.id, self._clock.now())

    def _expire(self, record: CommandRecord) -> CommandRecord | None:
        """Expire one command if it is still what was read; None when somebody was faster."""
        undecided = record.state is State.PROPOSED
        to = State.DENIED if undecided else State.EXPIRED
        reason = "no decision before its expiry" if undecided else "nobody answered or started it in time"
        try:
            with self._database.begin() as connection:
                moved = self._steps.step(connection, record, to, actor=CLOCKWORK, reason=reason)
                self._crash.reach("expire.before_commit", command=record.command.id)
        except Conflict:
            return None
        return moved


def already(record: CommandRecord) -> DecideResult:
    """Return the answer to whoever comes second: what stands and who decided it."""
    who = f" by {record.decided_by}" if record.decided_by else ""
    return DecideResult(
        command=record.command.id,
        won=False,
        state=record.state,
        decided_by=record.decided_by,
        message=f"already {record.state}{who}",
    )


def _first(connection: Connection, command: Command, unique: str | None) -> CommandRecord:
    """Return the command that holds the proposal or the key; Conflict when the key stands for something else."""
    mine = scoped(command.tenant)
    if unique is not None:
        row = connection.execute(mine.where(commands.c.proposal_key == unique)).mappings().one_or_none()
        if row is not None:
            return record_of(row)
    row = connection.execute(mine.where(commands.c.idempotency_key == command.idempotency_key)).mappings().one_or_none()
    if row is None:
        raise Broken(f"the id {command.id} is taken", reason="id_taken")
    first = record_of(row)
    same = ("kind", "arguments", "target", "environment", "proposer", "parent")
    if any(getattr(first.command, name) != getattr(command, name) for name in same):
        raise Conflict("the idempotency key stands for another command", reason="key_taken")
    return first


def _decision_row(tenant: TenantId, decision: Decision) -> dict[str, object]:
    plain = {"command": decision.command, "digest": decision.digest, "effect": decision.effect, "at": decision.at}
    return {**plain, "tenant": tenant, "body": decision.model_dump(mode="json")}


def decision_event(record: CommandRecord, effect: str, by: PrincipalId, reasons: Sequence[str]) -> OutgoingEvent:
    """Return the event that tells who decided about a command, and how."""
    data = DecisionRecorded(
        command=record.command.id,
        digest=record.digest,
        effect=effect,
        by=by,
        policy_digest=record.policy_digest or "",
        reasons=tuple(reasons),
    )
    return outgoing(record, "opsmesh.decision.recorded.v1", data.model_dump(mode="json"), "info")
