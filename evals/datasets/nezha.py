"""Nezha: Train-Ticket on Kubernetes with injected faults; logs, traces and metrics (Yu et al. 2023).

Each fault is judged on the three minutes from its injection, compared with the day's fault-free minute (spans, logs)
and with the metrics seen before it. Of the fault list only the injection time is used; answers are services.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path

import numpy as np

from analysis.signals import Floats
from analysis.spans import Samples, SpanRow, self_times, shifts, table
from analysis.templates import Templater
from domain.base import Severity, TimeRange
from domain.evidence import LogPattern, MetricSeries, SignalKind, SpanStats
from domain.topology import Edge, Topology
from evals.datasets.scoring import Row, counted
from evals.datasets.telemetry.cases import Case, Prediction, hit_at
from evals.datasets.telemetry.naming import Names
from evals.datasets.telemetry.nezha_archive import Archive, LogLine, service_of
from evals.datasets.telemetry.recorded import ENVIRONMENT, UNCITED, Recording, SymptomSeen, noticed, recorded_service

MINUTES = 3
"""Logs and traces are given for the injection's minute and the two after it."""
METRIC_LEAD = timedelta(hours=1)
"""Metrics of the hour before are the baseline (as for changes: most of what matters shows within it)."""

_COLUMNS: dict[str, tuple[SignalKind, str, str]] = {
    "PodServerLatencyP95(s)": ("latency", "p95", "s"),
    "PodWorkload(Ops)": ("traffic", "rate", "per_s"),
    "CpuUsageRate(%)": ("saturation", "avg", "%"),
    "MemoryUsageRate(%)": ("saturation", "avg", "%"),
}
_SEVERITIES: tuple[tuple[re.Pattern[str], Severity], ...] = (
    (re.compile(r"\b(?:FATAL|CRITICAL|PANIC)\b"), "critical"),
    (re.compile(r"\b(?:ERROR|SEVERE)\b"), "error"),
    (re.compile(r"\bWARN(?:ING)?\b"), "warning"),
)
_HEAD = 120
"""The level stands in the line's head, behind time and thread."""
_BODY = 300
"""What follows is the printed body of a reply: a template needs no more."""
_RECORD = {1: 0.867, 3: 0.978, 5: 0.978}
"""Yu et al. 2023, table of Train-Ticket by service."""
_TARGET = {1: 0.60, 3: 0.80, 5: 0.85}


_Columns = dict[str, tuple[Floats, Floats]]
"""Column -> (epoch seconds, values)."""


@lru_cache(maxsize=1)
def archive_of(path: Path) -> Archive:
    """Return the archive, the last one kept open."""
    return Archive(path)


@dataclass(frozen=True, slots=True, eq=False)
class _Quiet:
    """What the fault-free minute holds."""

    spans: tuple[SpanRow, ...]
    times: Samples
    templater: Templater
    """Has seen the minute's log lines; every case goes on from a copy."""
    templates: tuple[tuple[str, Severity, int], ...]
    """Service, severity and template of each line."""


@dataclass(slots=True, eq=False)
class _Day:
    """One day: its quiet minute, its metrics, and names shared by all cases."""

    archive: Archive
    day: str
    quiet: _Quiet
    metrics: list[tuple[str, _Columns]]
    names: Names = field(default_factory=lambda: Names("service"))

    def case(self, position: int, at: datetime) -> Case:
        """Build the case of a fault injected at `at`."""
        current = TimeRange(start=at, end=at + timedelta(minutes=MINUTES))
        minutes = {f"{at + timedelta(minutes=k):%H_%M}" for k in range(MINUTES + 1)}
        spans = begun_within(self.archive.spans(self.day, normal=False, minutes=minutes), current)
        logs = [one for one in self.archive.logs(self.day, normal=False, minutes=minutes) if current.holds(one.at)]
        topology = self._topology((*self.quiet.spans, *spans))
        symptom = SymptomSeen(self.names.address(_entry([*self.quiet.spans, *spans])), "other")
        series = tuple(self._series(current))
        recording = Recording(
            at=at,
            baseline=TimeRange(start=at - METRIC_LEAD, end=at),
            current=current,
            topology=topology,
            events=(noticed(symptom, at, series),),
            series=series,
            logs=tuple(self._patterns(logs, current)),
            spans=tuple(self._stats(spans)),
        )
        return Case(f"{self.day}/{position}", recording, (symptom,), self.names.originals)

    def _topology(self, spans: tuple[SpanRow, ...]) -> Topology:
        """Read the call graph off the spans."""
        owner = {(span.trace_id, span.span_id): span.entity for span in spans}
        calls = {(owner.get((span.trace_id, span.parent_id), span.entity), span.entity) for span in spans}
        edges = tuple(
            Edge(kind="calls", source=self.names.address(caller), target=self.names.address(callee))
            for caller, callee in sorted(calls)
            if caller != callee
        )
        services = sorted({span.entity for span in spans})
        named = tuple(recorded_service(self.names.slug(one)) for one in services)
        return Topology(environment=ENVIRONMENT, services=named, edges=edges)

    def _stats(self, spans: list[SpanRow]) -> Iterator[SpanStats]:
        for shift in shifts(self.quiet.times, self_times(table(spans))):
            yield SpanStats(
                evidence=UNCITED,
                entity=self.names.address(shift.entity),
                operation=shift.operation,
                peer=self.names.address(shift.peer) if shift.peer else "",
                baseline_self_ms=tuple(shift.baseline.tolist()),
                current_self_ms=tuple(shift.current.tolist()),
            )

    def _patterns(self, logs: list[LogLine], current: TimeRange) -> Iterator[LogPattern]:
        """Count templates per service and severity in the quiet minute and in the window."""
        templater = deepcopy(self.quiet.templater)
        columns = (self.quiet.templates, _templates(logs, templater))
        counts: dict[tuple[str, Severity, int], list[int]] = {}
        for column, seen in enumerate(columns):
            for service, severity, number in seen:
                counts.setdefault((service, severity, templater.resolve(number)), [0, 0])[column] += 1
        for (service, severity, number), (before, during) in counts.items():
            yield LogPattern(
                evidence=UNCITED,
                entity=self.names.address(service),
                template=templater.text(number)[:500],
                severity=severity,
                baseline_count=before,
                baseline_s=60.0,
                current_count=during,
                current_s=(current.end - current.start).total_seconds(),
            )

    def _series(self, current: TimeRange) -> Iterator[MetricSeries]:
        for pod, columns in self.metrics:
            entity = self.names.address(service_of(pod))
            for column, (kind, statistic, unit) in _COLUMNS.items():
                values = _per_minute(*columns[column], current.start - METRIC_LEAD, current.end)
                if values:
                    yield MetricSeries(
                        evidence=UNCITED,
                        entity=entity,
                        metric=column.partition("(")[0],
                        kind=kind,
                        statistic=statistic,
                        unit=unit,
                        start=current.start - METRIC_LEAD,
                        step_s=60,
                        values=values,
                    )


