"""Change plans on their way: proposed from several proposals, decided as one, run in order, taken back in order.

Each command is planned and decided by policy as its own; the plan waits for all of them. The loop's step starts what
has its turn by the ordinary path, and here tells where each plan stands and begins the undos it owes.
"""

import logging
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from domain.changes import PatchPath
from domain.commands import Command, Proposal
from domain.decisions import Decision, PlanDecideResult
from domain.errors import Conflict, Invalid, NotFound, Refused
from domain.ids import CommandId
from domain.plans import MOST_COMMANDS, ChangePlan, PlanRecord, PlanState, PlanWindow, next_undo
from domain.ports import Clock, Ids
from domain.principals import Principal
from governance.approvals import Approvals
from governance.ballots import Answer, Channel, Verdict
from governance.facts import assemble
from governance.plans import Plans, check_members
from mesh.submission import Submission, callers_key, unrecorded
from mesh.undoing import Undoing

LONGEST_WINDOW = timedelta(days=7)
"""A change calendar's week: what was planned against last week's state is planned again."""
_LOG = logging.getLogger("opsmesh.planning")


@dataclass(frozen=True, slots=True)
class Planning:
    """Takes plans onto their way and carries them on."""

    submission: Submission
    plans: Plans
    approvals: Approvals
    undoing: Undoing
    clock: Clock
    ids: Ids

    async def propose(
        self,
        proposals: Sequence[Proposal],
        *,
        window: PlanWindow,
        compensate_in: Sequence[int] | None = None,
        key: str | None = None,
    ) -> PlanRecord:
        """Record the proposals as one plan and decide each. The same key again returns what became of the first.

        `compensate_in` names positions in the order of their undo; without it, all that have an inverse, last first.
        Raises Invalid where the proposals are not of one place and proposer, or one rests on what another writes.
        """
        first = _first_of(proposals)
        held = callers_key(first, key) or self.ids.ulid()
        known = self.plans.by_key(first.tenant, held)
        if known is None:
            plan, commands = await self._drafted(proposals, held, window, compensate_in)
            known = self.plans.propose(plan, commands, key=held, rationale=_rationale(proposals))
        elif [(m.command.kind, m.command.arguments, m.command.target) for m in known.members] != [
            (p.kind, p.arguments, p.target) for p in proposals
        ]:
            raise Conflict("the idempotency key stands for another plan", reason="key_taken")
        for member in known.members:
            await self.submission.decide(member)
        return self.plans.settle(first.tenant, known.plan.id)

    async def preview(
        self, proposals: Sequence[Proposal], *, window: PlanWindow, compensate_in: Sequence[int] | None = None
    ) -> tuple[PlanRecord, Sequence[Decision]]:
        """Plan and decide all without recording anything. Raises as `propose` does."""
        plan, commands = await self._drafted(proposals, self.ids.ulid(), window, compensate_in)
        check_members(plan, commands)
        record = PlanRecord(
            plan=plan, digest=plan.digest, state=PlanState.PROPOSED, version=1, updated_at=self.clock.now(),
            reason="dry run: nothing is recorded", rationale=_rationale(proposals),
            members=tuple(map(unrecorded, commands)),
        )  # fmt: skip
        return record, [await self.submission.redecide(command) for command in commands]

    async def answer(
        self, record: PlanRecord, digest: str, who: Principal, verdict: Verdict, channel: Channel, note: str = ""
    ) -> PlanDecideResult:
        """Count a person's answer. Raises Refused with the reason when it may not count."""
        forbidden: dict[CommandId, Sequence[str]] = {}
        if verdict == "approve" and record.standing is PlanState.AWAITING_APPROVAL:
            for member in record.members:
                around = await self.submission.surroundings.around(member.command)
                permission = self.submission.policy.can_approve(who, member.command, assemble(member.command, around))
                if not permission.allowed:
                    forbidden[member.command.id] = permission.reasons
        return self.approvals.decide_plan(
            Answer(record.plan.tenant, record.plan.id, digest, who, verdict, channel, note, forbidden)
        )

    async def step(self) -> None:
        """Tell where each open plan stands, and begin the undo whose turn it is."""
        for record in self.plans.open():
            try:
                now = self.plans.settle("*", record.plan.id)
                if (due := next_undo(now)) is not None:
                    await self.undoing.begin(due)
            except Conflict:
                _LOG.info("plan %s moved meanwhile; it is looked at again", record.plan.id)

    async def _drafted(
        self, proposals: Sequence[Proposal], key: str, window: PlanWindow, compensate_in: Sequence[int] | None
    ) -> tuple[ChangePlan, Sequence[Command]]:
        first, now = _first_of(proposals), self.clock.now()
        if window.end <= now or window.end > now + LONGEST_WINDOW:
            raise Invalid("a plan's window ends within the next seven days", reason="plan_window")
        commands: list[Command] = []
        for number, proposal in enumerate(proposals):
            with _told_of(number, proposal):
                command = await self.submission.plan(proposal, key=f"{key}.{number}")
            commands.append(command.model_copy(update={"expires_at": window.end}))
        _check_independent(commands)
        return self._plan(first, commands, window, compensate_in), commands

    def _plan(
        self, first: Proposal, commands: Sequence[Command], window: PlanWindow, compensate_in: Sequence[int] | None
    ) -> ChangePlan:
        undone = [i for i, c in enumerate(commands) if c.spec.reversibility == "inverse"][::-1]
        return ChangePlan(
            id=self.ids.ulid(),
            tenant=first.tenant,
            environment=first.environment,
            proposer=first.proposer,
            commands=tuple(c.id for c in commands),
            digests=tuple(c.digest for c in commands),
            window_start=window.start,
            window_end=window.end,
            compensate_in=tuple(undone if compensate_in is None else compensate_in),
        )


