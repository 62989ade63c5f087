"""Counting people's answers by one set of rules, for a command by itself and for all that wait in a plan.

The quorum is the largest that any of them needs, rights and policy are asked for each, budgets are held for all or for
none. One answer per person and command stands, beside each command it is for, so that the checks at execution find it
there: until the decision who approved may reject, which ends it; afterwards nobody changes their mind. The audit has
every answer.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydantic import JsonValue
from sqlalchemy import Connection, update

from domain.base import Digest
from domain.commands import CommandRecord, State
from domain.decisions import Approval, Ask
from domain.errors import Broken
from domain.ids import CommandId, PrincipalId, TenantId
from domain.ports import Clock
from domain.principals import Principal
from governance import budgets
from governance.machine import CLOCKWORK, decision_event
from governance.records import ancestors, approvals_of, decision_of
from governance.rights import FindPrincipal, accountable_for, stopped_by_freeze, unaccountable, unfit_to_approve
from governance.steps import Steps
from governance.switches import frozen
from storage.tables.governance import approvals

Channel = Literal["cli", "api", "web", "slack", "teams"]
Verdict = Literal["approve", "reject"]


@dataclass(frozen=True, slots=True)
class Answer:
    """One authenticated click: on which command or plan, the digest that was on the card, who, what."""

    tenant: TenantId
    subject: str
    digest: Digest
    principal: Principal
    verdict: Verdict
    channel: Channel
    note: str = ""
    forbidden: Mapping[CommandId, Sequence[str]] = field(default_factory=dict[CommandId, Sequence[str]])
    """By command, the reasons for which policy's `approve` question says no to this person."""


@dataclass(frozen=True, slots=True)
class Ballot:
    """What is decided at once: its commands, the digest an answer must name, where the audit keeps it."""

    members: Sequence[CommandRecord]
    digest: Digest
    note: Callable[[str, PrincipalId, Mapping[str, JsonValue]], None]
    closed: str = ""
    """Why it takes no answer: a command of a plan is answered with the plan, a stored plan is not what it was."""

    @property
    def waiting(self) -> Sequence[CommandRecord]:
        """Its commands that somebody was asked about and nobody has decided."""
        return [member for member in self.members if member.state is State.AWAITING_APPROVAL]


@dataclass(frozen=True, slots=True)
class Counted:
    """What an answer came to."""

    message: str
    to: State | None = None
    """Where every waiting command went; None while they wait on."""


