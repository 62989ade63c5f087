"""One answer for a whole plan: it counts for exactly the digests of its commands, in one transaction, or not at all.

Rights are checked for every command; the quorum is the largest that any of them needs. Each answer is recorded beside
each command it is for, so that the checks at execution time find what they find for a command of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sqlalchemy import Connection

from domain.base import Digest
from domain.commands import CommandRecord, State
from domain.decisions import Approval, Ask, PlanDecideResult
from domain.errors import Broken, NotFound, Refused
from domain.ids import CommandId, TenantId
from domain.plans import PlanRecord, PlanState
from domain.ports import Clock, CrashPoints
from domain.principals import Principal
from governance import budgets
from governance.approvals import Channel
from governance.machine import decision_event
from governance.plan_records import load_plan
from governance.plans import Plans
from governance.records import approvals_of, decision_of
from governance.rights import FindPrincipal, stopped_by_freeze, unfit_to_approve
from governance.steps import Steps
from governance.switches import frozen
from storage.engine import Database
from storage.tables.governance import approvals

Verdict = Literal["approve", "reject"]


@dataclass(frozen=True, slots=True)
class PlanAnswer:
    """One authenticated click on a plan: which, the digest that was on the card, who, what."""

    tenant: TenantId
    plan: str
    digest: Digest
    principal: Principal
    verdict: Verdict
    channel: Channel
    note: str = ""
    forbidden: Mapping[CommandId, Sequence[str]] = field(default_factory=dict[CommandId, Sequence[str]])
    """By command, the reasons for which policy's `approve` question says no to this person."""


