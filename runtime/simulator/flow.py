"""The call graph as flat edge arrays, ordered so that one pass per level carries load down and answers up.

Levels are longest paths from the entry points; the graph must be acyclic, which `CallGraph.build` checks.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from domain.errors import Invalid
from runtime.simulator.queueing import Floats

Ints = NDArray[np.int64]


@dataclass(slots=True, frozen=True)
class Layer:
    """Edges whose callers share a level, as a slice of the edge arrays, with the start of each caller's run."""

    edges: slice
    callers: Ints
    starts: Ints


@dataclass(slots=True, frozen=True)
class CallGraph:
    """Edges sorted by (level of caller, caller); `weight` is the share of failures a caller passes on."""

    size: int
    caller: Ints
    callee: Ints
    per_call: Floats
    weight: Floats
    layers: tuple[Layer, ...]

    @classmethod
    def build(cls, size: int, edges: list[tuple[int, int, float, float]]) -> "CallGraph":
        """From (caller, callee, calls per request, failure weight); raises Invalid on a cycle."""
        level = _levels(size, edges)
        ordered = sorted(edges, key=lambda e: (level[e[0]], e[0], e[1]))
        caller = np.array([e[0] for e in ordered], dtype=np.int64)
        layers: list[Layer] = []
        for depth in sorted({level[e[0]] for e in ordered}):
            where = [k for k, e in enumerate(ordered) if level[e[0]] == depth]
            run = caller[where[0] : where[-1] + 1]
            starts = np.flatnonzero(np.r_[True, run[1:] != run[:-1]])
            layers.append(Layer(slice(where[0], where[-1] + 1), run[starts], starts))
        return cls(
            size=size,
            caller=caller,
            callee=np.array([e[1] for e in ordered], dtype=np.int64),
            per_call=np.array([e[2] for e in ordered]),
            weight=np.array([e[3] for e in ordered]),
            layers=tuple(layers),
        )

    def push_down(self, demand: Floats, rate: Floats, accepted: Floats) -> Floats:
        """Arrivals per workload: demand plus `rate` calls per edge for each of the caller's accepted requests."""
        arrivals = demand.copy()
        for layer in self.layers:
            callers = self.caller[layer.edges]
            flow = arrivals[callers] * accepted[callers] * rate[layer.edges]
            arrivals += np.bincount(self.callee[layer.edges], flow, self.size)
        return arrivals


def _levels(size: int, edges: list[tuple[int, int, float, float]]) -> list[int]:
    waiting = [0] * size
    callees: list[list[int]] = [[] for _ in range(size)]
    for caller, callee, _, _ in edges:
        waiting[callee] += 1
        callees[caller].append(callee)
    ready = [i for i in range(size) if waiting[i] == 0]
    level = [0] * size
    done = 0
    while ready:
        node = ready.pop()
        done += 1
        for callee in callees[node]:
            level[callee] = max(level[callee], level[node] + 1)
            waiting[callee] -= 1
            if waiting[callee] == 0:
                ready.append(callee)
    if done < size:
        raise Invalid("the call graph has a cycle")
    return level
