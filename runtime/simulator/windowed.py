"""Readings of one pack as numbers per service and window: what the twin is fitted on, and nothing else.

A window is summarised by medians, because single samples are noisy and the fit wants a steady state; what the horizon
starts from (replicas, memory) is the newest sample. "Now" begins where the newest change of level ended.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from domain.evidence import EvidencePack, MetricSeries
from runtime.simulator.queueing import Z95, Floats

# The newest minutes that count as "now": long enough for five one-minute samples.
RECENT = timedelta(minutes=5)
# Fewer samples than two are no level.
FEWEST = timedelta(minutes=2)
# Changes after which the minutes before tell nothing of now; the autoscaler's are followed by the readings themselves.
BREAKING = frozenset({"zone", "node", "deployment", "config", "policy"})
# A level counts as new beyond a quarter (log p95) or five points of errors, and three deviations within the levels.
NEW_LEVEL: tuple[tuple[str, float], ...] = (("latency_p95_ms", 0.25), ("error_rate", 0.05))
# Replicas that differ by a twentieth within a window are being scaled; counts of tens do not round that far.
MOVED = 1.05
# Memory that falls by a twentieth between two samples was freed by new processes, not by the load.
FREED = 0.05


@dataclass(slots=True, frozen=True)
class Reading:
    """Medians of one service over one window; NaN where nothing was read. Times in seconds, shares 0 to 1."""

    rate: float
    errors: float
    p50_s: float
    p95_s: float
    cpu: float
    memory_mib: float
    slots: float
    ready: float
    desired: float
    leak_mib_per_s: float
    busy: float
    """Replicas' worth of CPU request in use: utilisation times ready replicas, sample by sample."""
    ready_now: float
    desired_now: float
    memory_now_mib: float
    missing: float
    """Desired replicas that were not ready in any sample of the window."""
    killed: float
    """Processes killed and restarted in the window."""
    moving: bool
    """Whether replicas came or went within the window: delays are then queues left over, not the service's work."""

    @property
    def complete(self) -> bool:
        """Whether load, errors and latency were all read."""
        return bool(np.isfinite([self.rate, self.errors, self.p50_s, self.p95_s]).all())

    @property
    def sigma(self) -> float:
        """Spread of the lognormal through median and 95 % quantile."""
        return float(np.log(max(self.p95_s / max(self.p50_s, 1e-6), 1.05)) / Z95)

    @property
    def mean_s(self) -> float:
        """Mean of that lognormal."""
        return self.p50_s * float(np.exp(0.5 * self.sigma**2))

    @property
    def variance_s2(self) -> float:
        """Variance of that lognormal."""
        return self.mean_s**2 * (float(np.exp(self.sigma**2)) - 1.0)


_FIELDS: tuple[tuple[str, str, float], ...] = (
    ("rate", "request_rate", 1.0),
    ("errors", "error_rate", 1.0),
    ("p50_s", "latency_p50_ms", 0.001),
    ("p95_s", "latency_p95_ms", 0.001),
    ("cpu", "cpu_utilisation", 1.0),
    ("memory_mib", "memory_mib", 1.0),
    ("slots", "pool_use", 1.0),
    ("ready", "replicas_ready", 1.0),
    ("desired", "replicas_desired", 1.0),
)


def read_window(series: Sequence[MetricSeries], entity: str, start: datetime, end: datetime) -> Reading:
    """Summarise one entity's series over [start, end)."""
    found = {metric: _joined(series, entity, metric, start, end) for _, metric, _ in _FIELDS}
    numbers = {name: _middle(found[metric]) * factor for name, metric, factor in _FIELDS}
    step_s = next((float(s.step_s) for s in series if s.entity == entity), 60.0)
    long = min(start, end - RECENT)
    memory = _joined(series, entity, "memory_mib", long, end)
    fleet = _joined(series, entity, "replicas_ready", long, end)
    ready, desired, cpu = (found[m] for m in ("replicas_ready", "replicas_desired", "cpu_utilisation"))
    return Reading(
        **numbers,
        leak_mib_per_s=_slope(memory, step_s),
        busy=_middle(ready * cpu) if len(ready) == len(cpu) else numbers["cpu"] * numbers["ready"],
        ready_now=_last(ready),
        desired_now=_last(desired),
        memory_now_mib=_middle(found["memory_mib"][-2:]),
        missing=float(np.maximum(desired - ready, 0.0).min()) if len(ready) == len(desired) > 0 else float("nan"),
        killed=float(_joined(series, entity, "restarts", long, end).sum()),
        moving=len(fleet) > 0 and float(fleet.max()) > MOVED * float(fleet.min()),
    )


