"""Answers and failures on their way up the call graph: what callers wait for, retry, give up on and fail by.

Means and variances of response times add along the calls; failures of calls are independent.
"""

import numpy as np

from runtime.simulator.plant import Plant, PlantState
from runtime.simulator.prepared import Prepared, PreparedLayer
from runtime.simulator.queueing import Floats, share_beyond

_MEAN, _VARIANCE, _LATE, _SOUND = range(4)
# Below this a share of failures is as good as none; it keeps logarithms finite.
_NONE = 1e-300


class _Way:
    """What happens to calls between caller and callee, per edge; built only where something does."""

    def __init__(self, plant: Plant) -> None:
        self.mean_s = plant.way_ms / 1000.0
        self.variance = (plant.jitter_ms / 1000.0) ** 2
        self.reach, self.unreachable = plant.reach(), plant.unreachable


class Answers:
    """Response moments (s, s2) and shares per workload, folded from the leaves up, one layer of callers at a time."""

    def __init__(
        self, plant: Plant, prepared: Prepared, calls: Floats, own_s: Floats, own_s2: Floats, sound: Floats
    ) -> None:
        self._calls = calls
        self._way = None if plant.undisturbed else _Way(plant)
        self._table = np.array([own_s, own_s2, np.zeros_like(own_s), sound])
        self._survived = np.ones_like(own_s)
        self._layers = prepared.layers

    def fold_all(self, state: PlantState) -> None:
        """Carry every answer up; leaves the attempts per call in `state`."""
        for layer in self._layers:
            self._fold(layer, state)

    @property
    def mean_s(self) -> Floats:
        """Mean response time."""
        return self._table[_MEAN]

    @property
    def variance(self) -> Floats:
        """Variance of the response time."""
        return self._table[_VARIANCE]

    @property
    def late(self) -> Floats:
        """Expected calls per request that ran into the timeout."""
        return self._table[_LATE]

    @property
    def failure(self) -> Floats:
        """Share of requests that fail, by whomever."""
        return 1.0 - self._table[_SOUND]

    @property
    def downstream(self) -> Floats:
        """Share of requests failed by a callee."""
        return 1.0 - self._survived

    def _fold(self, layer: PreparedLayer, state: PlantState) -> None:
        edges, calls = layer.edges, self._calls[layer.edges]
        mean, variance, _, sound = self._table.take(layer.callee, axis=1)
        if self._way is not None:
            mean, variance = mean + self._way.mean_s[edges], variance + self._way.variance[edges]
        late = share_beyond(layer.log_timeout, mean, variance)
        failed = 1.0 - sound * (1.0 - late)
        if self._way is not None:
            reach, unreachable = self._way.reach[edges], self._way.unreachable[edges]
            failed, late = 1.0 - reach * (1.0 - failed), reach * late
            # What is not resolved or turned away is known at once; what gets no answer costs the whole timeout.
            mean = reach * np.minimum(mean, layer.timeout_s) + unreachable * layer.timeout_s
            variance = reach * variance
        attempts, lost = _attempts(failed, layer)
        state.attempts[edges] = attempts
        spent = calls * attempts
        added = np.empty((4, len(spent)))
        np.multiply(spent, np.minimum(mean, layer.timeout_s), out=added[_MEAN])
        np.multiply(spent, np.minimum(variance, layer.timeout2), out=added[_VARIANCE])
        np.multiply(calls, late, out=added[_LATE])
        np.log1p(-np.minimum(calls * layer.weight * lost, 1.0 - 1e-9), out=added[_SOUND])
        sums = np.add.reduceat(added, layer.starts, axis=1)
        survived = np.exp(sums[_SOUND])
        callers = layer.callers
        self._table[:_SOUND, callers] += sums[:_SOUND]
        self._table[_SOUND, callers] *= survived
        self._survived[callers] = survived


def _attempts(failed: Floats, layer: PreparedLayer) -> tuple[Floats, Floats]:
    """Mean attempts per call with retries up to the budget, and the share of calls that fail after all of them.

    Attempts are the geometric sum (1 - f**(r+1)) / (1 - f); the power goes by logarithms, which are vectorised.
    """
    all_fail = np.exp(layer.tries * np.log(np.maximum(failed, _NONE)))
    attempts = (1.0 - all_fail) / np.maximum(1.0 - failed, 1e-9)
    # At f = 1 the sum is the number of tries; the quotient above would be 0 / 0 there.
    attempts = np.where(failed > 1.0 - 1e-9, layer.tries, attempts)
    if layer.budget is None:
        return attempts, all_fail
    within = attempts < layer.budget
    return np.where(within, attempts, layer.budget), np.where(within, all_fail, failed)
