"""The horizontal pod autoscaler, vectorised.

desired = ceil(current * metric / target) with tolerance, per-step limits, min/max and a scale-down stabilisation
window, as the Kubernetes HPA documentation states it.
"""

from dataclasses import dataclass, field

import numpy as np

from runtime.simulator.queueing import Floats

# --horizontal-pod-autoscaler-tolerance default (Kubernetes documentation).
TOLERANCE = 0.1
# behavior.scaleUp default policies: 100 % or 4 pods per 15 s, whichever is larger.
SCALE_UP_FACTOR = 2.0
SCALE_UP_PODS = 4.0


def recommended_replicas(current: Floats, utilisation: Floats, target: Floats, tolerance: float = TOLERANCE) -> Floats:
    """ceil(current * utilisation / target), unchanged while |ratio - 1| <= tolerance."""
    ratio = utilisation / target
    wanted = np.ceil(current * ratio - 1e-9)
    return np.where(np.abs(ratio - 1.0) <= tolerance, current, wanted)


@dataclass(slots=True)
class Autoscaler:
    """Remembers recent recommendations for stabilisation and lag; one column per workload."""

    interval_s: float
    lag_s: float = 0.0
    history: list[Floats] = field(default_factory=list[Floats])
    pending: list[Floats] = field(default_factory=list[Floats])

    def decide(  # one array per field of the policy
        self, current: Floats, utilisation: Floats, target: Floats, low: Floats, high: Floats, stabilisation_s: Floats
    ) -> Floats:
        """New desired replicas for one evaluation; `utilisation` and `target` are shares of the request (0..)."""
        wanted = recommended_replicas(current, utilisation, target)
        wanted = np.minimum(wanted, np.maximum(current * SCALE_UP_FACTOR, current + SCALE_UP_PODS))
        wanted = self._delayed(np.clip(wanted, low, high))
        self.history.append(wanted)
        del self.history[: -max(1, int(np.max(stabilisation_s, initial=0.0) / self.interval_s))]
        stabilised = self._highest(stabilisation_s)
        down = np.minimum(stabilised, current)
        return np.clip(np.where(wanted >= current, wanted, down), low, high)

    def _highest(self, window_s: Floats) -> Floats:
        """Highest recommendation within each window; where all windows are equal, as they mostly are, in one go."""
        if (window_s == window_s.flat[0]).all():
            return np.maximum.reduce(self.history)
        highest = self.history[-1]
        for age, past in enumerate(reversed(self.history)):
            highest = np.where(age * self.interval_s < window_s, np.maximum(highest, past), highest)
        return highest

    def _delayed(self, wanted: Floats) -> Floats:
        """Recommendations made on metrics that are `lag_s` old, as slow metric pipelines do."""
        self.pending.append(wanted)
        delay = round(self.lag_s / self.interval_s)
        del self.pending[: -(delay + 1)]
        return self.pending[0]