class PlanApprovals:
    """Decides plans that await approval."""

    def __init__(  # the parts of one transaction
        self, database: Database, steps: Steps, plans: Plans, find: FindPrincipal, clock: Clock, crash: CrashPoints
    ) -> None:
        self._database = database
        self._steps = steps
        self._plans = plans
        self._find = find
        self._clock = clock
        self._crash = crash

    def decide(self, answer: PlanAnswer) -> PlanDecideResult:
        """Count an answer. Raises Refused when it may not count, NotFound outside the person's tenants."""
        with self._database.begin() as connection:
            record = load_plan(connection, answer.tenant, answer.plan, lock=True)
            if not answer.principal.roles_on(answer.tenant, record.plan.environment):
                raise NotFound(f"no plan {answer.plan} in tenant {answer.tenant}", reason="no_such_plan")
            result = self._judge(connection, record, answer)
            if isinstance(result, str):  # committed as an audit record before it is refused
                body = {"verdict": answer.verdict, "channel": answer.channel, "reason": result}
                self._plans.note(connection, record, "plan.approval_refused", answer.principal.id, body)
            self._crash.reach("plan.before_commit", plan=answer.plan)
        if isinstance(result, str):
            raise Refused(result, reason=result.partition(":")[0])
        self._crash.reach("plan.committed", plan=answer.plan)
        return result

    def _judge(self, connection: Connection, record: PlanRecord, answer: PlanAnswer) -> PlanDecideResult | str:
        """Return the result, or why the answer may not count."""
        if record.standing is not PlanState.AWAITING_APPROVAL:
            return _result(record, answer, won=False, message=f"already {record.standing}")
        waiting = [(member, self._ask(connection, member)) for member in _waiting(record)]
        now = self._clock.now()
        if now >= min(record.plan.window_end, *(ask.expires_at for _, ask in waiting)):
            return self._end(connection, record, answer, State.EXPIRED, "the answer came after the approval expired")
        if answer.digest != record.digest:
            return "digest_mismatch: the answer was given to another version of the plan"
        for member, ask in waiting:
            if refusal := self._refusal(member, ask, answer):
                return f"{refusal} ({member.command.kind} on {member.command.target.address})"
        if answer.verdict == "reject":
            self._store(connection, record, answer)
            return self._end(connection, record, answer, State.REJECTED, f"rejected by {answer.principal.id}")
        return self._approve(connection, record, answer, max(ask.quorum for _, ask in waiting))

    def _approve(
        self, connection: Connection, record: PlanRecord, answer: PlanAnswer, quorum: int
    ) -> PlanDecideResult | str:
        before = [a.principal for a in approvals_of(connection, answer.tenant, _waiting(record)[0].command.id)]
        if answer.principal.id in before:
            return _result(record, answer, won=False, message="you have approved this plan already")
        if len(before) + 1 >= quorum:
            people = [answer.principal, *(p for b in before if (p := self._find(connection, b)) is not None)]
            if refusal := self._hold(connection, record, people):
                return refusal
        self._store(connection, record, answer)
        if len(before) + 1 < quorum:
            return _result(record, answer, won=False, message=f"{len(before) + 1} of {quorum} approvals")
        return self._end(connection, record, answer, State.APPROVED, f"approved by {answer.principal.id}")

    def _refusal(self, member: CommandRecord, ask: Ask, answer: PlanAnswer) -> str | None:
        refusal = unfit_to_approve(answer.principal, member.command, ask, (), self._clock.now())
        forbidden = answer.forbidden.get(member.command.id, ())
        if refusal is None and forbidden and answer.verdict == "approve":
            refusal = f"policy: {'; '.join(forbidden)}"
        return refusal

    def _hold(self, connection: Connection, record: PlanRecord, people: Sequence[Principal]) -> str | None:
        """Reserve every command's budget, or none and return why: the plan is approved as a whole."""
        now, held = self._clock.now(), list[CommandId]()
        for member in _waiting(record):
            command = member.command
            refusal = stopped_by_freeze(frozen(connection, command, now), people, command)
            refusal = refusal or budgets.hold(connection, command.id, now)
            if refusal:
                for taken in held:
                    budgets.move(connection, taken, "asked", now)
                return refusal
            held.append(command.id)
        return None

    def _end(
        self, connection: Connection, record: PlanRecord, answer: PlanAnswer, to: State, reason: str
    ) -> PlanDecideResult:
        """Move every waiting command, and settle the plan, which cancels what policy had already allowed."""
        who = answer.principal.id
        for member in _waiting(record):
            moved = self._steps.step(connection, member, to, actor=who, reason=reason, decided_by=who)
            if to is not State.EXPIRED:
                text = (answer.note or reason,)
                self._steps.emit(connection, (decision_event(moved, answer.verdict, who, text),))
        now = self._plans.settled(connection, load_plan(connection, answer.tenant, answer.plan), who)
        return _result(now, answer, won=to is not State.EXPIRED, message=reason)

    def _store(self, connection: Connection, record: PlanRecord, answer: PlanAnswer) -> None:
        now = self._clock.now()
        for member in _waiting(record):
            before = approvals_of(connection, answer.tenant, member.command.id)
            if answer.principal.id in {approval.principal for approval in before}:
                continue  # who approved before and now rejects: the audit has both
            approval = Approval(
                command=member.command.id, digest=member.digest, principal=answer.principal.id,
                verdict=answer.verdict, at=now, channel=answer.channel, note=answer.note,
            )  # fmt: skip
            connection.execute(approvals.insert().values(**approval.model_dump(), tenant=answer.tenant))
        body = {"verdict": answer.verdict, "channel": answer.channel, "note": answer.note}
        self._plans.note(connection, record, "plan.answered", answer.principal.id, body)

    def _ask(self, connection: Connection, member: CommandRecord) -> Ask:
        decision = decision_of(connection, member.command.tenant, member.command.id)
        if decision is None or decision.ask is None:
            raise Broken(f"command {member.command.id} awaits approval but nobody was asked", reason="no_ask")
        return decision.ask


def _waiting(record: PlanRecord) -> list[CommandRecord]:
    return [member for member in record.members if member.state is State.AWAITING_APPROVAL]


def _result(record: PlanRecord, answer: PlanAnswer, *, won: bool, message: str) -> PlanDecideResult:
    by = answer.principal.id if won else next((m.decided_by for m in record.members if m.decided_by), None)
    return PlanDecideResult(plan=answer.plan, won=won, state=record.standing, decided_by=by, message=message)
