"""Change plans on the governed path: building one, and a loop of a few lines that carries one on from anywhere."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta

from domain.commands import TERMINAL, Command, CommandRecord, State
from domain.errors import Conflict
from domain.outcomes import EffectReceipt
from domain.plans import ChangePlan, PlanRecord, PlanState, next_undo
from domain.principals import Principal
from governance.ballots import Answer
from tests.support.governed import ACME, PROD, WORKER, GovernedPath


def built(path: GovernedPath, targets=("shop", "cart", "pay"), compensate_in=None, **changed):
    """A plan over commands on these targets, and the commands."""
    window = path.clock.now(), path.clock.now() + timedelta(hours=2)
    commands = tuple(path.command(target, expires_at=window[1], **changed) for target in targets)
    return plan_over(path, commands, window, compensate_in), commands


def plan_over(path: GovernedPath, commands: tuple[Command, ...], window, compensate_in=None) -> ChangePlan:
    order = tuple(range(len(commands)))[::-1] if compensate_in is None else compensate_in
    return ChangePlan(
        id=path.ids.ulid(), tenant=ACME, environment=PROD, proposer=commands[0].proposer,
        commands=tuple(c.id for c in commands), digests=tuple(c.digest for c in commands),
        window_start=window[0], window_end=window[1], compensate_in=order,
    )  # fmt: skip


def click(record: PlanRecord, who: Principal, verdict="approve", **changed) -> Answer:
    fields = {"digest": record.digest, "forbidden": {}} | changed
    return Answer(ACME, record.plan.id, fields["digest"], who, verdict, "cli", "", fields["forbidden"])


@dataclass
class PlanLoop:
    """What the mesh's loop does with plans, without the mesh: `ends` says how a target's command is judged."""

    path: GovernedPath
    ends: dict[str, State] = field(default_factory=dict)
    effect: str = "ask"
    done: Counter = field(default_factory=Counter)
    """Effects by idempotency key, as the target counts them; it lives on when the loop dies."""
    order: list[str] = field(default_factory=list)

    def run(self, plan: str, steps: int = 60) -> PlanRecord:
        for _ in range(steps):
            record = self.path.governed.plans.get(ACME, plan)
            if record.state is PlanState.AWAITING_APPROVAL:
                self.path.governed.approvals.decide_plan(click(record, self.path.people["ann"]))
            for command in self.path.governed.commands.list(ACME):
                self.advance(command)
            record = self.path.governed.plans.settle(ACME, plan)
            if (due := next_undo(record)) is not None:
                self.undo(due)
            elif record.standing in {PlanState.SUCCEEDED, PlanState.UNDONE, PlanState.STOPPED, PlanState.DENIED}:
                return record
        raise AssertionError(f"the plan hangs at {record.standing}")

    def advance(self, command: CommandRecord) -> None:
        go, place = self.path.governed.executions, (ACME, command.command.id)
        held = self.path.held(command)
        match command.state:
            case State.PROPOSED:
                decision = self.path.decision(command, self.effect)
                self.path.governed.commands.record_decision(ACME, decision)
            case State.APPROVED:
                self.start(command)
            case State.EXECUTING | State.UNKNOWN:
                self.recover(command)
            case State.EXECUTED:
                go.start_verifying(*place, **held)
            case State.VERIFYING:
                undo = command.command.role == "undo"
                verdict = State.SUCCEEDED if undo else self.ends.get(command.command.target.id, State.SUCCEEDED)
                go.finish(*place, **held, verdict=verdict)
            case State.REGRESSED:
                self.undo(command)
            case State.UNDOING:
                self.finish_undo(command)
            case _:
                assert command.state in TERMINAL | {State.AWAITING_APPROVAL}

    def start(self, command: CommandRecord) -> None:
        try:
            lapses = self.ends.get(command.command.target.id) is State.LAPSED
            claimed = self.path.claim(command, **({"preconditions": ()} if lapses else {}))
        except Conflict:
            return
        if claimed.state is State.EXECUTING:
            self.done[command.command.idempotency_key] += 1
            self.order.append(f"{command.command.role} {command.command.target.id}")
            self.record(claimed)

    def record(self, claimed: CommandRecord) -> None:
        key = claimed.command.idempotency_key
        receipt = EffectReceipt(idempotency_key=key, status="applied" if self.done[key] else "not_applied")
        place = (ACME, claimed.command.id)
        self.path.governed.executions.record_effect(*place, **self.path.held(claimed), receipt=receipt)

    def recover(self, command: CommandRecord) -> None:
        """A worker died mid-effect: its lease ends, the target is asked."""
        if command.state is State.EXECUTING:
            self.path.clock.advance(timedelta(minutes=2))
            go = self.path.governed.executions
            command = go.take_over(ACME, command.command.id, worker=WORKER, lease_s=60.0)
        self.record(command)

    def undo(self, command: CommandRecord) -> None:
        go, child = self.path.governed.executions, self.path.undo_of(command)
        go.start_undo(ACME, command.command.id, **self.path.held(command), child=child)

    def finish_undo(self, command: CommandRecord) -> None:
        children = self.path.governed.commands.list(ACME, parent=command.command.id)
        if children[-1].state in TERMINAL:
            go, undone = self.path.governed.executions, children[-1].state is State.SUCCEEDED
            go.finish_undo(ACME, command.command.id, **self.path.held(command), undone=undone)
