"""Reading change plans: rows into records with their commands in order, always within a tenant's scope.

Also what a plan says about one of its commands: whether it is its turn, and whether it may be taken back.
"""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, Select, select

from domain.commands import CommandRecord
from domain.errors import NotFound
from domain.ids import CommandId, TenantId
from domain.plans import ChangePlan, PlanRecord, PlanState, next_undo, waits
from governance.records import EVERY_TENANT, Scope, record_of
from storage.tables.governance import change_plans, commands, plan_commands


def load_plan(connection: Connection, scope: Scope, plan: str, *, lock: bool = False) -> PlanRecord:
    """Return one plan, its row and its commands locked when asked. NotFound also for another tenant's."""
    found = plans_where(connection, _scoped(scope).where(change_plans.c.id == plan), lock=lock)
    if not found:
        raise NotFound(f"no plan {plan} in tenant {scope}", reason="no_such_plan")
    return found[0]


def plan_by_key(connection: Connection, tenant: TenantId, key: str) -> PlanRecord | None:
    """Return the plan that holds an idempotency key."""
    found = plans_where(connection, _scoped(tenant).where(change_plans.c.idempotency_key == key))
    return found[0] if found else None


def listed_plans(
    connection: Connection, scope: Scope, *, states: Iterable[PlanState] = (), limit: int = 500
) -> tuple[PlanRecord, ...]:
    """Return the newest `limit` plans whose last told state is one of these, oldest first."""
    statement = _scoped(scope).order_by(change_plans.c.id.desc()).limit(limit)
    if wanted := [state.value for state in states]:
        statement = statement.where(change_plans.c.state.in_(wanted))
    return plans_where(connection, statement)[::-1]


def plan_id_of(connection: Connection, command: CommandId) -> str | None:
    """Return the plan that a command belongs to."""
    return connection.execute(
        select(plan_commands.c.plan).where(plan_commands.c.command == command)
    ).scalar_one_or_none()


def not_its_turn(connection: Connection, record: CommandRecord, at: datetime) -> str | None:
    """Return why a command must wait for its plan; None for one whose turn it is, or that belongs to none."""
    plan = plan_id_of(connection, record.command.id)
    if plan is None:
        return None
    return waits(load_plan(connection, record.command.tenant, plan), record.command.id, at)


def may_compensate(connection: Connection, record: CommandRecord) -> bool:
    """Tell whether a command that succeeded is to be undone now because its plan has stopped."""
    plan = plan_id_of(connection, record.command.id)
    if plan is None:
        return False
    due = next_undo(load_plan(connection, record.command.tenant, plan))
    return due is not None and due.command.id == record.command.id


def hint(plan: str) -> str:
    """Say where to answer instead."""
    return f"plan_member: it belongs to plan {plan} and is decided with it: opsmesh plans show {plan}"


def _scoped(scope: Scope) -> Select[tuple[object, ...]]:
    statement = select(*change_plans.c)
    return statement if scope == EVERY_TENANT else statement.where(change_plans.c.tenant == scope)


def plans_where(
    connection: Connection, statement: Select[tuple[object, ...]], *, lock: bool = False
) -> tuple[PlanRecord, ...]:
    """Return the plans of a selection in its order. Rows are locked plan first, commands in the order of their ids."""
    rows = connection.execute(statement.with_for_update() if lock else statement).mappings().all()
    found: list[PlanRecord] = []
    for row in rows:
        members = (
            select(*commands.c)
            .join(plan_commands, plan_commands.c.command == commands.c.id)
            .where(plan_commands.c.plan == row["id"])
            .order_by(commands.c.id)
        )
        held = connection.execute(members.with_for_update(of=commands) if lock else members).mappings()
        by_id = {record.command.id: record for record in map(record_of, held)}
        plan = ChangePlan.model_validate(row["body"])
        found.append(
            PlanRecord(
                plan=plan,
                digest=row["digest"],
                state=PlanState(row["state"]),
                version=row["version"],
                updated_at=row["updated_at"],
                reason=row["reason"],
                rationale=row["rationale"],
                members=tuple(by_id[command] for command in plan.commands),
            )
        )
    return tuple(found)
