"""Telemetry that did not arrive: a collector that was down leaves holes, whatever happened meanwhile.

Readers of the target apply it on the way out; the world itself goes on measuring.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from domain.base import Frozen, TimeRange
from domain.evidence import ChangeRecord, LogPattern, MetricSeries, SpanStats

Signal = Literal["metrics", "logs", "traces", "changes"]


class Outage(Frozen):
    """One kind of telemetry missing over a time, of some addresses or (none named) of all."""

    signal: Signal
    during: TimeRange
    addresses: tuple[str, ...] = ()

    def hides(self, signal: Signal, address: str) -> bool:
        """Tell whether this kind of telemetry of the address is among what is missing."""
        return self.signal == signal and (not self.addresses or address in self.addresses)


def without_metrics(rows: Sequence[MetricSeries], outages: Sequence[Outage]) -> tuple[MetricSeries, ...]:
    """Return the series with None wherever a sample fell into an outage."""
    return tuple(_holed(row, [o for o in outages if o.hides("metrics", row.entity)]) for row in rows)


def _holed(row: MetricSeries, outages: Sequence[Outage]) -> MetricSeries:
    if not outages:
        return row
    instants = [row.start + timedelta(seconds=row.step_s * k) for k in range(len(row.values))]
    values = tuple(
        None if any(o.during.holds(at) for o in outages) else value
        for at, value in zip(instants, row.values, strict=True)
    )
    return row.model_copy(update={"values": values})


def without_changes(rows: Sequence[ChangeRecord], outages: Sequence[Outage]) -> tuple[ChangeRecord, ...]:
    """Return the change records that were not lost."""
    return tuple(r for r in rows if not any(o.hides("changes", r.entity) and o.during.holds(r.at) for o in outages))


def without_logs(
    rows: Sequence[LogPattern], outages: Sequence[Outage], split: datetime, end: datetime
) -> tuple[LogPattern, ...]:
    """Return the patterns of entities whose logs arrived in [split, end)."""
    return tuple(r for r in rows if not _lost("logs", r.entity, outages, split, end))


def without_spans(
    rows: Sequence[SpanStats], outages: Sequence[Outage], split: datetime, end: datetime
) -> tuple[SpanStats, ...]:
    """Return the span statistics of entities whose traces arrived in [split, end)."""
    return tuple(r for r in rows if not _lost("traces", r.entity, outages, split, end))


def _lost(signal: Signal, address: str, outages: Sequence[Outage], start: datetime, end: datetime) -> bool:
    return any(o.hides(signal, address) and o.during.start < end and start < o.during.end for o in outages)