class Nezha:
    """The data set in an archive `DAY.tar.xz`; every day inside is scored."""

    name = "nezha"
    places = "nezha/*.tar.xz"

    def case_ids(self, path: Path) -> tuple[str, ...]:
        """Return `DAY/position` for every fault."""
        archive = archive_of(path)
        return tuple(f"{day}/{fault.position}" for day in archive.days for fault in archive.faults(day))

    def cases(self, path: Path) -> Iterator[Case]:
        """Yield one case per fault."""
        archive = archive_of(path)
        for day in archive.days:
            spans, templater = archive.spans(day, normal=True), Templater()
            templates = _templates(archive.logs(day, normal=True), templater)
            quiet = _Quiet(tuple(spans), self_times(table(spans)), templater, templates)
            one = _Day(archive, day, quiet, [(pod, _columns(rows)) for pod, rows in archive.metrics(day)])
            for fault in archive.faults(day):
                yield one.case(fault.position, fault.at)

    def score(
        self, path: Path, predictions: Mapping[str, Prediction], floor: Mapping[str, Prediction]
    ) -> tuple[Row, ...]:
        """Return AS@1, 3 and 5 by service over all days."""
        archive = archive_of(path)
        truth = {
            f"{day}/{fault.position}": service_of(fault.pod) for day in archive.days for fault in archive.faults(day)
        }
        rows: list[Row] = []
        for k, record in _RECORD.items():
            metric = f"AS@{k}"
            ours, trivial = ([hit_at(given[case], truth[case], k) for case in truth] for given in (predictions, floor))
            rows.append(counted(metric, "all", ours, target=_TARGET[k]))
            rows.append(counted(metric, "all", trivial, who="floor", name="metric z-score"))
            rows.append(Row(metric=metric, who="record", name="Nezha on Train-Ticket", value=record))
        return tuple(rows)


def _templates(lines: Iterable[LogLine], templater: Templater) -> tuple[tuple[str, Severity, int], ...]:
    """Return service, severity and template of every line; the templater learns them."""
    return tuple((service_of(one.pod), severity_of(one.text), templater.add(one.text[:_BODY])) for one in lines)


def severity_of(text: str) -> Severity:
    """Return the severity a log line states, info when it states none."""
    for pattern, severity in _SEVERITIES:
        if pattern.search(text, 0, _HEAD):
            return severity
    return "info"


def begun_within(spans: list[SpanRow], window: TimeRange) -> list[SpanRow]:
    """Return the spans of traces that began within the window: a trace cut in half has no honest self times."""
    begun: dict[str, int] = {}
    for span in spans:
        begun[span.trace_id] = min(begun.get(span.trace_id, span.start_ns), span.start_ns)
    low, high = window.start.timestamp() * 1e9, window.end.timestamp() * 1e9
    return [span for span in spans if low <= begun[span.trace_id] < high]


def _entry(spans: list[SpanRow]) -> str:
    """Return the entity most traces enter by: what its users see is the symptom."""
    roots: dict[str, int] = {}
    for span in spans:
        if not span.parent_id:
            roots[span.entity] = roots.get(span.entity, 0) + 1
    return max(roots, key=lambda entity: (roots[entity], entity))


def _columns(rows: list[dict[str, str]]) -> _Columns:
    """Parse the columns we read; what is no number is missing."""
    times = np.array([_number(row.get("TimeStamp", "")) for row in rows])
    return {column: (times, np.array([_number(row.get(column, "")) for row in rows])) for column in _COLUMNS}


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _per_minute(times: Floats, values: Floats, start: datetime, end: datetime) -> tuple[float | None, ...]:
    """Return the values on a grid of minutes over [start, end); several samples in one minute keep the last."""
    grid: list[float | None] = [None] * int((end - start).total_seconds() // 60)
    inside = np.isfinite(values) & (times >= start.timestamp()) & (times < end.timestamp())
    for time, value in zip(times[inside].tolist(), values[inside].tolist(), strict=True):
        grid[int((time - start.timestamp()) // 60)] = value
    return tuple(grid) if any(value is not None for value in grid) else ()
