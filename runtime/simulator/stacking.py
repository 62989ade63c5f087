"""Several plants of one call graph side by side as one plant, so that many runs cost one loop over time.

Workloads, pools and edges of copy k follow those of copy k - 1; no call crosses from one copy to another.
"""

from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np

from runtime.simulator.flow import CallGraph, Ints, Layer
from runtime.simulator.plant import EDGE_FIELDS, Plant

_PER_EDGE = ("route", "cached_edge", *EDGE_FIELDS)
_SCALAR = frozenset({"graph", "undisturbed"})


def stacked(plants: Sequence[Plant]) -> Plant:
    """Lay plants of the same call graph side by side."""
    graph, order = tiled(plants[0].graph, len(plants))
    whole = {
        f.name: np.concatenate([getattr(p, f.name) for p in plants]) for f in fields(Plant) if f.name not in _SCALAR
    }
    edges = {name: whole[name][order] for name in _PER_EDGE}
    shift = np.repeat(np.arange(len(plants)) * len(plants[0].pool_cores), len(plants[0].pool))
    calm = all(p.undisturbed for p in plants)
    return replace(plants[0], **whole | edges | {"graph": graph, "pool": whole["pool"] + shift, "undisturbed": calm})


def tiled(graph: CallGraph, copies: int) -> tuple[CallGraph, Ints]:
    """That many copies of a graph, and of each new edge its place in edge arrays laid end to end."""
    edges, nth = len(graph.caller), np.arange(copies, dtype=np.int64)[:, None]
    places: list[Ints] = [np.zeros(0, dtype=np.int64)]
    layers: list[Layer] = []
    for layer in graph.layers:
        start, stop = layer.edges.start, layer.edges.stop
        places.append(_flat(nth * edges + np.arange(start, stop, dtype=np.int64)))
        callers = _flat(nth * graph.size + layer.callers)
        starts = _flat(nth * (stop - start) + layer.starts)
        layers.append(Layer(slice(start * copies, stop * copies), callers, starts))
    order = np.concatenate(places)
    shift, edge = order // max(edges, 1) * graph.size, order % max(edges, 1)
    whole = CallGraph(
        size=graph.size * copies,
        caller=graph.caller[edge] + shift,
        callee=graph.callee[edge] + shift,
        per_call=graph.per_call[edge],
        weight=graph.weight[edge],
        layers=tuple(layers),
    )
    return whole, order


def _flat(table: Ints) -> Ints:
    return table.reshape(-1)
