"""Approvals: people's answers to one exact digest, by one door whichever surface they come from.

The first decider wins; a late or second click gets the first answer, and one that takes back what the same person said
is a conflict. A refused attempt is audited before it is refused. Commands and plans are answered by the same rules,
which are `governance.ballots`.
"""

from functools import partial

from domain.commands import State
from domain.decisions import DecideResult, PlanDecideResult
from domain.errors import Conflict, NotFound, Refused
from domain.ids import CommandId, PrincipalId
from domain.plans import PlanRecord, PlanState, altered
from domain.ports import Clock, CrashPoints
from governance.ballots import Answer, Ballot, Ballots, Counted
from governance.machine import CLOCKWORK, POLICY, already
from governance.plan_records import hint, load_plan, plan_id_of
from governance.plans import Plans
from governance.records import load
from governance.rights import FindPrincipal
from governance.steps import Steps
from storage.engine import Database


class Approvals:
    """Decides commands and plans that await approval. Every method is one transaction.

    Each raises Refused when the answer may not count, NotFound outside the person's tenants, Conflict when the same
    person's other answer was counted and it is decided.
    """

    def __init__(  # the parts of one transaction
        self, database: Database, steps: Steps, plans: Plans, find: FindPrincipal, clock: Clock, crash: CrashPoints
    ) -> None:
        self._database = database
        self._steps = steps
        self._plans = plans
        self._ballots = Ballots(steps, find, clock)
        self._crash = crash

    def decide(self, answer: Answer) -> DecideResult:
        """Count an answer to a command."""
        command = CommandId(answer.subject)
        with self._database.begin() as connection:
            record = load(connection, answer.tenant, command, lock=True)
            if not answer.principal.roles_on(answer.tenant, record.command.environment):
                raise NotFound(f"no command {command} in tenant {answer.tenant}", reason="no_such_command")
            plan, open_ = plan_id_of(connection, command), record.state is State.AWAITING_APPROVAL
            note = partial(self._steps.note, connection, record)
            ballot = Ballot((record,), record.digest, note, hint(plan) if plan else "")
            judge = self._ballots.count if open_ else self._ballots.contradiction
            counted = judge(connection, ballot, answer)
            now = load(connection, answer.tenant, command)
            self._crash.reach("approve.before_commit", command=command)
        if isinstance(counted, str):
            raise _refusal(counted, decided=not open_)
        if counted is None or counted.to is State.EXPIRED:
            return already(now)
        if counted.to is State.APPROVED:
            self._crash.reach("approve.before_claim", command=command)
        return DecideResult(
            command=command, won=counted.to is not None, state=now.state, decided_by=now.decided_by,
            message=counted.message,
        )  # fmt: skip

    def decide_plan(self, answer: Answer) -> PlanDecideResult:
        """Count an answer to all commands of a plan that wait, for all of them or for none."""
        with self._database.begin() as connection:
            record = load_plan(connection, answer.tenant, answer.subject, lock=True)
            if not answer.principal.roles_on(answer.tenant, record.plan.environment):
                raise NotFound(f"no plan {answer.subject} in tenant {answer.tenant}", reason="no_such_plan")
            open_ = record.standing is PlanState.AWAITING_APPROVAL
            note = partial(self._plans.note, connection, record)
            ballot = Ballot(record.members, record.digest, note, altered(record) or "")
            judge = self._ballots.count if open_ else self._ballots.contradiction
            counted = judge(connection, ballot, answer)
            now = load_plan(connection, answer.tenant, answer.subject)
            if now.standing is not record.standing:
                now = self._plans.settled(connection, now, _decider(now) or CLOCKWORK)
            self._crash.reach("plan.before_commit", plan=answer.subject)
        if isinstance(counted, str):
            raise _refusal(counted, decided=not open_)
        self._crash.reach("plan.committed", plan=answer.subject)
        return _told(now, counted or Counted(f"already {now.standing}"))


def _refusal(why: str, *, decided: bool) -> Refused | Conflict:
    return Conflict(why, reason="already_answered") if decided else Refused(why, reason=why.partition(":")[0])


def _decider(record: PlanRecord) -> PrincipalId | None:
    """Return the person who decided a plan, or policy where it denied it or asked nobody; what it allowed is a part."""
    by = [member.decided_by for member in record.members]
    alone = record.standing is PlanState.DENIED or set(by) == {POLICY}
    return next((who for who in by if who not in {None, POLICY}), POLICY if alone else None)


def _told(record: PlanRecord, counted: Counted) -> PlanDecideResult:
    won = counted.to not in {None, State.EXPIRED}
    return PlanDecideResult(
        plan=record.plan.id, won=won, state=record.standing, decided_by=_decider(record), message=counted.message
    )
