"""Change plans: several commands decided as one, run strictly in order, taken back in a stated order when one fails.

Where a plan stands follows from where its commands stand, by the pure functions below: there is no second state
machine that could say otherwise, so a crash anywhere leaves a plan from which the loop goes on.
"""

from datetime import datetime
from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from domain.base import Digest, Frozen, UtcDatetime, digest_of
from domain.commands import CommandRecord, State
from domain.ids import CommandId, EnvironmentId, PrincipalId, TenantId

MOST_COMMANDS = 200
"""A plan is one card that a person reads before approving it: more than this nobody does."""


class PlanState(StrEnum):
    """Where a plan stands."""

    PROPOSED = "PROPOSED"
    DENIED = "DENIED"
    AWAITING_APPROVAL = "AWAITING_APPROVAL"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    COMPENSATING = "COMPENSATING"
    UNDONE = "UNDONE"
    """A command ended otherwise, and nothing that the others did stays."""
    STOPPED = "STOPPED"
    """A command ended otherwise, and something stays: it cannot be undone, or its undo failed. Pages."""


PLAN_TERMINAL: frozenset[PlanState] = frozenset(
    {
        PlanState.DENIED,
        PlanState.REJECTED,
        PlanState.EXPIRED,
        PlanState.CANCELLED,
        PlanState.SUCCEEDED,
        PlanState.UNDONE,
        PlanState.STOPPED,
    }
)
PLAN_PAGES: frozenset[PlanState] = frozenset({PlanState.STOPPED})


class PlanWindow(Frozen):
    """When a plan's commands may start: execution expiry, told apart from the expiry of the approval."""

    start: UtcDatetime
    end: UtcDatetime

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.end <= self.start:
            raise ValueError("the window ends before it starts")
        return self


class ChangePlan(Frozen):
    """An ordered set of commands with one digest, one approval, a window and a compensation order."""

    id: str
    tenant: TenantId
    environment: EnvironmentId
    proposer: PrincipalId
    commands: tuple[CommandId, ...] = Field(min_length=1, max_length=MOST_COMMANDS)
    digests: tuple[Digest, ...]
    window_start: UtcDatetime
    window_end: UtcDatetime
    compensate_in: tuple[int, ...]
    """Indexes of commands in the order in which they are undone; one that is not named stays when the plan stops."""

    @model_validator(mode="after")
    def _indexes_fit(self) -> Self:
        if len(self.digests) != len(self.commands):
            raise ValueError("a plan has one digest per command")
        named = set(self.compensate_in)
        if len(named) != len(self.compensate_in) or not named <= set(range(len(self.commands))):
            raise ValueError("compensate_in names each command of the plan at most once")
        return self

    @property
    def digest(self) -> Digest:
        """Digest over the ordered digests, the window and the compensation order."""
        return digest_of(self.model_dump(mode="json", exclude={"id", "commands"}))


class PlanRecord(Frozen):
    """A stored plan with its commands in order. `state` is what was told last; `standing` is what holds now."""

    plan: ChangePlan
    digest: Digest
    state: PlanState
    version: int
    updated_at: UtcDatetime
    reason: str = ""
    rationale: str = ""
    members: tuple[CommandRecord, ...]

    @property
    def standing(self) -> PlanState:
        """Where the plan stands by its commands."""
        return standing(self)


_NOT_RUN: tuple[tuple[State, PlanState], ...] = (
    (State.DENIED, PlanState.DENIED),
    (State.REJECTED, PlanState.REJECTED),
    (State.EXPIRED, PlanState.EXPIRED),
    (State.LAPSED, PlanState.UNDONE),
    (State.CANCELLED, PlanState.CANCELLED),
    (State.PROPOSED, PlanState.PROPOSED),
    (State.AWAITING_APPROVAL, PlanState.AWAITING_APPROVAL),
)
"""What the first of these found among the commands makes of a plan of which nothing has started: any deny denies it."""
_UNSTARTED = frozenset({State.APPROVED} | {state for state, _ in _NOT_RUN})
_ENDED_OTHERWISE = frozenset(
    {
        State.LAPSED,
        State.EXPIRED,
        State.CANCELLED,
        State.SUPERSEDED,
        State.DENIED,
        State.REJECTED,
        State.FAILED,
        State.UNDONE,
        State.UNDO_FAILED,
    }
)
"""Ends that stop a plan. REGRESSED and INCONCLUSIVE are on their way to one: the command's own undo comes first."""

