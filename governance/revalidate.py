"""Checks at execution time: everything an approval rested on must still hold, or the approval lapses.

One snapshot is gathered, then an ordered chain of pure functions each returns a reason or None; the first reason ends
it. Lapsed on any change of digest, policy, preview, preconditions, approver's rights, budget, stop or time.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from domain.base import Digest, Frozen
from domain.changes import Precondition, preview_digest
from domain.commands import CommandRecord, State
from domain.decisions import Approval, Decision, Freeze, KillSwitch
from domain.ids import PrincipalId
from domain.principals import Principal
from governance.rights import stopped_by_freeze, unaccountable, unfit_to_approve
from governance.switches import blocks


class Current(Frozen):
    """What the caller read just before asking to execute."""

    preview_digest: Digest
    """Of a fresh preview of the same command."""
    preconditions: tuple[Precondition, ...]
    """The same subtrees with their digests as they are now."""
    decision: Decision | None = None
    """Policy's answer to the facts as they are now. An undo needs none: its parent's decision allows it."""
    barred: tuple[PrincipalId, ...] = ()
    """Those who answered and whom policy's `approve` question refuses by now."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One frozen view of a command about to start."""

    at: datetime
    record: CommandRecord
    current: Current
    decision: Decision | None
    approvals: tuple[Approval, ...]
    approvers: Mapping[PrincipalId, Principal]
    accountable: Principal | None
    """Whom a waiver names, as they are now; None for every other command."""
    authors: tuple[PrincipalId, ...]
    switches: tuple[KillSwitch, ...]
    freezes: tuple[Freeze, ...]
    budget: str | None
    """Why a budget refuses, if one does."""
    parent_state: State | None


Check = Callable[[Snapshot], str | None]


def digest_holds(s: Snapshot) -> str | None:
    """The stored body still gives the digest that was decided."""
    if s.record.command.digest != s.record.digest:
        return "digest: the stored command is not the one that was decided"
    if s.decision is not None and s.decision.digest != s.record.digest:
        return "digest: the decision is about another digest"
    return None


def decided(s: Snapshot) -> str | None:
    """A recorded decision lets it through: policy alone, or policy and people."""
    if s.decision is None:
        return "decision: none is recorded"
    return "decision: policy denied it" if s.decision.effect == "deny" else None


def clock_sound(s: Snapshot) -> str | None:
    """Time has not gone back behind what is already recorded."""
    return "clock: it is behind the command's own record" if s.at < s.record.updated_at else None


def not_expired(s: Snapshot) -> str | None:
    """The execution expiry lies ahead."""
    return "expired: its time to start is over" if s.at >= s.record.command.expires_at else None


def not_stopped(s: Snapshot) -> str | None:
    """No kill switch covers it."""
    return blocks(s.switches, s.record.command)


def not_frozen(s: Snapshot) -> str | None:
    """No freeze holds, or an operator approved."""
    return stopped_by_freeze(s.freezes, s.approvers.values(), s.record.command)


def policy_unchanged(s: Snapshot) -> str | None:
    """Policy is the same set and still lets it through, without asking for more than was given."""
    now, then = s.current.decision, s.decision
    if now is None or then is None:
        return "policy: it was not asked again"
    if now.digest != s.record.digest:
        return "policy: it was asked about another digest"
    if now.policy_digest != then.policy_digest:
        return "policy: another policy set is active"
    if now.effect == "deny":
        return f"policy: it now denies: {'; '.join(now.reasons)}"
    if now.effect == "ask" and then.effect == "allow":
        return f"policy: it now wants people asked: {'; '.join(now.reasons)}"
    return None


def approvers_stand(s: Snapshot) -> str | None:
    """Enough distinct people who approved may still approve, by both the old and the new question."""
    if s.decision is None or s.decision.effect != "ask":
        return None
    now = s.current.decision
    asks = [ask for ask in (s.decision.ask, now.ask if now else None) if ask is not None]
    if not asks:
        return "approval: nobody was asked"
    for ask in asks:
        fit = {
            approval.principal
            for approval in s.approvals
            if approval.verdict == "approve"
            and approval.digest == s.record.digest
            and approval.principal not in s.current.barred
            and (person := s.approvers.get(approval.principal)) is not None
            and unfit_to_approve(person, s.record.command, ask, s.authors, s.at) is None
        }
        if len(fit) < ask.quorum:
            return f"approval: {len(fit)} of {ask.quorum} approvers still may approve"
    return None


def accountable_stands(s: Snapshot) -> str | None:
    """Whoever answers for a waiver still may."""
    return unaccountable(s.accountable, s.record.command, s.authors, s.at)


def preview_unchanged(s: Snapshot) -> str | None:
    """A fresh preview shows the changes that were approved."""
    if s.current.preview_digest != preview_digest(s.record.command.preview):
        return "preview: the command would now do something else"
    return None


def preconditions_hold(s: Snapshot) -> str | None:
    """Every subtree the command relies on is as it was."""
    now = {(p.scope, p.path): p.digest for p in s.current.preconditions}
    for wanted in s.record.command.preconditions:
        if now.get((wanted.scope, wanted.path)) != wanted.digest:
            return f"precondition: {wanted.scope} {'.'.join(wanted.path)} changed"
    return None


def budget_holds(s: Snapshot) -> str | None:
    """What was reserved is within the budgets as they are now."""
    return s.budget


def parent_undoing(s: Snapshot) -> str | None:
    """The command that this undo belongs to waits for it."""
    return None if s.parent_state is State.UNDOING else "parent: it is not being undone"


FORWARD: tuple[Check, ...] = (
    digest_holds,
    decided,
    clock_sound,
    not_expired,
    not_stopped,
    not_frozen,
    policy_unchanged,
    approvers_stand,
    accountable_stands,
    preview_unchanged,
    preconditions_hold,
    budget_holds,
)
"""Checks of a command, in the order in which their reasons are worth telling."""
UNDO: tuple[Check, ...] = (
    digest_holds,
    clock_sound,
    not_expired,
    not_stopped,
    parent_undoing,
    preview_unchanged,
    preconditions_hold,
)
"""Checks of an undo: allowed by its parent's decision, it must not wait for people, freezes or budgets."""


def revalidate(snapshot: Snapshot) -> str | None:
    """Return the first reason why the command must not start, as `slug: text`, or None."""
    for check in UNDO if snapshot.record.command.role == "undo" else FORWARD:
        if reason := check(snapshot):
            return reason
    return None
