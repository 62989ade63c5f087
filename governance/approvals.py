"""Approvals: people's answers to one exact digest, by one door whichever surface they come from.

The first decider wins; a late or second click gets the first answer. A refused attempt is audited before it is refused.
"""

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection

from domain.base import Digest
from domain.commands import CommandRecord, State
from domain.decisions import Approval, Ask, DecideResult
from domain.errors import Broken, NotFound, Refused
from domain.ids import CommandId, TenantId
from domain.ports import Clock, CrashPoints
from domain.principals import Principal
from governance import budgets
from governance.machine import CLOCKWORK, already, decision_event
from governance.plan_records import hint, plan_id_of
from governance.records import ancestors, approvals_of, decision_of, load
from governance.rights import FindPrincipal, stopped_by_freeze, unfit_to_approve
from governance.steps import Steps
from governance.switches import frozen
from storage.engine import Database
from storage.tables.governance import approvals

Channel = Literal["cli", "api", "web", "slack", "teams"]


@dataclass(frozen=True, slots=True)
class Answer:
    """One authenticated click: which command, the digest that was on the card, who, what."""

    tenant: TenantId
    command: CommandId
    digest: Digest
    principal: Principal
    verdict: Literal["approve", "reject"]
    channel: Channel
    note: str = ""
    forbidden: tuple[str, ...] = ()
    """Reasons for which policy's `approve` question says no to this person; empty when it says yes."""


class Approvals:
    """Decides AWAITING_APPROVAL commands."""

    def __init__(self, database: Database, steps: Steps, find: FindPrincipal, clock: Clock, crash: CrashPoints) -> None:
        self._database = database
        self._steps = steps
        self._find = find
        self._clock = clock
        self._crash = crash

    def decide(self, answer: Answer) -> DecideResult:
        """Count an answer. Raises Refused when it may not count, NotFound outside the person's tenants."""
        with self._database.begin() as connection:
            record = load(connection, answer.tenant, answer.command, lock=True)
            if not answer.principal.roles_on(answer.tenant, record.command.environment):
                raise NotFound(f"no command {answer.command} in tenant {answer.tenant}", reason="no_such_command")
            if record.state is not State.AWAITING_APPROVAL:
                return already(record)
            plan = plan_id_of(connection, answer.command)
            result = self._judge(connection, record, answer) if plan is None else hint(plan)
            if isinstance(result, str):  # committed as an audit record before it is refused
                body = {"verdict": answer.verdict, "channel": answer.channel, "reason": result}
                self._steps.note(connection, record, "approval.refused", answer.principal.id, body)
            self._crash.reach("approve.before_commit", command=answer.command)
        if isinstance(result, str):
            raise Refused(result, reason=result.partition(":")[0])
        if result.state == State.APPROVED:
            self._crash.reach("approve.before_claim", command=answer.command)
        return result

    def _judge(self, connection: Connection, record: CommandRecord, answer: Answer) -> DecideResult | str:
        """Return the result, or why the answer may not count."""
        ask = _ask(connection, record)
        now = self._clock.now()
        if now >= min(ask.expires_at, record.command.expires_at):
            reason = "the answer came after the approval expired"
            return already(self._steps.step(connection, record, State.EXPIRED, actor=CLOCKWORK, reason=reason))
        if refusal := self._refusal(connection, record, answer, ask):
            return refusal
        if answer.verdict == "reject":
            return self._end(connection, record, answer, State.REJECTED)
        before = approvals_of(connection, answer.tenant, answer.command)
        if answer.principal.id in {approval.principal for approval in before}:
            return _counted(record, "you have approved this command already")
        if len(before) + 1 < ask.quorum:
            self._store(connection, record, answer)
            return _counted(record, f"{len(before) + 1} of {ask.quorum} approvals")
        people = [answer.principal, *(p for a in before if (p := self._find(connection, a.principal)) is not None)]
        refusal = stopped_by_freeze(frozen(connection, record.command, now), people, record.command)
        refusal = refusal or budgets.hold(connection, record.command.id, now)
        return refusal or self._end(connection, record, answer, State.APPROVED)

    def _refusal(self, connection: Connection, record: CommandRecord, answer: Answer, ask: Ask) -> str | None:
        if answer.digest != record.digest:
            return "digest_mismatch: the answer was given to another version of the command"
        authors = [ancestor.command.proposer for ancestor in ancestors(connection, record)]
        refusal = unfit_to_approve(answer.principal, record.command, ask, authors, self._clock.now())
        if refusal is None and answer.forbidden:
            refusal = f"policy: {'; '.join(answer.forbidden)}"
        return refusal

    def _end(self, connection: Connection, record: CommandRecord, answer: Answer, to: State) -> DecideResult:
        self._store(connection, record, answer)
        who = answer.principal.id
        done = "approved" if to is State.APPROVED else "rejected"
        reason = f"{done} by {who}"
        moved = self._steps.step(connection, record, to, actor=who, reason=reason, decided_by=who)
        self._steps.emit(connection, (decision_event(moved, answer.verdict, who, (answer.note or reason,)),))
        return DecideResult(command=answer.command, won=True, state=moved.state, decided_by=who, message=reason)

    def _store(self, connection: Connection, record: CommandRecord, answer: Answer) -> None:
        approval = Approval(
            command=answer.command,
            digest=answer.digest,
            principal=answer.principal.id,
            verdict=answer.verdict,
            at=self._clock.now(),
            channel=answer.channel,
            note=answer.note,
        )
        connection.execute(approvals.insert().values(**approval.model_dump(), tenant=answer.tenant))
        body = approval.model_dump(mode="json")
        self._steps.note(connection, record, "approval.recorded", answer.principal.id, body)


def _ask(connection: Connection, record: CommandRecord) -> Ask:
    decision = decision_of(connection, record.command.tenant, record.command.id)
    if decision is None or decision.ask is None:
        raise Broken(f"command {record.command.id} awaits approval but nobody was asked", reason="no_ask")
    return decision.ask


def _counted(record: CommandRecord, message: str) -> DecideResult:
    return DecideResult(command=record.command.id, won=False, state=record.state, decided_by=None, message=message)