_TICKET_TOLD = frozenset({State.EXECUTED, State.VERIFYING, State.SUCCEEDED, State.INCONCLUSIVE})


def passed(member: CommandRecord) -> bool:
    """Tell whether the next command may start: this one succeeded, or is a ticket, which need only be told."""
    return member.state is State.SUCCEEDED or (member.command.kind == "ticket.open" and member.state in _TICKET_TOLD)


def broken_at(record: PlanRecord) -> int | None:
    """Return the index of the command whose end stops the plan; None while none does."""
    return next((i for i, member in enumerate(record.members) if member.state in _ENDED_OTHERWISE), None)


def altered(record: PlanRecord) -> str | None:
    """Return that what is stored is not what the digest was given for, or None: other commands, order or window."""
    same = record.plan.digest == record.digest and record.plan.digests == tuple(m.digest for m in record.members)
    return None if same else "plan_altered: the stored plan is not the one that its digest was given for"


def waits(record: PlanRecord, command: CommandId, at: datetime) -> str | None:
    """Return why a command of the plan may not start at this instant, or None when it is its turn."""
    if (why := altered(record)) is not None:
        return why
    if any(member.state in {State.PROPOSED, State.AWAITING_APPROVAL} for member in record.members):
        return "the plan is not decided as a whole"
    if broken_at(record) is not None:
        return "the plan has stopped"
    if at < record.plan.window_start:
        return f"the plan's window opens at {record.plan.window_start.isoformat()}"
    for number, member in enumerate(record.members, start=1):
        if member.command.id == command:
            return None
        if not passed(member):
            return f"command {number} of the plan, {member.command.kind}, is {member.state}"
    return "it is not of this plan"


def to_cancel(record: PlanRecord) -> tuple[CommandRecord, ...]:
    """Return the commands that will never start because the plan has stopped."""
    if broken_at(record) is None:
        return ()
    return tuple(m for m in record.members if m.state in {State.PROPOSED, State.AWAITING_APPROVAL, State.APPROVED})


def next_undo(record: PlanRecord) -> CommandRecord | None:
    """Return the succeeded command that is to be undone now, in compensation order; None while another is on its way.

    An undo that failed ends the compensation: what would follow was ordered after it for a reason.
    """
    if broken_at(record) is None or _still_moving(record):
        return None
    for index in record.plan.compensate_in:
        member = record.members[index]
        if member.state is State.UNDO_FAILED:
            return None
        if member.state is State.SUCCEEDED:
            return member
    return None


_MOVING = frozenset(
    {
        State.EXECUTING,
        State.UNKNOWN,
        State.EXECUTED,
        State.VERIFYING,
        State.REGRESSED,
        State.INCONCLUSIVE,
        State.UNDOING,
    }
)


def standing(record: PlanRecord) -> PlanState:
    """Return where a plan stands by its commands."""
    states = [member.state for member in record.members]
    if all(state in _UNSTARTED for state in states):
        return next((to for state, to in _NOT_RUN if state in states), PlanState.APPROVED)
    if all(passed(member) for member in record.members):
        return PlanState.SUCCEEDED
    if broken_at(record) is None:
        return PlanState.RUNNING
    if next_undo(record) is not None or _still_moving(record):
        return PlanState.COMPENSATING
    stays = any(m.state in {State.SUCCEEDED, State.UNDO_FAILED} for m in record.members)
    return PlanState.STOPPED if stays else PlanState.UNDONE


def _still_moving(record: PlanRecord) -> bool:
    return any(m.state in _MOVING and m.command.kind != "ticket.open" for m in record.members)
