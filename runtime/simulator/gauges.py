"""Levels that physics has no part in and that change seldom: limits as set, disks, how far a replica is behind.

Each is told when it changes, as a level or a ramp, and read at any later step: what nobody touches costs nothing.
"""

from dataclasses import dataclass, field

import numpy as np

from runtime.simulator.flow import Ints
from runtime.simulator.queueing import Floats


@dataclass(slots=True, frozen=True)
class Ramp:
    """From `step` on: `value`, changing by `per_step`, within [`least`, `most`]."""

    step: int
    value: float
    per_step: float = 0.0
    least: float = 0.0
    most: float = np.inf

    def at(self, steps: Ints) -> Floats:
        """Levels at steps from its own on."""
        return np.asarray(np.clip(self.value + self.per_step * (steps - self.step), self.least, self.most), np.float64)


@dataclass(slots=True)
class Gauges:
    """Ramps by (metric, workload), oldest first."""

    _ramps: dict[tuple[str, int], list[Ramp]] = field(default_factory=dict[tuple[str, int], list[Ramp]])

    def tell(self, metric: str, workload: int, ramp: Ramp) -> None:
        """Let the gauge follow another ramp from its step on."""
        self._ramps.setdefault((metric, workload), []).append(ramp)

    def read(self, metric: str, workload: int, steps: Ints, usual: float) -> Floats:
        """(steps,) levels; `usual` before the first ramp."""
        levels = np.full(len(steps), usual)
        for ramp in self._ramps.get((metric, workload), ()):
            levels = np.where(steps >= ramp.step, ramp.at(steps), levels)
        return levels

    def now(self, metric: str, workload: int, step: int, usual: float) -> float:
        """The level at one step."""
        return float(self.read(metric, workload, np.array([step], dtype=np.int64), usual)[0])
