"""Operations without lasting state (a restart, a ticket), kept as recorded resources: accepted in the ledger's
transaction, done when the target has followed.
"""

from sqlalchemy import Connection, insert, select, update

from domain.ids import EnvironmentId, TenantId
from domain.runtime_api import OperationKind, OperationRecord
from storage.tables.runtime import operations


def add(connection: Connection, record: OperationRecord) -> None:
    """Accept an operation."""
    connection.execute(insert(operations).values(record.model_dump()))


def find(
    connection: Connection, tenant: TenantId, environment: EnvironmentId, operation: str
) -> OperationRecord | None:
    """Return the operation of that id within the tenant's scope."""
    row = (
        connection.execute(
            select(operations).where(
                operations.c.id == operation, operations.c.tenant == tenant, operations.c.environment == environment
            )
        )
        .mappings()
        .first()
    )
    return None if row is None else OperationRecord.model_validate(dict(row))


def latest(
    connection: Connection, tenant: TenantId, environment: EnvironmentId, kind: OperationKind, *, limit: int
) -> list[OperationRecord]:
    """Return the newest operations of a kind, newest first."""
    rows = connection.execute(
        select(operations)
        .where(operations.c.tenant == tenant, operations.c.environment == environment, operations.c.kind == kind)
        .order_by(operations.c.accepted_at.desc(), operations.c.id.desc())
        .limit(limit)
    )
    return [OperationRecord.model_validate(dict(row)) for row in rows.mappings()]


def open_ones(connection: Connection) -> list[OperationRecord]:
    """Return every operation the target has not followed yet, oldest first."""
    rows = connection.execute(
        select(operations).where(operations.c.done.is_(False)).order_by(operations.c.accepted_at, operations.c.id)
    )
    return [OperationRecord.model_validate(dict(row)) for row in rows.mappings()]


def finish(connection: Connection, operation: str) -> None:
    """Record that the target has followed."""
    connection.execute(update(operations).where(operations.c.id == operation).values(done=True))
