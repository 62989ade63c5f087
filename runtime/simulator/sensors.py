"""The platform's own detectors: health gates with hysteresis and multi-window SLO burn, vectorised over services.

They see requests, failures and slow answers only, as a real platform does; they never see what is wrong.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from domain.base import Frozen, Severity
from domain.catalogue import HealthDegraded, HealthRecovered, SloBurn
from runtime.simulator.layout import Layout
from runtime.simulator.plant import Readings
from runtime.simulator.queueing import Floats

# Fast-burn pair of the SRE workbook, chapter 5: 14.4 x over 1 h confirmed by 5 min.
SHORT_S, LONG_S, FAST_BURN = 300.0, 3600.0, 14.4
# A gate opens after one minute beyond its bound and closes after three within half of it: hysteresis against flapping.
GATE_S, OPEN_S, CLOSE_S = 60.0, 60.0, 180.0
# A latency objective is a 95 % quantile, so 5 % slow answers are its budget; the gate opens at three budgets.
SLOW_BUDGET, SLOW_GATE = 0.05, 0.15
ERROR_GATE = 0.02
AVAILABILITY_GATE = 0.34
Signal = Literal["errors", "latency", "availability"]


@dataclass(slots=True, frozen=True)
class Finding:
    """One event to send: service column, type, data, severity."""

    service: int
    kind: str
    data: Frozen
    severity: Severity


# One row per gate, in this order; the name and the unit are what its events say.
_GATES: tuple[tuple[Signal, str], ...] = (
    ("errors", "ratio"),
    ("latency", "ratio of requests above the objective"),
    ("availability", "ratio of replicas missing"),
)
_BURN = len(_GATES)
"""The gate after those: the error budget's burn rate."""


class _Gates:
    """Each opens when its signal stays above its bound, closes when it stays below half of it: (gates, services)."""

    def __init__(self, bounds: Floats, step_s: float) -> None:
        self.bounds, self._half, self._step_s = bounds, 0.5 * bounds, step_s
        self._above, self._below = np.zeros_like(bounds), np.zeros_like(bounds)
        self._open = np.zeros(bounds.shape, dtype=bool)

    def update(self, signals: Floats) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which opened and which closed in this step."""
        self._above = (self._above + self._step_s) * (signals > self.bounds)
        self._below = (self._below + self._step_s) * (signals < self._half)
        opened = (self._above >= OPEN_S) & ~self._open
        closed = (self._below >= CLOSE_S) & self._open
        self._open ^= opened | closed
        return opened, closed


class Sensors:
    """Feeds gates from one step's readings and returns findings, mostly none."""

    def __init__(self, layout: Layout, step_s: float) -> None:
        self.layout = layout
        size = len(layout.services)
        # Workloads of a service stand side by side, so sums over them are sums over runs.
        self._starts = np.searchsorted(layout.service_of, np.arange(size))
        keep = np.exp(-step_s / np.array([GATE_S, SHORT_S, LONG_S]))
        self._gain = (1.0 - keep)[:, None, None]
        self._sums = np.zeros((3, 3, size))
        """(windows, requests | failed | slow, services) exponential means."""
        self._target = np.array([s.slo.availability_target for s in layout.services])
        self._budget = np.array([1.0 - self._target, np.full(size, SLOW_BUDGET)])
        self._own = own = np.array([not s.external for s in layout.services])
        bounds = np.array([
            np.maximum(ERROR_GATE, FAST_BURN * (1.0 - self._target)), np.full(size, SLOW_GATE),
            np.full(size, AVAILABILITY_GATE), np.full(size, FAST_BURN),
        ])  # fmt: skip
        # Somebody else's services are watched by somebody else.
        self._gates = _Gates(np.where(own, bounds, np.inf), step_s)
        self._age_s, self._step_s = 0.0, step_s

    def leave_burn(self, services: Iterable[str]) -> None:
        """Burn rates of these services, and of these only, are watched by rules of their own."""
        own = [self.layout.service_index[name] for name in services]
        self._gates.bounds[_BURN] = np.where(self._own, FAST_BURN, np.inf)
        self._gates.bounds[_BURN, own] = np.inf

    def observe(self, readings: Readings, ready: Floats, desired: Floats) -> list[Finding]:
        """Findings of this step."""
        rate = readings.request_rate
        now = self._by_service(np.array([rate, rate * readings.error_share, rate * readings.slow_share]))
        self._sums += (now - self._sums) * self._gain
        self._age_s += self._step_s
        if self._age_s < SHORT_S:
            return []
        shares = self._sums[:, 1:] / np.maximum(self._sums[:, :1], 1e-9)
        missing, wanted = self._by_service(np.array([np.maximum(desired - ready, 0.0), desired]))
        burn = self._burn_rates(shares)
        # The long window needs 2 % of a 30-day budget spent in the hour; below it the short one alone does not page.
        paging = np.minimum(burn[0], burn[1] * (LONG_S / SHORT_S))
        signals = np.array([shares[0, 0], shares[0, 1], missing / (wanted + 1e-9), paging])
        opened, closed = self._gates.update(signals)
        if not opened.any() and not closed.any():
            return []
        return self._findings(signals, opened, closed, burn[0])

    def _by_service(self, values: Floats) -> Floats:
        """(rows, services) sums of (rows, workloads)."""
        return values if values.shape[1] == len(self._starts) else np.add.reduceat(values, self._starts, axis=1)

    def _burn_rates(self, shares: Floats) -> Floats:
        """(short | long, services) how many times too fast the error budget goes, of errors or of slow answers."""
        burn = (shares[1:] / self._budget).max(axis=1)
        # An hour's window that has seen less than an hour is scaled up to what it has seen.
        seen = 1.0 - np.exp(-self._age_s / np.array([SHORT_S, LONG_S]))
        return burn / seen[:, None]

    def _findings(
        self, signals: Floats, opened: NDArray[np.bool_], closed: NDArray[np.bool_], burn: Floats
    ) -> list[Finding]:
        found: list[Finding] = []
        for gate, (signal, unit) in enumerate(_GATES):
            found += [
                self._degraded(int(i), signal, float(signals[gate, i]), gate, unit)
                for i in np.flatnonzero(opened[gate])
            ]
            for i in np.flatnonzero(closed[gate]):
                service = self.layout.services[int(i)].id
                data = HealthRecovered(service=service, signal=signal, message="within its gate again")
                found.append(Finding(int(i), "runtime.health.recovered.v1", data, "info"))
        return found + [self._burning(int(i), float(burn[i])) for i in np.flatnonzero(opened[_BURN])]

    def _degraded(self, index: int, signal: Signal, observed: float, gate: int, unit: str) -> Finding:
        service, bound = self.layout.services[index].id, float(self._gates.bounds[gate, index])
        data = HealthDegraded(
            service=service, signal=signal, observed=round(observed, 4), threshold=round(bound, 4), unit=unit,
            message=f"{service}: {signal} at {observed:.3f}, gate {bound:.3f}",
        )  # fmt: skip
        return Finding(index, "runtime.health.degraded.v1", data, "error")

    def _burning(self, index: int, rate: float) -> Finding:
        data = SloBurn(
            service=self.layout.services[index].id, burn_rate=round(rate, 2), window_s=int(SHORT_S),
            objective=float(self._target[index]), message=f"error budget burns {rate:.1f} times too fast",
        )  # fmt: skip
        return Finding(index, "runtime.slo.burn.v1", data, "critical")
