"""Operations without lasting state, kept as recorded resources: accepted in the ledger's transaction, carried on step
by step until they end.
"""

from sqlalchemy import Connection, insert, select, update

from domain.command_kinds import CommandKind
from domain.ids import EnvironmentId, TenantId
from domain.runtime_api import OperationRecord, Progress
from storage.tables.runtime import operations


def add(connection: Connection, record: OperationRecord) -> None:
    """Accept an operation."""
    connection.execute(insert(operations).values(record.model_dump(mode="python") | _progress(record.progress)))


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
    return None if row is None else OperationRecord.model_validate(_fields(dict(row)))


def latest(
    connection: Connection, tenant: TenantId, environment: EnvironmentId, kind: CommandKind, *, limit: int
) -> list[OperationRecord]:
    """Return the newest operations of a kind, newest first."""
    rows = connection.execute(
        select(operations)
        .where(operations.c.tenant == tenant, operations.c.environment == environment, operations.c.kind == kind)
        .order_by(operations.c.accepted_at.desc(), operations.c.id.desc())
        .limit(limit)
    )
    return [OperationRecord.model_validate(_fields(dict(row))) for row in rows.mappings()]


def open_ones(connection: Connection) -> list[OperationRecord]:
    """Return every operation that has not ended, oldest first."""
    rows = connection.execute(
        select(operations).where(operations.c.ended.is_(False)).order_by(operations.c.accepted_at, operations.c.id)
    )
    return [OperationRecord.model_validate(_fields(dict(row))) for row in rows.mappings()]


def advance(connection: Connection, record: OperationRecord, progress: Progress) -> OperationRecord:
    """Record how far an operation has come. One that has ended stays as it ended."""
    connection.execute(
        update(operations)
        .where(operations.c.id == record.id, operations.c.ended.is_(False))
        .values(_progress(progress))
    )
    return record.model_copy(update={"progress": progress})


def _progress(progress: Progress) -> dict[str, object]:
    ended = progress.status in {"done", "failed", "cancelled"}
    return {"progress": progress.model_dump(mode="json"), "ended": ended}


def _fields(row: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in row.items() if name != "ended"}
