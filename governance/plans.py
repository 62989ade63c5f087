"""Change plans: stored with all their commands at once, answered once, settled as their commands move.

A plan has no path of its own: its commands have, and what the plan is follows from them. What is stored is what was
told last, so that each change is audited and sent once. Every method is one transaction.
"""

from collections.abc import Iterable, Mapping, Sequence

from pydantic import JsonValue
from sqlalchemy import Connection, update

from domain.catalogue import PageRaised, PlanChanged
from domain.commands import Command, CommandRecord, State
from domain.errors import Broken, Conflict, Invalid
from domain.events import Dimensions, OutgoingEvent
from domain.ids import CommandId, PrincipalId, TenantId
from domain.plans import PLAN_PAGES, PLAN_TERMINAL, ChangePlan, PlanRecord, PlanState, broken_at, to_cancel
from domain.ports import Clock, CrashPoints
from governance.audit import AuditEntry
from governance.machine import CLOCKWORK
from governance.plan_records import listed_plans, load_plan, not_its_turn, plan_by_key, plan_id_of
from governance.records import Scope, load
from governance.steps import Steps
from storage.engine import Database
from storage.inserts import insert_once
from storage.tables.governance import change_plans, plan_commands

_OPEN = tuple(state for state in PlanState if state not in PLAN_TERMINAL)


class Plans:
    """Stores, shows and settles plans."""

    def __init__(self, database: Database, steps: Steps, clock: Clock, crash: CrashPoints) -> None:
        self._database = database
        self._steps = steps
        self._clock = clock
        self._crash = crash

    def propose(self, plan: ChangePlan, commands: Sequence[Command], *, key: str, rationale: str = "") -> PlanRecord:
        """Store a plan and its commands, all PROPOSED, or return the first plan with the same key.

        Raises Invalid when the commands are not the plan's, Conflict when the key stands for another plan.
        """
        check_members(plan, commands)
        with self._database.begin() as connection:
            if (first := plan_by_key(connection, plan.tenant, key)) is not None:
                return same_plan(first, commands)
            if not insert_once(connection, change_plans, self._row(plan, key, rationale)):
                if (first := plan_by_key(connection, plan.tenant, key)) is not None:
                    return same_plan(first, commands)  # somebody was faster under the same key
                raise Broken(f"the id {plan.id} is taken", reason="id_taken")
            for position, command in enumerate(commands):
                if self._steps.insert(connection, command, actor=plan.proposer) is None:
                    raise Conflict(f"the key of command {position + 1} of the plan is taken", reason="key_taken")
                row = {"command": command.id, "plan": plan.id, "position": position}
                connection.execute(plan_commands.insert().values(**row))
            record = load_plan(connection, plan.tenant, plan.id)
            self._tell(connection, record, plan.proposer)
            self._crash.reach("plan.before_commit", plan=plan.id)
        self._crash.reach("plan.committed", plan=plan.id)
        return record

    def settle(self, scope: Scope, plan: str) -> PlanRecord:
        """Bring what is told of a plan up to where it stands, and cancel what will never start because it stopped."""
        with self._database.begin() as connection:
            record = self.settled(connection, load_plan(connection, scope, plan, lock=True))
            self._crash.reach("plan.before_commit", plan=plan)
        self._crash.reach("plan.committed", plan=plan)
        return record

    def settled(self, connection: Connection, record: PlanRecord, actor: PrincipalId = CLOCKWORK) -> PlanRecord:
        """Do the same within the caller's transaction, which holds the plan's lock."""
        reason = record.reason or stop_reason(record)  # the first stands: what is undone later ended so because of it
        for member in to_cancel(record):
            self._steps.step(connection, member, State.CANCELLED, actor=actor, reason=f"its plan stopped: {reason}")
        now = load_plan(connection, record.plan.tenant, record.plan.id)
        if now.standing is now.state:
            return now
        moved = now.model_copy(
            update={"state": now.standing, "version": now.version + 1, "updated_at": self._clock.now(),
                    "reason": reason}
        )  # fmt: skip
        values = {name: getattr(moved, name) for name in ("state", "version", "updated_at", "reason")}
        done = connection.execute(
            update(change_plans)
            .where(change_plans.c.id == record.plan.id, change_plans.c.version == now.version)
            .values(**{**values, "state": moved.state.value})
        )
        if done.rowcount != 1:
            raise Conflict(f"plan {record.plan.id} moved on", reason="moved_on")
        self._tell(connection, moved, actor)
        return moved

    def get(self, scope: Scope, plan: str) -> PlanRecord:
        """Return one plan of the scope; NotFound otherwise."""
        with self._database.read() as connection:
            return load_plan(connection, scope, plan)

    def by_key(self, tenant: TenantId, key: str) -> PlanRecord | None:
        """Return the plan that was proposed under a key."""
        with self._database.read() as connection:
            return plan_by_key(connection, tenant, key)

    def list(self, scope: Scope, *, states: Iterable[PlanState] = (), limit: int = 500) -> tuple[PlanRecord, ...]:
        """Return the newest `limit` plans of the scope, oldest first."""
        with self._database.read() as connection:
            return listed_plans(connection, scope, states=states, limit=limit)

    def open(self) -> tuple[PlanRecord, ...]:
        """Return every plan of which an end has not been told."""
        return self.list("*", states=_OPEN, limit=100_000)

    def plan_of(self, command: CommandId) -> str | None:
        """Return the plan that a command belongs to."""
        with self._database.read() as connection:
            return plan_id_of(connection, command)

    def waiting(self, scope: Scope, command: CommandId) -> str | None:
        """Return why a command must wait for its plan; None for one whose turn it is, or that belongs to none."""
        with self._database.read() as connection:
            return not_its_turn(connection, load(connection, scope, command), self._clock.now())

    def note(
        self, connection: Connection, record: PlanRecord, action: str, actor: PrincipalId, body: Mapping[str, JsonValue]
    ) -> None:
        """Audit something about a plan."""
        text: dict[str, JsonValue] = {"digest": record.digest, **body}
        entry = AuditEntry(tenant=record.plan.tenant, action=action, subject=record.plan.id, actor=actor, body=text)
        self._steps.audit.append(connection, entry)

    def _tell(self, connection: Connection, record: PlanRecord, actor: PrincipalId) -> None:
        body: dict[str, JsonValue] = {"reason": record.reason}
        if record.state is PlanState.PROPOSED:
            body["plan"] = record.plan.model_dump(mode="json")
        self.note(connection, record, f"plan.{record.state.value.lower()}", actor, body)
        self._steps.emit(connection, (_changed(record),))
        if record.state in PLAN_PAGES:
            self._steps.emit(connection, (_page(record),))

    def _row(self, plan: ChangePlan, key: str, rationale: str) -> dict[str, object]:
        return {
            "id": plan.id,
            "tenant": plan.tenant,
            "environment": plan.environment,
            "idempotency_key": key,
            "digest": plan.digest,
            "state": PlanState.PROPOSED.value,
            "version": 1,
            "reason": "",
            "rationale": rationale,
            "updated_at": self._clock.now(),
            "body": plan.model_dump(mode="json"),
        }


