"""What was stored of telemetry, read as the reader ports answer it: series on a grid, log patterns, span statistics.

One reader serves one tenant. The evidence pack gives the items their ids, so they are read without.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeVarTuple

from pydantic import JsonValue
from sqlalchemy import Row, Select, select

from analysis.spans import SpanRow, self_times, shifts, table
from analysis.templates import Templater
from domain.base import Severity, TimeRange
from domain.catalogue import CHANGE_TYPES
from domain.events import Event
from domain.evidence import ChangeRecord, LogPattern, MetricSeries, SpanStats
from domain.ids import EnvironmentId, EvidenceId, TenantId
from grounding.event_log import EventLog
from storage.engine import Database
from storage.tables.events import log_records, metric_points, spans

_UNCITED = EvidenceId("")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
READ_ROWS = 200_000
"""The most rows one window read takes in: some 50 MB; the newest are kept."""
_TRACE_TAIL = timedelta(minutes=1)
"""Read beyond either end of a window: a trace cut in half has no honest self times (longer than any usual timeout)."""
_LINE = 300
"""Characters of a line that a template is made of: what follows is mostly the printed body of a reply."""
_KINDS: dict[str, Literal["deployment", "config", "scaling", "node", "zone", "drift"]] = {
    "runtime.deployment.changed.v1": "deployment",
    "runtime.config.changed.v1": "config",
    "runtime.scaling.changed.v1": "scaling",
    "runtime.node.changed.v1": "node",
    "runtime.zone.changed.v1": "zone",
    "runtime.drift.detected.v1": "drift",
}
Columns = TypeVarTuple("Columns")
_BEFORE = ("previous_version", "before", "replicas_before", "desired")
_AFTER = ("version", "after", "replicas_after", "live", "ready", "available")


class StoredTelemetry:
    """TelemetryReader and SpanReader over the store, within one tenant. Raises Unavailable."""

    def __init__(self, database: Database, log: EventLog, tenant: TenantId, *, step_s: int = 60) -> None:
        self._database = database
        self._log = log
        self._tenant = tenant
        self._step_s = step_s

    async def series(
        self, environment: EnvironmentId, entities: Sequence[str], start: datetime, end: datetime
    ) -> tuple[MetricSeries, ...]:
        """Return all series of the entities (all entities when empty) over [start, end), averaged per step."""
        return await asyncio.to_thread(self._series, environment, entities, start, end)

    async def changes(self, environment: EnvironmentId, start: datetime, end: datetime) -> tuple[ChangeRecord, ...]:
        """Return what changed by the log, oldest first."""
        events = await asyncio.to_thread(
            self._log.window,
            self._tenant,
            TimeRange(start=start, end=end),
            environment=environment,
            types=tuple(sorted(CHANGE_TYPES)),
        )
        return tuple(_change(event) for event in events)

    async def logs(
        self, environment: EnvironmentId, start: datetime, split: datetime, end: datetime
    ) -> tuple[LogPattern, ...]:
        """Return log patterns with counts in [start, split) and [split, end)."""
        return await asyncio.to_thread(self._logs, environment, start, split, end)

    async def spans(
        self, environment: EnvironmentId, start: datetime, split: datetime, end: datetime
    ) -> tuple[SpanStats, ...]:
        """Return span statistics of the traces that began in [start, split) and in [split, end)."""
        return await asyncio.to_thread(self._spans, environment, start, split, end)

    def _series(
        self, environment: EnvironmentId, entities: Sequence[str], start: datetime, end: datetime
    ) -> tuple[MetricSeries, ...]:
        c = metric_points.c
        query = select(c.entity, c.metric, c.kind, c.statistic, c.unit, c.time, c.value).where(
            c.tenant == self._tenant, c.environment == environment, c.time >= start, c.time < end
        )
        if entities:
            query = query.where(c.entity.in_(entities))
        steps = -(-int((end - start).total_seconds()) // self._step_s)
        grids: dict[tuple[str, ...], list[list[float]]] = {}
        for row in self._rows(query.order_by(c.time.desc()).limit(READ_ROWS)):
            key = (row.entity, row.metric, row.kind, row.statistic, row.unit)
            cells = grids.setdefault(key, [[] for _ in range(steps)])
            cells[int((row.time - start).total_seconds() // self._step_s)].append(row.value)
        return tuple(_on_grid(key, cells, start, self._step_s) for key, cells in sorted(grids.items()))

    def _logs(
        self, environment: EnvironmentId, start: datetime, split: datetime, end: datetime
    ) -> tuple[LogPattern, ...]:
        c = log_records.c
        query = select(c.entity, c.severity, c.message, c.time).where(
            c.tenant == self._tenant, c.environment == environment, c.time >= start, c.time < end
        )
        templater = Templater()
        seen: list[tuple[str, Severity, int, bool]] = [
            (row.entity, row.severity, templater.add(row.message[:_LINE]), row.time >= split)
            for row in reversed(self._rows(query.order_by(c.time.desc(), c.seq.desc()).limit(READ_ROWS)))
        ]
        counts: dict[tuple[str, Severity, int], list[int]] = {}
        for entity, severity, number, during in seen:  # templates merge as lines come: their numbers count afterwards
            counts.setdefault((entity, severity, templater.resolve(number)), [0, 0])[during] += 1
        return tuple(
            LogPattern(
                evidence=_UNCITED,
                entity=entity,
                template=templater.text(number),
                severity=severity,
                baseline_count=before,
                baseline_s=(split - start).total_seconds(),
                current_count=during,
                current_s=(end - split).total_seconds(),
            )
            for (entity, severity, number), (before, during) in sorted(counts.items())
        )

    def _spans(
        self, environment: EnvironmentId, start: datetime, split: datetime, end: datetime
    ) -> tuple[SpanStats, ...]:
        c = spans.c
        begin_ns, split_ns, end_ns = (_nanoseconds(at) for at in (start, split, end))
        tail_ns = _TRACE_TAIL // timedelta(microseconds=1) * 1000
        query = select(spans).where(
            c.tenant == self._tenant,
            c.environment == environment,
            c.start_ns >= begin_ns - tail_ns,
            c.start_ns < end_ns + tail_ns,
        )
        rows = [
            SpanRow(r.trace, r.span, r.parent or "", r.entity, r.operation, r.start_ns, r.end_ns, r.error)
            for r in self._rows(query.order_by(c.start_ns.desc()).limit(READ_ROWS))
        ]
        begun: dict[str, int] = {}
        for row in rows:
            begun[row.trace_id] = min(begun.get(row.trace_id, row.start_ns), row.start_ns)
        before = [row for row in rows if begin_ns <= begun[row.trace_id] < split_ns]
        during = [row for row in rows if split_ns <= begun[row.trace_id] < end_ns]
        return tuple(
            SpanStats(
                evidence=_UNCITED,
                entity=shift.entity,
                operation=shift.operation,
                peer=shift.peer,
                baseline_self_ms=tuple(shift.baseline.tolist()),
                current_self_ms=tuple(shift.current.tolist()),
                baseline_errors=shift.baseline_errors,
                current_errors=shift.current_errors,
            )
            for shift in shifts(self_times(table(before)), self_times(table(during)))
        )

    def _rows(self, query: Select[*Columns]) -> Sequence[Row[*Columns]]:
        with self._database.read() as connection:
            return connection.execute(query).all()


def _on_grid(key: tuple[str, ...], cells: list[list[float]], start: datetime, step_s: int) -> MetricSeries:
    entity, metric, kind, statistic, unit = key
    values = tuple(sum(cell) / len(cell) if cell else None for cell in cells)
    return MetricSeries.model_validate(
        {
            "evidence": _UNCITED,
            "entity": entity,
            "metric": metric,
            "kind": kind,
            "statistic": statistic,
            "unit": unit,
            "start": start,
            "step_s": step_s,
            "values": values,
        }
    )


def _nanoseconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1) * 1000


def _change(event: Event) -> ChangeRecord:
    data = event.data if isinstance(event.data, dict) else {}
    entity = data.get("resource") or _entity(data)
    return ChangeRecord(
        evidence=_UNCITED,
        entity=str(entity),
        kind=_KINDS[event.type],
        at=event.time,
        before=next((data[name] for name in _BEFORE if name in data), None),
        after=next((data[name] for name in _AFTER if name in data), None),
        actor=str(data.get("actor", "")),
        text=str(data.get("key") or data.get("reason") or data.get("path") or ""),
    )


def _entity(data: dict[str, JsonValue]) -> str:
    return next((f"{kind}/{data[kind]}" for kind in ("service", "node", "zone") if data.get(kind)), "")