@contextmanager
def _told_of(number: int, proposal: Proposal) -> Generator[None]:
    """Say in an error which command it is about. What is another tenant's is told as what does not exist."""
    where = f"command {number + 1}, {proposal.kind}"
    try:
        yield
    except NotFound as error:
        raise Invalid(f"{where}: there is no such thing within reach", reason="plan_step_not_found") from error
    except (Invalid, Refused) as error:
        raise type(error)(f"{where}: {error}", reason=error.reason) from error


def _first_of(proposals: Sequence[Proposal]) -> Proposal:
    """Return the first proposal. Raises Invalid where they make no plan."""
    if not 0 < len(proposals) <= MOST_COMMANDS:
        raise Invalid(f"a plan has 1 to {MOST_COMMANDS} commands", reason="plan_size")
    first = proposals[0]
    if any(
        (p.tenant, p.environment, p.proposer) != (first.tenant, first.environment, first.proposer) for p in proposals
    ):
        raise Invalid("a plan's commands share tenant, environment and proposer", reason="plan_mixed")
    return first


def _check_independent(commands: Sequence[Command]) -> None:
    """Raise Invalid where a command rests on a field that an earlier one writes: it was previewed without it."""
    written: list[tuple[int, PatchPath]] = []
    for number, command in enumerate(commands, start=1):
        for precondition in command.preconditions:
            for earlier, path in written:
                if _touch(path, precondition.path):
                    raise Invalid(
                        f"command {number} rests on {'.'.join(path)}, which command {earlier} writes: make them one",
                        reason="plan_overlap",
                    )
        written += [(number, patch.path) for patch in command.patches]


def _touch(one: PatchPath, other: PatchPath) -> bool:
    shared = min(len(one), len(other))
    return one[:shared] == other[:shared]


def _rationale(proposals: Sequence[Proposal]) -> str:
    """Each reason once, in order."""
    return "\n".join(dict.fromkeys(p.rationale for p in proposals if p.rationale))
