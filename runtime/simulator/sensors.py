"""The platform's own detectors: health gates with hysteresis and multi-window SLO burn, vectorised over services.

They see requests, failures and slow answers only, as a real platform does; they never see what is wrong.
"""

from dataclasses import dataclass

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


@dataclass(slots=True, frozen=True)
class Finding:
    """One event to send: service column, type, data, severity."""

    service: int
    kind: str
    data: Frozen
    severity: Severity


class _Gate:
    """Opens when the signal stays above `bound`, closes when it stays below half of it."""

    def __init__(self, size: int, step_s: float) -> None:
        self.step_s = step_s
        self.above = np.zeros(size)
        self.below = np.zeros(size)
        self.open = np.zeros(size, dtype=bool)

    def update(self, signal: Floats, bound: Floats | float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Indexes that opened and that closed in this step."""
        over = signal > bound
        self.above = (self.above + self.step_s) * over
        self.below = (self.below + self.step_s) * (signal < 0.5 * bound)
        opened = ~self.open & (self.above >= OPEN_S)
        closed = self.open & (self.below >= CLOSE_S)
        self.open ^= opened | closed
        return np.flatnonzero(opened), np.flatnonzero(closed)


class Sensors:
    """Feeds gates from one step's readings and returns findings, mostly none."""

    def __init__(self, layout: Layout, step_s: float) -> None:
        self.layout = layout
        size = len(layout.services)
        self._size = size
        self._decay = {w: float(np.exp(-step_s / w)) for w in (GATE_S, SHORT_S, LONG_S)}
        self._sums = {w: np.zeros((3, size)) for w in (GATE_S, SHORT_S, LONG_S)}
        self._target = np.array([s.slo.availability_target for s in layout.services])
        self._error_bound = np.maximum(ERROR_GATE, FAST_BURN * (1.0 - self._target))
        self._watched = np.array([not s.external for s in layout.services])
        self._errors, self._slow = _Gate(size, step_s), _Gate(size, step_s)
        self._burn, self._missing = _Gate(size, step_s), _Gate(size, step_s)
        self._age_s, self._step_s = 0.0, step_s

    def observe(self, readings: Readings, ready: Floats, desired: Floats) -> list[Finding]:
        """Findings of this step."""
        of, size = self.layout.service_of, self._size
        rate = readings.request_rate
        now = np.stack([
            np.bincount(of, rate, size),
            np.bincount(of, rate * readings.error_share, size),
            np.bincount(of, rate * readings.slow_share, size),
        ])  # fmt: skip
        for window, decay in self._decay.items():
            self._sums[window] = self._sums[window] * decay + now * (1.0 - decay)
        self._age_s += self._step_s
        if self._age_s < SHORT_S:
            return []
        found: list[Finding] = []
        errors, slow = self._share(GATE_S, 1), self._share(GATE_S, 2)
        found += self._gate(self._errors, errors, self._error_bound, "errors", "ratio")
        found += self._gate(self._slow, slow, SLOW_GATE, "latency", "ratio of requests above the objective")
        short = np.bincount(of, np.maximum(desired - ready, 0.0), size) / np.bincount(of, desired + 1e-9, size)
        found += self._gate(self._missing, short, AVAILABILITY_GATE, "availability", "ratio of replicas missing")
        return found + self._burning()

    def _share(self, window: float, row: int) -> Floats:
        sums = self._sums[window]
        return np.where(self._watched, sums[row] / np.maximum(sums[0], 1e-9), 0.0)

    def _burn_rate(self, window: float) -> Floats:
        budget = np.maximum(self._share(window, 1) / (1.0 - self._target), self._share(window, 2) / SLOW_BUDGET)
        # An hour's window that has seen less than an hour is scaled up to what it has seen.
        return budget / (1.0 - float(np.exp(-self._age_s / window)))

    def _burning(self) -> list[Finding]:
        short, long = self._burn_rate(SHORT_S), self._burn_rate(LONG_S)
        # The long window needs 2 % of a 30-day budget spent in the hour; below it the short one alone does not page.
        opened, _ = self._burn.update(np.minimum(short, long * (LONG_S / SHORT_S)), FAST_BURN)
        return [
            Finding(
                int(i),
                "runtime.slo.burn.v1",
                SloBurn(
                    service=self.layout.services[int(i)].id, burn_rate=round(float(short[i]), 2), window_s=int(SHORT_S),
                    objective=float(self._target[i]),
                    message=f"error budget burns {short[i]:.1f} times too fast",
                ),
                "critical",
            )
            for i in opened
        ]  # fmt: skip

    def _gate(self, gate: _Gate, signal: Floats, bound: Floats | float, name: str, unit: str) -> list[Finding]:
        opened, closed = gate.update(signal, bound)
        if not len(opened) and not len(closed):
            return []
        bounds = np.broadcast_to(np.asarray(bound), signal.shape)
        found: list[Finding] = []
        for i in opened:
            service = self.layout.services[int(i)].id
            data = HealthDegraded.model_validate({
                "service": service, "signal": name, "observed": round(float(signal[i]), 4),
                "threshold": round(float(bounds[i]), 4), "unit": unit,
                "message": f"{service}: {name} at {signal[i]:.3f}, gate {bounds[i]:.3f}",
            })  # fmt: skip
            found.append(Finding(int(i), "runtime.health.degraded.v1", data, "error"))
        for i in closed:
            data = HealthRecovered(
                service=self.layout.services[int(i)].id, signal=name, message="within its gate again"
            )
            found.append(Finding(int(i), "runtime.health.recovered.v1", data, "info"))
        return found
