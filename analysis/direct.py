"""Direct evidence from metrics: who is anomalous below the symptom, and how much of the excess is their own."""

from collections.abc import Mapping
from dataclasses import dataclass

from analysis import constants as c
from analysis.changes import Deviation, family_threshold
from analysis.excess import excesses
from analysis.signals import Dimension, Observations
from analysis.topology import Graph, absorbed, own_excess

_DIMENSIONS: tuple[Dimension, ...] = ("latency", "failures")
_ORDER: Mapping[str, tuple[Dimension, ...]] = {
    "latency": ("latency", "failures"),
    "errors": ("failures", "latency"),
    "availability": ("failures", "latency"),
}
"""The symptom's own dimension first; kinds that are neither (traffic, saturation) take both as they come."""


@dataclass(frozen=True, slots=True, eq=False)
class Direct:
    """Excess of one dimension below the symptom: who is anomalous, how much is theirs, which samples were summed."""

    dimension: Dimension
    hot: Mapping[str, Deviation]
    mass: Mapping[str, float]
    own: Mapping[str, float]
    start: int
    weight: float


def direct_evidence(observations: Observations, graph: Graph) -> list[Direct]:
    """Return the dimensions in which something below the symptom left its usual range, weighted for this symptom."""
    scope = scope_of(observations, graph)
    found = [one for one in (_direct(observations, graph, scope, d) for d in _DIMENSIONS) if one is not None]
    return _prioritised(found, observations)


def scope_of(observations: Observations, graph: Graph) -> frozenset[str] | None:
    """Return the entities that can cause the symptom; None means all (the graph does not know the symptom)."""
    entity = observations.symptom.entity
    return frozenset(graph.below(entity)) if graph.knows(entity) else None


def _direct(
    observations: Observations, graph: Graph, scope: frozenset[str] | None, dimension: Dimension
) -> Direct | None:
    """Return the anomalous entities of a dimension, or None when the window is quiet in it."""
    found = excesses(observations.series, dimension)
    if dimension == "failures":
        graph = graph.without(absorbed(graph, {entity: one.usual for entity, one in found.items()}))
        scope = scope and scope_of(observations, graph)
    inside = {entity: one for entity, one in found.items() if scope is None or entity in scope}
    if not inside:
        return None
    threshold = family_threshold([one.null for one in inside.values()])
    if max(one.score for one in inside.values()) <= threshold:
        return None
    hot = {entity: one for entity, one in inside.items() if one.score > c.CANDIDATE_Z}
    start = min(one.run.start for one in hot.values())
    stop = max(one.run.stop for one in hot.values())
    mass = {entity: one.mass(start, stop) for entity, one in hot.items()}
    symptom = found.get(observations.symptom.entity)
    if symptom is not None and max(mass.values()) < c.SYMPTOM_GATE * symptom.scale:
        return None
    return Direct(dimension, hot, mass, own_excess(graph, mass), start, c.WEIGHT_DIRECT)


def _prioritised(direct: list[Direct], observations: Observations) -> list[Direct]:
    """Let the symptom's own dimension decide; the other one alone does not explain it, beside it it is support."""
    order = _ORDER.get(observations.symptom.kind)
    if order is None:
        return direct
    by_dimension = {one.dimension: one for one in direct}
    first, second = by_dimension.get(order[0]), by_dimension.get(order[1])
    if first is None:
        return []
    if second is None:
        return [first]
    weaker = Direct(second.dimension, second.hot, second.mass, second.own, second.start, c.WEIGHT_CIRCUMSTANCE)
    return [first, weaker]
