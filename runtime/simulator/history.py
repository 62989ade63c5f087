"""Ring of what was measured, and the readers' view of it: noisy, per service, over any kept window.

Truth is stored once per step; sampling noise is computed on reading from a fixed bank, so that reading twice gives the
same numbers and not reading costs nothing.
"""

from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from domain.errors import Invalid
from runtime.simulator.flow import Ints
from runtime.simulator.plant import Readings
from runtime.simulator.queueing import LOGISTIC_NORMAL, Floats
from runtime.simulator.streams import stream

_BANK = 1 << 18
# Odd multipliers spread (step, channel, column) over the bank (Knuth's multiplicative hashing).
_STEP, _CHANNEL, _COLUMN = 2_654_435_761, 40_503, 2_246_822_519

CHANNELS: tuple[str, ...] = (
    "request_rate", "error_share", "latency_mean_ms", "latency_p50_ms", "latency_p95_ms", "slow_share", "cpu_cores",
    "cpu_utilisation", "memory_mib", "pool_use", "cache_hit", "rejected", "shed", "timed_out", "downstream_failed",
    "oom", "self_ms", "own_failed", "tls_refused", "replicas_ready", "replicas_desired", "cost_usd_per_hour",
)  # fmt: skip
_INDEX = {name: k for k, name in enumerate(CHANNELS)}
_FROM_READINGS = CHANNELS[:-3]
# Channels that add over regions; all others are averaged by request rate, replicas-based ones by replicas.
_SUMMED = frozenset({"request_rate", "cpu_cores", "replicas_ready", "replicas_desired", "oom", "cost_usd_per_hour"})
# Counted, not sampled: what the scheduler and the meter say is so.
_EXACT = frozenset({"replicas_ready", "replicas_desired", "oom", "cost_usd_per_hour"})
_BY_REPLICAS = frozenset({"cpu_utilisation", "memory_mib", "pool_use"})


class History:
    """(steps, channels, workloads) float32 ring, plus pools and nodes."""

    def __init__(self, *, steps: int, workloads: int, nodes: int, pools: int, seed: int, noise: float) -> None:
        self.steps = steps
        self.count = 0
        self._ring = np.zeros((steps, len(CHANNELS), workloads), dtype=np.float32)
        self.rare: dict[str, dict[int, Floats]] = {}
        """Channels that are there only while something happens: values over all workloads by step."""
        self.node_up = np.zeros((steps, nodes), dtype=np.float32)
        self.pool_use = np.zeros((steps, pools), dtype=np.float32)
        self._bank = stream(seed, "metric-noise").standard_normal(_BANK).astype(np.float32)
        self._noise = noise

    def append(  # one array per thing that is no reading of physics
        self, readings: Readings, ready: Floats, desired: Floats, cost: Floats, node_up: Floats, pool_use: Floats
    ) -> None:
        """Store one step."""
        row = self.count % self.steps
        ring = self._ring[row]
        for k, name in enumerate(_FROM_READINGS):
            ring[k] = getattr(readings, name)
        ring[-3], ring[-2], ring[-1] = ready, desired, cost
        if readings.lock_waiters is not None:
            self.rare.setdefault("lock_waiters", {})[self.count] = readings.lock_waiters
        self.node_up[row] = node_up
        self.pool_use[row] = pool_use
        self.count += 1

    def rows(self, first: int, last: int) -> NDArray[np.int64]:
        """Ring rows of steps [first, last) that are still kept."""
        first = max(first, self.count - self.steps, 0)
        return np.arange(first, max(min(last, self.count), first), dtype=np.int64)

    def truth(self, channel: str, steps: Ints, columns: list[int]) -> Floats:
        """(steps, columns) of one channel, without noise."""
        return self._ring[steps % self.steps, _INDEX[channel]][:, columns].astype(np.float64)

    def recent(self, channel: str, columns: list[int], steps: int = 6) -> Floats:
        """(columns,) mean of one channel over the newest steps, without noise; zero before the first."""
        rows = self.rows(self.count - steps, self.count)
        return self.truth(channel, rows, columns).mean(axis=0) if len(rows) else np.zeros(len(columns))

    def rarely(self, channel: str, steps: Ints, columns: list[int]) -> Floats:
        """(steps, columns) of a rare channel: zero in steps that do not have it."""
        kept, found = self.rare.get(channel, {}), np.zeros((len(steps), len(columns)))
        for row, step in enumerate(steps.tolist() if kept else ()):
            if step in kept:
                found[row] = kept[step][columns]
        return found

    def service(self, channel: str, steps: Ints, columns: list[int]) -> Floats:
        """(steps,) of one channel of a service over its workloads, as its monitoring reports it."""
        if channel not in _INDEX:
            raise Invalid(f"no such metric: {channel}", reason="unknown_metric")
        values = self.truth(channel, steps, columns)
        rate = self.truth("request_rate", steps, columns)
        if channel in _SUMMED:
            total = values.sum(axis=1)
        else:
            weight = self.truth("replicas_ready", steps, columns) if channel in _BY_REPLICAS else rate
            weight = weight + 1e-9
            total = (values * weight).sum(axis=1) / weight.sum(axis=1)
        return self._measured(channel, total, rate.sum(axis=1), steps, columns[0])

    def _measured(self, channel: str, value: Floats, rate: Floats, steps: Ints, column: int) -> Floats:
        """Add sampling error: shares as counted from a step's requests, quantiles and rates with relative noise."""
        if channel in _EXACT:
            return value
        key = steps * _STEP + _INDEX[channel] * _CHANNEL + column * _COLUMN
        draw = self._bank[key % _BANK].astype(np.float64)
        requests = np.maximum(rate * 10.0, 1.0)
        if channel in {"error_share", "slow_share", "cache_hit"}:
            counted = value + draw * np.sqrt(np.maximum(value * (1.0 - value), 0.0) / requests)
            return np.clip(counted, 0.0, 1.0)
        spread = self._noise + (1.0 / np.sqrt(requests) if channel.startswith("latency") else 0.0)
        return np.maximum(value * (1.0 + spread * draw), 0.0)

    def draws(self, concern: str, steps: Ints, column: int) -> Floats:
        """(steps,) fixed uniform numbers in [0, 1) for rendering what was not stored."""
        key = steps * _STEP + crc32(concern.encode()) * _CHANNEL + column * _COLUMN
        # The normal CDF's logistic approximation turns the bank's normals into uniforms.
        return 1.0 / (1.0 + np.exp(-LOGISTIC_NORMAL * self._bank[key % _BANK].astype(np.float64)))
