"""Stored telemetry: metric points, log records and spans taken in bulk, within the tenant's limits.

Telemetry is accounted by count, not row by row: what is refused stands in quarantine as one row per batch and reason,
with the number and a sample. Reading it back is in `telemetry_reader`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby

from sqlalchemy import Connection, Table, func, select
from sqlalchemy.dialects import postgresql, sqlite

from domain.ids import EnvironmentId, TenantId
from domain.intake import LogRecord, MetricPoint, QuarantineReason, RefusedInput, SpanRecord, TelemetryReport
from domain.ports import Clock, Ids
from domain.principals import EventSourceKey
from grounding import quarantine
from grounding.intake_rules import FUTURE_SKEW
from grounding.telemetry_limits import TelemetryLimits, admitted_series, note_usage, rows_left
from storage.engine import Database
from storage.tables.events import log_records, metric_points
from storage.tables.events import spans as span_rows

Value = str | int | float | bool | datetime | None
_ACCOUNT_LOCK = 0x4F_50_53_4E
"""Advisory lock of telemetry writers on PostgreSQL: a limit is read and charged in one go."""
_ROW_BYTES = 64
"""Charged for a row besides its texts: times, numbers and index entries, roughly."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """One value on its way in: the row it would be, and what the limits are held against."""

    environment: EnvironmentId
    series: str
    at: datetime
    row: dict[str, Value]

    @property
    def texts(self) -> list[str]:
        return [value for value in self.row.values() if isinstance(value, str)]


class TelemetryStore:
    """Takes telemetry in. Raises Unavailable when the store is gone."""

    def __init__(self, database: Database, clock: Clock, ids: Ids, limits: TelemetryLimits | None = None) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._limits = limits or TelemetryLimits()

    def accept_metrics(
        self, sender: EventSourceKey, tenant: TenantId, points: Sequence[MetricPoint]
    ) -> TelemetryReport:
        """Take samples."""
        return self._take(sender, tenant, metric_points, [_point(p, tenant) for p in points])

    def accept_logs(self, sender: EventSourceKey, tenant: TenantId, records: Sequence[LogRecord]) -> TelemetryReport:
        """Take log lines."""
        return self._take(sender, tenant, log_records, [_record(r, tenant) for r in records])

    def accept_spans(self, sender: EventSourceKey, tenant: TenantId, spans: Sequence[SpanRecord]) -> TelemetryReport:
        """Take spans; one that is already there counts as taken."""
        return self._take(sender, tenant, span_rows, [_span(s, tenant) for s in spans])

    def _take(
        self, sender: EventSourceKey, tenant: TenantId, table: Table, candidates: list[_Candidate]
    ) -> TelemetryReport:
        now = self._clock.now()
        refused: dict[tuple[QuarantineReason, str], list[_Candidate]] = {}
        fit: list[_Candidate] = []
        for one in candidates:
            wrong = _problem(one, tenant, sender, now)
            fit.append(one) if wrong is None else refused.setdefault(wrong, []).append(one)
        with self._database.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(select(func.pg_advisory_xact_lock(_ACCOUNT_LOCK)))
            taken = self._write(connection, tenant, table, fit, now, refused)
            rows = [(0, _summary(reason, detail, held)) for (reason, detail), held in refused.items()]
            quarantine.store(connection, self._ids, rows, sender=sender, channel="otlp", at=now)
        return TelemetryReport(
            accepted=taken,
            rejected=len(candidates) - taken,
            message="; ".join(f"{len(held)} refused: {detail}" for (_, detail), held in refused.items()),
        )

    def _write(
        self,
        connection: Connection,
        tenant: TenantId,
        table: Table,
        fit: list[_Candidate],
        now: datetime,
        refused: dict[tuple[QuarantineReason, str], list[_Candidate]],
    ) -> int:
        """Write what the limits admit, per environment; note what they do not among the refused."""
        day = f"{now:%Y-%m-%d}"
        taken = 0
        for environment, group in groupby(sorted(fit, key=lambda one: one.environment), lambda one: one.environment):
            members = list(group)
            series = [f"{table.name}:{one.series}" for one in members]
            admitted = admitted_series(connection, self._limits, tenant, environment, series, now)
            passed = [one for one, name in zip(members, series, strict=True) if name in admitted]
            left = rows_left(connection, self._limits, tenant, environment, day)
            _refuse(refused, f"more than {self._limits.series} distinct series", _without(members, passed))
            _refuse(refused, f"more than {self._limits.rows_per_day} rows a day", passed[left:])
            if rows := [one.row for one in passed[:left]]:
                _insert(connection, table, rows)
                weight = sum(len(text) for one in passed[:left] for text in one.texts) + _ROW_BYTES * len(rows)
                note_usage(connection, tenant, environment, table.name, day, (len(rows), weight))
            taken += len(rows)
        return taken


def _refuse(
    refused: dict[tuple[QuarantineReason, str], list[_Candidate]], detail: str, members: list[_Candidate]
) -> None:
    if members:
        refused.setdefault(("quota", detail), []).extend(members)


def _without(members: list[_Candidate], passed: list[_Candidate]) -> list[_Candidate]:
    kept = {id(one) for one in passed}
    return [one for one in members if id(one) not in kept]


def _insert(connection: Connection, table: Table, rows: list[dict[str, Value]]) -> None:
    """Insert rows; a span known by its id is passed over, and only spans have such an id."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(table)
    connection.execute(statement.on_conflict_do_nothing() if table is span_rows else statement, rows)


def _problem(
    one: _Candidate, tenant: TenantId, sender: EventSourceKey, now: datetime
) -> tuple[QuarantineReason, str] | None:
    if tenant not in sender.tenants:
        return "cross_tenant", "this credential does not speak for the tenant"
    if one.at > now + FUTURE_SKEW:
        return "future_time", f"time lies more than {FUTURE_SKEW.total_seconds():.0f} s ahead of our clock"
    if any(not _storable(text) for text in one.texts):
        return "bad_text", "a text holds NUL or half a surrogate pair"
    return None


def _storable(text: str) -> bool:
    return (text.isascii() and "\0" not in text) or not any(c == "\0" or "\ud800" <= c <= "\udfff" for c in text)


def _summary(reason: QuarantineReason, detail: str, held: list[_Candidate]) -> RefusedInput:
    sample = repr(held[0].row).encode(errors="replace")
    return RefusedInput(reason=reason, detail=f"{len(held)} values: {detail}", body=sample)


def _point(point: MetricPoint, tenant: TenantId) -> _Candidate:
    row: dict[str, Value] = point.model_dump(exclude={"at"})
    row |= {"tenant": tenant, "time": point.at}
    return _Candidate(point.environment, f"{point.entity} {point.metric} {point.statistic}", point.at, row)


def _record(record: LogRecord, tenant: TenantId) -> _Candidate:
    row: dict[str, Value] = record.model_dump(exclude={"at", "trace_id", "span_id"})
    row |= {"tenant": tenant, "time": record.at, "trace": record.trace_id, "span": record.span_id}
    return _Candidate(record.environment, record.entity, record.at, row)


def _span(span: SpanRecord, tenant: TenantId) -> _Candidate:
    row: dict[str, Value] = span.model_dump(exclude={"trace_id", "span_id", "parent_id"})
    row |= {"tenant": tenant, "trace": span.trace_id, "span": span.span_id, "parent": span.parent_id}
    at = _EPOCH + timedelta(microseconds=span.start_ns // 1000)
    return _Candidate(span.environment, f"{span.entity} {span.operation}", at, row)
