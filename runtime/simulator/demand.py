"""External demand: daily and weekly shape, slow noise, and what faults do to it: surges, growth, other habits."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from runtime.simulator.clients import Clients
from runtime.simulator.layout import Layout
from runtime.simulator.queueing import Floats
from runtime.simulator.streams import stream

# Peak-to-mean of interactive services is near 1.5, trough near 0.5 (public web traffic, e.g. Wikipedia page views).
DAILY_SWING = 0.35
SECOND_HARMONIC = 0.10
WEEKEND = 0.75
PEAK_HOUR = 14.0
# AR(1) coefficient per step: demand noise remembers about five minutes.
MEMORY_S = 300.0
# However peaked a day becomes, somebody is always awake.
LEAST_SHAPE = 0.05


def daily_shape(at: datetime, utc_offset_h: float = 0.0, swing: float = 1.0) -> float:
    """Multiplier of mean demand by local hour and weekday; averages 1 over a working day whatever the `swing`."""
    hour = at.hour + at.minute / 60.0 + at.second / 3600.0 + utc_offset_h
    phase = 2.0 * np.pi * (hour - PEAK_HOUR) / 24.0
    week = WEEKEND if at.weekday() >= 5 else 1.0
    usual = DAILY_SWING * np.cos(phase) + SECOND_HARMONIC * np.cos(2.0 * phase)
    return float(week * max(1.0 + swing * usual, LEAST_SHAPE))


@dataclass(slots=True, frozen=True)
class Trend:
    """A change of demand on some workloads: another level, growth by the day, or a day that is lived otherwise."""

    columns: tuple[int, ...]
    since: datetime
    growth_per_day: float = 0.0
    """Compound: 0.1 is a tenth more every day."""
    later_h: float = 0.0
    """Hours by which the peak comes later."""
    swing: float = 1.0
    """How much stronger the day's highs and lows are."""
    grown_at: datetime | None = None
    """When it has stopped growing; None where it goes on."""
    level: float = 1.0
    ends: datetime | None = None
    """When it is over and demand as before; None where it lasts."""

    def factor(self, at: datetime, utc_offset_h: float) -> float:
        """Demand relative to what it would have been."""
        if self.ends is not None and at >= self.ends:
            return 1.0
        until = at if self.grown_at is None else min(at, self.grown_at)
        grown = self.level * (1.0 + self.growth_per_day) ** ((until - self.since) / timedelta(days=1))
        lived = daily_shape(at, utc_offset_h - self.later_h, self.swing)
        return grown * lived / daily_shape(at, utc_offset_h)


class Demand:
    """Requests per second that enter at each workload; one draw per workload per step, whatever happens."""

    def __init__(self, layout: Layout, seed: int) -> None:
        spec = layout.spec
        self._rng = stream(seed, "demand")
        self._offsets = tuple(r.utc_offset_h for r in spec.regions)
        self._region_of = layout.region_of
        rows = layout.rows
        self.base = np.array([s.demand_rps / len(s.regions) for s in rows])
        self.tenants = tuple(b.tenant for b in spec.tenants)
        owner = [str(s.demand_tenant or s.tenant) for s in rows]
        self.tenant_of = np.array([self.tenants.index(t) if t in self.tenants else -1 for t in owner], dtype=np.int64)
        self.surge = np.ones(layout.size)
        self.trends: dict[str, Trend] = {}
        """Changes by name; empty in a world whose demand is as it always was."""
        self.clients = Clients(np.ones(layout.size))
        self.admitted = np.ones(layout.size)
        """Share of each workload's requests that its tenant's limit let in."""
        self._keep = float(np.exp(-spec.step_s / MEMORY_S))
        self._spread = spec.laws.demand_noise * float(np.sqrt(1.0 - self._keep**2))
        self._noise = np.zeros(layout.size)

    def at(self, instant: datetime, share: Floats, throttle_rps: Floats) -> Floats:
        """Demand at an instant, split by region `share` (workloads,), cut to `throttle_rps` (tenants,)."""
        self._noise = self._keep * self._noise + self._spread * self._rng.standard_normal(len(self.base))
        shapes = np.array([daily_shape(instant, offset) for offset in self._offsets])
        flow = self.base * share * self.surge * shapes[self._region_of] * np.exp(self._noise)
        for trend in self.trends.values():
            for column in trend.columns:
                flow[column] *= trend.factor(instant, self._offsets[int(self._region_of[column])])
        if self.clients.habits:
            flow = flow * self.clients.attempts
        if not np.isfinite(throttle_rps).any():
            self.admitted[:] = 1.0
            return flow
        known = np.maximum(self.tenant_of, 0)
        total = np.bincount(known, np.where(self.tenant_of >= 0, flow, 0.0), len(self.tenants))
        cut = np.minimum(1.0, throttle_rps / np.maximum(total, 1e-9))
        self.admitted = np.where(self.tenant_of >= 0, cut[known], 1.0)
        return flow * self.admitted
