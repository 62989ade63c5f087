"""Readings of one pack as numbers per service and window: what the twin is fitted on, and nothing else.

A window is summarised by medians, because single samples are noisy and the fit wants a steady state.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from domain.evidence import EvidencePack, MetricSeries
from runtime.simulator.queueing import Z95, Floats

# The newest minutes that count as "now": long enough for five one-minute samples.
RECENT = timedelta(minutes=5)


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
    found: dict[str, Floats] = {}
    for one in series:
        if one.entity == entity:
            values = samples(one, start, end)
            if len(values):
                found[one.metric] = np.concatenate([found[one.metric], values]) if one.metric in found else values
    numbers = {
        name: float(np.nanmedian(found[metric])) * factor if metric in found else float("nan")
        for name, metric, factor in _FIELDS
    }
    step_s = next((float(s.step_s) for s in series if s.entity == entity), 60.0)
    return Reading(**numbers, leak_mib_per_s=_slope(found.get("memory_mib"), step_s))


def samples(one: MetricSeries, start: datetime, end: datetime) -> Floats:
    """Finite samples of a series in [start, end)."""
    values = np.array([np.nan if v is None else v for v in one.values], dtype=np.float64)
    first = max(0, int(np.ceil((start - one.start).total_seconds() / one.step_s)))
    last = max(first, int(np.ceil((end - one.start).total_seconds() / one.step_s)))
    kept = values[first:last]
    return kept[np.isfinite(kept)]


def _slope(memory: Floats | None, step_s: float) -> float:
    """Least-squares slope of memory over the window in MiB per second, 0 where it does not clearly rise."""
    if memory is None or len(memory) < 4:
        return 0.0
    at = np.arange(len(memory)) * step_s
    slope, level = np.polyfit(at, memory, 1)
    residual = float(np.std(memory - (slope * at + level)))
    rise = float(slope) * float(at[-1])
    # A rise below three residual deviations is noise.
    return float(slope) if rise > 3.0 * max(residual, 1e-9) and rise > 0.02 * level else 0.0


def latest(pack: EvidencePack) -> datetime:
    """End of the newest sample of the pack."""
    ends = [s.start + timedelta(seconds=s.step_s * len(s.values)) for s in pack.series]
    return max(ends, default=pack.at)
