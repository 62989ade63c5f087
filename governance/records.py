"""Reading commands: rows into records, always within a tenant's scope. Nothing here changes anything."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, RowMapping, Select, select

from domain.commands import Command, CommandRecord, State
from domain.decisions import Approval, Decision
from domain.errors import NotFound
from domain.ids import CommandId, IncidentId, TenantId
from storage.tables.governance import approvals, commands, decisions

EVERY_TENANT: Literal["*"] = "*"
"""Said aloud by recovery and operators' views; whoever serves a tenant passes that tenant."""
Scope = TenantId | Literal["*"]


def record_of(row: RowMapping) -> CommandRecord:
    """Turn a row of `commands` into its record."""
    return CommandRecord(
        command=Command.model_validate(row["body"]),
        digest=row["digest"],
        state=State(row["state"]),
        version=row["version"],
        updated_at=row["updated_at"],
        reason=row["reason"],
        decided_by=row["decided_by"],
        policy_digest=row["policy_digest"],
        fencing=row["fencing"],
        lease_until=row["lease_until"],
    )


def load(connection: Connection, tenant: Scope, command: CommandId, *, lock: bool = False) -> CommandRecord:
    """Return one command, locked for the transaction when asked. NotFound also for another tenant's."""
    statement = scoped(tenant).where(commands.c.id == command)
    row = connection.execute(statement.with_for_update() if lock else statement).mappings().one_or_none()
    if row is None:
        raise NotFound(f"no command {command} in tenant {tenant}", reason="no_such_command")
    return record_of(row)


def scoped(scope: Scope) -> Select[tuple[object, ...]]:
    """Return the selection of commands that a scope may see."""
    statement = select(*commands.c)
    return statement if scope == EVERY_TENANT else statement.where(commands.c.tenant == scope)


def listed(
    connection: Connection,
    scope: Scope,
    *,
    states: Iterable[State] = (),
    incident: IncidentId | None = None,
    parent: CommandId | None = None,
    limit: int = 500,
) -> tuple[CommandRecord, ...]:
    """Return the newest `limit` commands, oldest first."""
    statement = scoped(scope).order_by(commands.c.id.desc()).limit(limit)
    if wanted := [state.value for state in states]:
        statement = statement.where(commands.c.state.in_(wanted))
    if incident is not None:
        statement = statement.where(commands.c.incident == incident)
    if parent is not None:
        statement = statement.where(commands.c.parent == parent)
    rows = connection.execute(statement).mappings().all()
    return tuple(record_of(row) for row in reversed(rows))


def lease_ended(
    connection: Connection, scope: Scope, states: Iterable[State], at: datetime
) -> tuple[CommandRecord, ...]:
    """Return commands in these states whose worker's lease has ended."""
    statement = scoped(scope).where(
        commands.c.state.in_([state.value for state in states]), commands.c.lease_until <= at
    )
    return tuple(record_of(row) for row in connection.execute(statement.order_by(commands.c.id)).mappings())


def decision_of(connection: Connection, tenant: TenantId, command: CommandId) -> Decision | None:
    """Return policy's decision about a command."""
    statement = select(decisions.c.body).where(decisions.c.tenant == tenant, decisions.c.command == command)
    body = connection.execute(statement).scalar_one_or_none()
    return None if body is None else Decision.model_validate(body)


def approvals_of(connection: Connection, tenant: TenantId, command: CommandId) -> tuple[Approval, ...]:
    """Return people's answers to a command, first come first."""
    names = list(Approval.model_fields)
    statement = (
        select(*(approvals.c[name] for name in names))
        .where(approvals.c.tenant == tenant, approvals.c.command == command)
        .order_by(approvals.c.at, approvals.c.principal)
    )
    return tuple(Approval.model_validate(dict(row)) for row in connection.execute(statement).mappings())


def ancestors(connection: Connection, record: CommandRecord) -> Sequence[CommandRecord]:
    """Return the commands this one narrows or undoes, nearest first."""
    found: list[CommandRecord] = []
    parent = record.command.parent
    while parent is not None:
        found.append(load(connection, record.command.tenant, parent))
        parent = found[-1].command.parent
    return found
