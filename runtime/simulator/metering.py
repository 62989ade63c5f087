"""The provider's meter: core hours that ran, by workload and by node pool, in intervals of five minutes.

It counts quantities and no money. What they cost, the price table says; what they were billed, `billing` says.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from domain.desired import NodePoolState
from runtime.simulator.layout import Layout
from runtime.simulator.pricing import SKUS
from runtime.simulator.queueing import Floats

# Five minutes: three looks within the quarter of an hour in which an anomaly has to be told.
INTERVAL_S = 300.0
# A month and a day: a bill of the last month can still be compared with what was metered.
KEPT = 32 * 288


@dataclass(slots=True, frozen=True)
class Interval:
    """One interval. The pools' machine types are those at its end."""

    start_s: float
    requested: Floats
    """(workloads,) core hours that running replicas requested."""
    replicas: Floats
    """(workloads,) replica hours."""
    capacity: Floats
    """(pools,) core hours of the nodes that exist."""
    skus: tuple[str, ...]


class Meter:
    """Counts each step into the interval that runs; closed intervals never change."""

    def __init__(self, layout: Layout) -> None:
        self.closed: deque[Interval] = deque(maxlen=KEPT)
        self._layout = layout
        self._open(0.0)

    def count(
        self, replicas: Floats, cores: Floats, pools: Mapping[str, NodePoolState], now_s: float, dt_s: float
    ) -> None:
        """Count one step that ended at `now_s`."""
        hours = dt_s / 3600.0
        self._requested += replicas * cores * hours
        self._replicas += replicas * hours
        self._hours += hours
        if now_s - self._start_s >= INTERVAL_S:
            self._close(pools, now_s)

    def _close(self, pools: Mapping[str, NodePoolState], now_s: float) -> None:
        held = [pools[p] for p in self._layout.pools]
        nodes = np.array([p.node_count * SKUS[p.sku].cores for p in held])
        skus = tuple(p.sku for p in held)
        self.closed.append(Interval(self._start_s, self._requested, self._replicas, nodes * self._hours, skus))
        self._open(now_s)

    def _open(self, start_s: float) -> None:
        self._start_s, self._hours = start_s, 0.0
        self._requested = np.zeros(self._layout.size)
        self._replicas = np.zeros(self._layout.size)