def quiet_minutes(
    series: Sequence[MetricSeries], entity: str, start: datetime, end: datetime
) -> tuple[datetime, datetime] | None:
    """The two minutes of [start, end) in which the entity answered fastest; None where there are no two."""
    values = _joined(series, entity, "latency_p50_ms", start, end)
    if len(values) < 2:
        return None
    step = (end - start) / len(values)
    best = start + int(np.argmin(values[1:] + values[:-1])) * step
    return best, best + 2 * step


def since_last_break(pack: EvidencePack, entities: Sequence[str], end: datetime) -> datetime:
    """Where "now" begins: at most `RECENT` before `end`, a minute after the newest change, after the newest new level.

    `entities` are those whose level is looked at. Two samples are always kept.
    """
    start, least = end - RECENT, end - FEWEST
    changed = [c.at + timedelta(minutes=1) for c in pack.changes if c.kind in BREAKING and start < c.at < end]
    for entity in entities:
        for metric, least_shift in NEW_LEVEL:
            values = _joined(pack.series, entity, metric, start, end)
            split = _new_level(np.log(np.maximum(values, 1e-6)) if "ms" in metric else values, least_shift)
            changed.append(start + (end - start) * split / max(len(values), 1))
    return min(max([start, *changed]), least)


def _new_level(values: Floats, least_shift: float) -> int:
    """Index at which the values change from one level to another that holds to the end; 0 where they do not."""
    best, found = np.inf, 0
    for split in range(1, len(values) - 1):
        before, after = values[:split], values[split:]
        within = float(((before - before.mean()) ** 2).sum() + ((after - after.mean()) ** 2).sum())
        shift = abs(float(after.mean() - before.mean()))
        if within < best:
            clear = shift > max(least_shift, 3.0 * (within / len(values)) ** 0.5)
            best, found = within, split if clear else 0
    return found


def _joined(series: Sequence[MetricSeries], entity: str, metric: str, start: datetime, end: datetime) -> Floats:
    found = [samples(s, start, end) for s in series if s.entity == entity and s.metric == metric]
    return np.concatenate(found) if found else np.zeros(0)


def _middle(values: Floats) -> float:
    return float(np.median(values)) if len(values) else float("nan")


def _last(values: Floats) -> float:
    return float(values[-1]) if len(values) else float("nan")


def samples(one: MetricSeries, start: datetime, end: datetime) -> Floats:
    """Finite samples of a series in [start, end)."""
    values = np.array([np.nan if v is None else v for v in one.values], dtype=np.float64)
    first = max(0, int(np.ceil((start - one.start).total_seconds() / one.step_s)))
    last = max(first, int(np.ceil((end - one.start).total_seconds() / one.step_s)))
    kept = values[first:last]
    return kept[np.isfinite(kept)]


def _slope(memory: Floats, step_s: float) -> float:
    """Least-squares slope in MiB per second of the longest stretch without a restart; 0 where nothing clearly rises."""
    stretches = np.split(memory, np.flatnonzero(np.diff(memory) < -FREED * memory[:-1]) + 1)
    longest = max(stretches, key=len)
    if len(longest) < 3:
        return 0.0
    at = np.arange(len(longest)) * step_s
    slope, level = np.polyfit(at, longest, 1)
    residual = float(np.std(longest - (slope * at + level)))
    rise = float(slope) * float(at[-1])
    # A rise below three residual deviations, or below what sampling noise of about 1 % a sample can do, is noise; one
    # that comes in a single step is another working set.
    gradual = float(np.diff(longest).max()) < 0.7 * rise
    return float(slope) if rise > 3.0 * max(residual, 1e-9) and rise > 0.05 * level and gradual else 0.0


def latest(pack: EvidencePack) -> datetime:
    """End of the newest sample of the pack."""
    ends = [s.start + timedelta(seconds=s.step_s * len(s.values)) for s in pack.series]
    return max(ends, default=pack.at)