class Ballots:
    """Counts answers within the caller's transaction, which holds the locks."""

    def __init__(self, steps: Steps, find: FindPrincipal, clock: Clock) -> None:
        self._steps = steps
        self._find = find
        self._clock = clock

    def count(self, connection: Connection, ballot: Ballot, answer: Answer) -> Counted | str:
        """Return what an answer comes to, or why it may not count; either is audited."""
        result = self._judge(connection, ballot, answer)
        if isinstance(result, str):
            self._refuse(ballot, answer, result)
        return result

    def contradiction(self, connection: Connection, ballot: Ballot, answer: Answer) -> str | None:
        """Return why a late answer conflicts with the same person's own that stands; None where it does not."""
        mine = [a for m in ballot.members for a in _answers(connection, m) if a.principal == answer.principal.id]
        if all(own.verdict == answer.verdict for own in mine):
            return None
        said = f"you answered {mine[0].verdict} and it is decided: an answer is not changed any more"
        self._refuse(ballot, answer, said)
        return said

    def _refuse(self, ballot: Ballot, answer: Answer, reason: str) -> None:
        body = {"verdict": answer.verdict, "channel": answer.channel, "reason": reason}
        ballot.note("approval.refused", answer.principal.id, body)

    def _judge(self, connection: Connection, ballot: Ballot, answer: Answer) -> Counted | str:
        if ballot.closed:
            return ballot.closed
        asks = [(member, _ask(connection, member)) for member in ballot.waiting]
        if self._clock.now() >= min(min(ask.expires_at, member.command.expires_at) for member, ask in asks):
            late = "the answer came after the approval expired"
            for member in ballot.waiting:
                self._steps.step(connection, member, State.EXPIRED, actor=CLOCKWORK, reason=late)
            return Counted(late, State.EXPIRED)
        if answer.digest != ballot.digest:
            return "digest_mismatch: the answer was given to another version"
        for member, ask in asks:
            if refusal := self._refusal(connection, member, ask, answer):
                return f"{refusal} ({member.command.kind} on {member.command.target.address})"
        if answer.verdict == "reject":
            return self._end(connection, ballot, answer, State.REJECTED)
        return self._approve(connection, ballot, answer, max(ask.quorum for _, ask in asks))

    def _approve(self, connection: Connection, ballot: Ballot, answer: Answer, quorum: int) -> Counted | str:
        before = [own.principal for own in _answers(connection, ballot.waiting[0])]
        if answer.principal.id in before:
            return Counted("you have approved already")
        if len(before) + 1 < quorum:
            self._store(connection, ballot, answer)
            return Counted(f"{len(before) + 1} of {quorum} approvals")
        people = [answer.principal, *(p for b in before if (p := self._find(connection, b)) is not None)]
        refusal = self._hold(connection, ballot.waiting, people)
        return refusal or self._end(connection, ballot, answer, State.APPROVED)

    def _refusal(self, connection: Connection, member: CommandRecord, ask: Ask, answer: Answer) -> str | None:
        authors = [ancestor.command.proposer for ancestor in ancestors(connection, member)]
        refusal = unfit_to_approve(answer.principal, member.command, ask, authors, self._clock.now())
        forbidden = answer.forbidden.get(member.command.id, ())
        if refusal is None and forbidden and answer.verdict == "approve":
            refusal = f"policy: {'; '.join(forbidden)}"
        name = accountable_for(member.command) if answer.verdict == "approve" else None
        if refusal is None and name is not None:
            refusal = unaccountable(self._find(connection, name), member.command, authors, self._clock.now())
        return refusal

    def _hold(
        self, connection: Connection, waiting: Sequence[CommandRecord], people: Sequence[Principal]
    ) -> str | None:
        """Reserve every command's budget, or none and return why."""
        now, held = self._clock.now(), list[CommandId]()
        for member in waiting:
            command = member.command
            refusal = stopped_by_freeze(frozen(connection, command, now), people, command)
            refusal = refusal or budgets.hold(connection, command.id, now)
            if refusal:
                for taken in held:
                    budgets.move(connection, taken, "asked", now)
                return refusal
            held.append(command.id)
        return None

    def _end(self, connection: Connection, ballot: Ballot, answer: Answer, to: State) -> Counted:
        self._store(connection, ballot, answer)
        who = answer.principal.id
        reason = f"{to.value.lower()} by {who}"
        for member in ballot.waiting:
            moved = self._steps.step(connection, member, to, actor=who, reason=reason, decided_by=who)
            self._steps.emit(connection, (decision_event(moved, answer.verdict, who, (answer.note or reason,)),))
        return Counted(reason, to)

    def _store(self, connection: Connection, ballot: Ballot, answer: Answer) -> None:
        for member in ballot.waiting:
            approval = Approval(
                command=member.command.id, digest=member.digest, principal=answer.principal.id,
                verdict=answer.verdict, at=self._clock.now(), channel=answer.channel, note=answer.note,
            )  # fmt: skip
            row = {**approval.model_dump(), "tenant": answer.tenant}
            own = (approvals.c.command == approval.command, approvals.c.principal == approval.principal)
            if connection.execute(update(approvals).where(*own).values(row)).rowcount == 0:
                connection.execute(approvals.insert().values(row))
        body = {"verdict": answer.verdict, "channel": answer.channel, "note": answer.note}
        ballot.note("approval.recorded", answer.principal.id, body)


def _answers(connection: Connection, member: CommandRecord) -> Sequence[Approval]:
    return approvals_of(connection, member.command.tenant, member.command.id)


def _ask(connection: Connection, member: CommandRecord) -> Ask:
    decision = decision_of(connection, member.command.tenant, member.command.id)
    if decision is None or decision.ask is None:
        raise Broken(f"command {member.command.id} awaits approval but nobody was asked", reason="no_ask")
    return decision.ask
