"""What a tenant may send: rows a day and distinct series, counted where every writer sees the count.

The count and the rows it stands for commit together, so concurrent senders cannot overrun a limit by more than one
batch. What does not fit is refused with the limit it met, never thinned out in silence.
"""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256

from sqlalchemy import Connection, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from domain.base import Frozen
from domain.ids import EnvironmentId, TenantId
from storage.tables.events import telemetry_series, telemetry_usage

_CHUNK = 500
"""Names asked for at once, half of SQLite's oldest limit of 999 variables."""


class TelemetryLimits(Frozen):
    """Upper bounds per tenant and environment."""

    rows_per_day: int = 50_000_000
    """About 10,000 series at a point every 17 s."""
    series: int = 10_000
    """Distinct (signal, entity, name): what hosted Prometheus offers grant a small tenant."""


def admitted_series(
    connection: Connection,
    limits: TelemetryLimits,
    tenant: TenantId,
    environment: EnvironmentId,
    names: Sequence[str],
    at: datetime,
) -> frozenset[str]:
    """Return which of the series may be written, noting the new ones until the limit is met."""
    digests = {sha256(name.encode()).hexdigest(): name for name in dict.fromkeys(names)}
    scope = (telemetry_series.c.tenant == tenant, telemetry_series.c.environment == environment)
    known: set[str] = set()
    wanted = list(digests)
    for start in range(0, len(wanted), _CHUNK):
        chunk = wanted[start : start + _CHUNK]
        query = select(telemetry_series.c.series).where(*scope, telemetry_series.c.series.in_(chunk))
        known |= set(connection.execute(query).scalars())
    fresh = [digest for digest in wanted if digest not in known]
    if fresh:
        held = connection.execute(select(func.count()).select_from(telemetry_series).where(*scope)).scalar_one()
        fresh = fresh[: max(0, limits.series - held)]
    if fresh:
        rows = [{"tenant": tenant, "environment": environment, "series": d, "first_seen": at} for d in fresh]
        connection.execute(insert(telemetry_series), rows)
    return frozenset(digests[digest] for digest in (*known, *fresh))


def rows_left(
    connection: Connection, limits: TelemetryLimits, tenant: TenantId, environment: EnvironmentId, day: str
) -> int:
    """Return how many more rows of any signal fit the day."""
    query = select(func.coalesce(func.sum(telemetry_usage.c.rows), 0)).where(
        telemetry_usage.c.tenant == tenant,
        telemetry_usage.c.environment == environment,
        telemetry_usage.c.day == day,
    )
    return max(0, limits.rows_per_day - int(connection.execute(query).scalar_one()))


def note_usage(
    connection: Connection, tenant: TenantId, environment: EnvironmentId, signal: str, day: str, size: tuple[int, int]
) -> None:
    """Add (rows, bytes) to the day's account."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    rows, weight = size
    statement = dialect.insert(telemetry_usage).values(
        tenant=tenant, environment=environment, signal=signal, day=day, rows=rows, bytes=weight
    )
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["tenant", "environment", "signal", "day"],
            set_={
                "rows": telemetry_usage.c.rows + statement.excluded.rows,
                "bytes": telemetry_usage.c.bytes + statement.excluded.bytes,
            },
        )
    )
