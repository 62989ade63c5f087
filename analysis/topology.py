"""Who explains whom: a walk from the symptom down the dependency graph.

A caller waits for its callees and passes on their failures, so what a callee adds is taken off its caller. What is
left is each entity's own share. Hosts (nodes, zones, certificates) explain what runs on them, if they are unwell.
"""

from collections.abc import Iterable, Mapping

from analysis import constants as c
from domain.topology import Edge

CALL_KINDS = ("calls", "stores_in")


class Graph:
    """Dependencies as adjacency; unknown entities have none."""

    def __init__(self, edges: Iterable[Edge]) -> None:
        self.callees: dict[str, set[str]] = {}
        self.hosts: dict[str, set[str]] = {}
        self.hosted: dict[str, set[str]] = {}
        for edge in edges:
            if edge.source == edge.target:
                continue
            if edge.kind in CALL_KINDS:
                self.callees.setdefault(edge.source, set()).add(edge.target)
            else:
                self.hosts.setdefault(edge.source, set()).add(edge.target)
                self.hosted.setdefault(edge.target, set()).add(edge.source)

    def without(self, blocked: set[str]) -> "Graph":
        """Return the graph in which nobody calls the blocked entities."""
        copy = Graph(())
        copy.callees = {caller: callees - blocked for caller, callees in self.callees.items()}
        copy.hosts, copy.hosted = self.hosts, self.hosted
        return copy

    def knows(self, entity: str) -> bool:
        """Tell whether the entity has any dependency."""
        return entity in self.callees or entity in self.hosts

    def below(self, entity: str) -> set[str]:
        """Return the entity and all it depends on, directly or not, by calls or by hosting."""
        seen, open_ = {entity}, [entity]
        while open_:
            node = open_.pop()
            for nxt in self.callees.get(node, set()) | self.hosts.get(node, set()):
                if nxt not in seen:
                    seen.add(nxt)
                    open_.append(nxt)
        return seen

    def reachable_anomalies(self, entity: str, anomalous: set[str]) -> set[str]:
        """Return the anomalous entities first met below `entity`, looking through entities that show nothing.

        A healthy or unmeasured node does not hide what lies behind it.
        """
        found: set[str] = set()
        seen, open_ = {entity}, list(self.callees.get(entity, ()))
        while open_:
            node = open_.pop()
            if node in seen:
                continue
            seen.add(node)
            if node in anomalous:
                found.add(node)
            else:
                open_.extend(self.callees.get(node, ()))
        return found


def own_excess(graph: Graph, mass: Mapping[str, float]) -> dict[str, float]:
    """Return what each entity adds beyond the anomalous entities it calls, never below zero.

    A callee explains at most what the caller shows. Entities that call each other in a circle explain nothing about
    each other beyond the difference of their masses.
    """
    anomalous = set(mass)
    own: dict[str, float] = {}
    for entity in mass:
        explained = sum(mass[callee] for callee in sorted(graph.reachable_anomalies(entity, anomalous)))
        own[entity] = max(mass[entity] - explained, 0.0)
    return own


def explained_by(graph: Graph, entity: str, mass: Mapping[str, float]) -> tuple[str, ...]:
    """Return the anomalous entities that take blame off `entity`, heaviest first."""
    found = graph.reachable_anomalies(entity, set(mass))
    return tuple(sorted(found, key=lambda callee: (-mass[callee], callee)))


def absorbed(graph: Graph, usual_failures: Mapping[str, float]) -> set[str]:
    """Return entities whose failures their callers survive in quiet time (failed requests per sample).

    An entity that usually fails more than `ABSORBED_RATIO` times as often as all its measured callers together, by
    more than half a request, cannot be what makes them fail.
    """
    reaching: dict[str, float] = {}
    for caller, callees in graph.callees.items():
        if caller in usual_failures:
            for callee in callees:
                reaching[callee] = reaching.get(callee, 0.0) + usual_failures[caller]
    return {
        callee
        for callee, failures in reaching.items()
        if usual_failures.get(callee, 0.0) > c.ABSORBED_RATIO * failures + c.HALF_COUNT
    }
