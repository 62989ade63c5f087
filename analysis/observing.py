"""From an evidence pack to the arrays a diagnosis works on: units made comparable, windows cut, ids kept.

Samples are assigned to the baseline or the current window by their time. Baseline and current readings of one metric
may come as one series or as two.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

import numpy as np

from analysis.signals import ChangeMark, Floats, Observations, SignalSeries, SpanShift, Symptom, TemplateCount
from domain.base import TimeRange
from domain.evidence import EvidencePack, LogPattern, MetricSeries, SignalKind, SpanStats

_TO_MS = {"ms": 1.0, "s": 1000.0, "us": 0.001, "ns": 1e-6}
_TO_RATIO = {"ratio": 1.0, "fraction": 1.0, "1": 1.0, "%": 0.01, "percent": 0.01}


def observations_of(pack: EvidencePack) -> Observations:
    """Return what the pack holds, without past incidents and open commands: remedies are hidden while diagnosing."""
    return Observations(
        symptom=Symptom(pack.symptom, pack.symptom_kind, pack.at.timestamp()),
        series=tuple(_paired(pack.series, pack.baseline, pack.current)),
        edges=pack.topology.edges,
        spans=tuple(_shift(one) for one in pack.spans),
        templates=tuple(_template(one) for one in pack.logs),
        changes=tuple(ChangeMark(one.entity, one.at.timestamp(), one.kind, one.evidence) for one in pack.changes),
    )


def normal_unit(kind: SignalKind, unit: str) -> tuple[str, float]:
    """Return the unit a value of that kind is brought to, and the factor; unknown units stay as they are."""
    if kind == "latency" and unit in _TO_MS:
        return "ms", _TO_MS[unit]
    if kind in ("errors", "availability", "saturation") and unit in _TO_RATIO:
        return "ratio", _TO_RATIO[unit]
    return unit, 1.0


def _paired(series: Iterable[MetricSeries], baseline: TimeRange, current: TimeRange) -> Iterable[SignalSeries]:
    readings: dict[tuple[str, str, str], list[MetricSeries]] = {}
    for one in series:
        readings.setdefault((one.entity, one.metric, one.statistic), []).append(one)
    for held in readings.values():
        before, _ = _cut(held, baseline)
        during, start = _cut(held, current)
        newest = max(held, key=lambda one: one.start)
        unit, factor = normal_unit(newest.kind, newest.unit)
        yield SignalSeries(
            entity=newest.entity,
            metric=newest.metric,
            kind=newest.kind,
            statistic=newest.statistic,
            step_s=float(newest.step_s),
            baseline=before * factor,
            current=during * factor,
            start_s=(start or current.start).timestamp(),
            unit=unit,
            ref=newest.evidence,
        )


def _cut(readings: list[MetricSeries], window: TimeRange) -> tuple[Floats, datetime | None]:
    """Return the samples within [start, end) in order of time, and the time of the first."""
    pieces: list[Floats] = []
    first: datetime | None = None
    for one in sorted(readings, key=lambda reading: reading.start):
        low = max(0, -int((one.start - window.start).total_seconds() // one.step_s))
        high = max(low, -int((one.start - window.end).total_seconds() // one.step_s))
        chosen = one.values[low:high]
        if chosen:
            pieces.append(np.array([np.nan if value is None else value for value in chosen], np.float64))
            first = first or one.start + timedelta(seconds=low * one.step_s)
    return (np.concatenate(pieces) if pieces else np.zeros(0)), first


def _shift(one: SpanStats) -> SpanShift:
    return SpanShift(
        entity=one.entity,
        operation=one.operation,
        baseline=np.array(one.baseline_self_ms, np.float64),
        current=np.array(one.current_self_ms, np.float64),
        peer=one.peer,
        baseline_errors=one.baseline_errors,
        current_errors=one.current_errors,
        ref=one.evidence,
    )


def _template(one: LogPattern) -> TemplateCount:
    return TemplateCount(
        entity=one.entity,
        template=one.template,
        severity=one.severity,
        baseline_count=one.baseline_count,
        baseline_s=one.baseline_s,
        current_count=one.current_count,
        current_s=one.current_s,
        ref=one.evidence,
    )