def stop_reason(record: PlanRecord) -> str:
    """Say which command stopped the plan and how; empty while none did."""
    index = broken_at(record)
    if index is None:
        return ""
    member = record.members[index]
    why = f": {member.reason}" if member.reason else ""
    return f"command {index + 1}, {member.command.kind} on {member.command.target.address}, {member.state}{why}"


def same_plan(first: PlanRecord, commands: Sequence[Command]) -> PlanRecord:
    """Return the plan that holds a key; Conflict when these commands are not what it was proposed with."""
    same = ("kind", "arguments", "target", "environment", "proposer")
    kept = [m.command for m in first.members]
    alike = len(kept) == len(commands) and all(
        getattr(one, name) == getattr(other, name) for one, other in zip(kept, commands, strict=True) for name in same
    )
    if not alike:
        raise Conflict("the idempotency key stands for another plan", reason="key_taken")
    return first


def check_members(plan: ChangePlan, commands: Sequence[Command]) -> None:
    """Raise Invalid unless these are the plan's commands, each undone only where it can be, in its window's time."""
    if plan.commands != tuple(c.id for c in commands) or plan.digests != tuple(c.digest for c in commands):
        raise Invalid("the commands are not the plan's", reason="plan_mismatch")
    for command in commands:
        if (command.tenant, command.environment, command.proposer) != (plan.tenant, plan.environment, plan.proposer):
            raise Invalid("a plan's commands share tenant, environment and proposer", reason="plan_mixed")
        if command.role != "forward" or command.expires_at != plan.window_end:
            raise Invalid("a plan's commands end with its window", reason="plan_mismatch")
    for index in plan.compensate_in:
        if commands[index].spec.reversibility != "inverse":
            raise Invalid(
                f"command {index + 1}, {commands[index].kind}, has no inverse: it cannot be compensated",
                reason="plan_not_undoable",
            )


def _changed(record: PlanRecord) -> OutgoingEvent:
    data = PlanChanged(
        plan=record.plan.id, state=record.state, digest=record.digest, commands=record.plan.commands,
        reason=record.reason,
    )  # fmt: skip
    return _event(record, "opsmesh.plan.changed.v1", data.model_dump(mode="json"))


def _page(record: PlanRecord) -> OutgoingEvent:
    data = PageRaised(plan=record.plan.id, reason=f"plan {record.state}: {record.reason}", runbook=_runbook(record))
    return _event(record, "opsmesh.page.raised.v1", data.model_dump(mode="json"))


def _runbook(record: PlanRecord) -> str:
    """What a paged person should do: what stays of the plan, one line each."""
    stays = [m for m in record.members if m.state in {State.SUCCEEDED, State.UNDO_FAILED}]
    lines = [
        f"Nothing more of plan {record.plan.id} happens by itself; it is between two states.",
        *(f"Stands: {_named(m)}, {m.state}. {m.command.inverse.note}".rstrip() for m in stays),
        "Decide for each whether it stays; propose what takes it back or completes it as a new plan.",
    ]
    return "\n".join(f"{number}. {line}" for number, line in enumerate(lines, start=1))


def _named(member: CommandRecord) -> str:
    return f"{member.command.kind} on {member.command.target.address} (command {member.command.id})"


def _event(record: PlanRecord, kind: str, data: dict[str, JsonValue]) -> OutgoingEvent:
    dimensions = Dimensions(
        environmentid=record.plan.environment,
        severity="error" if record.state in PLAN_PAGES else "info",
        sequence=str(record.version),
    )
    return OutgoingEvent(type=kind, tenant=record.plan.tenant, subject=record.plan.id, dimensions=dimensions, data=data)
