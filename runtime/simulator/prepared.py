"""What a step needs of a plant that is the same in every step until the plant changes: worked out once.

It is a reading of the plant: whoever writes to the plant's arrays prepares it again.
"""

from dataclasses import dataclass

import numpy as np

from runtime.simulator.flow import Ints, Layer
from runtime.simulator.plant import Plant
from runtime.simulator.queueing import Floats


@dataclass(slots=True, frozen=True)
class PreparedLayer:
    """The calls of one layer of callers; arrays are over its edges, `callers` and `starts` as in `Layer`."""

    edges: slice
    callers: Ints
    starts: Ints
    callee: Ints
    timeout_s: Floats
    log_timeout: Floats
    timeout2: Floats
    tries: Floats
    budget: Floats | None
    """Most attempts per call; None where no caller has a budget."""
    weight: Floats


class Prepared:
    """Arrays are (workloads,) or, where said, (edges,)."""

    def __init__(self, plant: Plant) -> None:
        limit = plant.cores * plant.burst
        self.per_core = np.maximum(np.round(limit), 1.0)
        self.stretch = self.per_core / limit
        """Longer service times on a fraction of a core."""
        self.busy_s, self.io_s = plant.cpu_ms / 1000.0, plant.io_ms / 1000.0
        self.leak_mib_per_request = plant.leak_mib_per_krequest / 1000.0
        self.leaks = bool(plant.leak_mib_per_krequest.any())
        self.noise = 0.5 * (1.0 + plant.variability)
        """Allen-Cunneen factor with Poisson arrivals."""
        self.sound = (1.0 - plant.error_share) * (1.0 - plant.tls_failure)
        self.log_slo = np.log(plant.slo_latency_ms / 1000.0)
        self.locked, self.queued = bool(plant.serial_ms.any()), bool(plant.surge_queue.any())
        self.calls = plant.graph.per_call * plant.route
        """(edges,) calls per request that go to this callee's region."""
        self.cached = plant.cached_edge if plant.cached_edge.any() else None
        self.layers = tuple(_layer(plant, layer) for layer in reversed(plant.graph.layers))
        """From the deepest callers up."""


def _layer(plant: Plant, layer: Layer) -> PreparedLayer:
    caller = plant.graph.caller[layer.edges]
    timeout = plant.timeout_ms[caller] / 1000.0
    budget = 1.0 + plant.retry_budget[caller]
    return PreparedLayer(
        edges=layer.edges, callers=layer.callers, starts=layer.starts, callee=plant.graph.callee[layer.edges],
        timeout_s=timeout, log_timeout=np.log(timeout), timeout2=timeout * timeout,
        tries=plant.retries[caller] + 1.0, budget=budget if np.isfinite(budget).any() else None,
        weight=plant.graph.weight[layer.edges],
    )  # fmt: skip
