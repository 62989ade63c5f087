"""Combine what metrics, spans, logs and changes say into one ranking, or say that nobody is to blame.

Direct evidence (time and failures an entity adds itself) decides. Circumstances (saturation, logs, a recent change,
the other kind of symptom) break ties and are listed as support. Without significant direct or local evidence below
the symptom the answer is an empty ranking.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from analysis import constants as c
from analysis.changes import Deviation, family_threshold
from analysis.circumstances import ChangeSuspicion, LogShift, log_shifts, suspicious_changes
from analysis.excess import excesses, gone_quiet, saturations
from analysis.signals import Dimension, Observations, Ranking, Reason
from analysis.slowness import SpanBlame, blame, measure, significant
from analysis.topology import Graph, absorbed, explained_by, own_excess

_DIMENSIONS: tuple[Dimension, ...] = ("latency", "failures")
_ORDER: Mapping[str, tuple[Dimension, ...]] = {
    "latency": ("latency", "failures"),
    "errors": ("failures", "latency"),
    "availability": ("failures", "latency"),
}
"""The symptom's own dimension first; kinds that are neither (traffic, saturation) take both as they come."""


@dataclass(frozen=True, slots=True, eq=False)
class _Direct:
    """Excess of one dimension below the symptom: who is anomalous, how much is theirs, which samples were summed."""

    dimension: Dimension
    hot: Mapping[str, Deviation]
    mass: Mapping[str, float]
    own: Mapping[str, float]
    start: int
    weight: float


@dataclass(slots=True, eq=False)
class _Book:
    """Scores and reasons as they are collected."""

    scores: dict[str, float] = field(default_factory=dict[str, float])
    reasons: dict[str, list[Reason]] = field(default_factory=dict[str, list[Reason]])

    def add(self, entity: str, reason: Reason) -> None:
        self.scores[entity] = self.scores.get(entity, 0.0) + max(reason.weight, 0.0)
        self.reasons.setdefault(entity, []).append(reason)


def rank(observations: Observations) -> Ranking:
    """Rank the entities to blame for the symptom.

    Scores are only comparable within one ranking. The result does not depend on names, on the order of the input or
    on the clock's origin.
    """
    graph = Graph(observations.edges)
    scope = _scope(observations, graph)
    direct = [d for d in (_direct(observations, graph, scope, one) for one in _DIMENSIONS) if d is not None]
    direct = _prioritised(direct, observations)
    parts = measure(observations.spans)
    slow = blame(parts) if parts and significant(parts) else {}
    local = _local(observations, scope)
    if not direct and not slow and not _stands_alone(observations, local):
        return Ranking((), abstained=True, why="no entity below the symptom left its usual range")
    book = _Book()
    for one in direct:
        _enter_excess(book, graph, one, frozenset(slow) if one.dimension == "latency" else frozenset())
    _enter_spans(book, slow, scope)
    onset = _onset(observations, direct, local)
    _enter_circumstances(book, observations, local, onset, scope)
    _enter_hosts(book, graph, local)
    ranked = sorted(((e, s) for e, s in book.scores.items() if s > 0), key=lambda pair: (-pair[1], pair[0]))
    support = {entity: tuple(book.reasons[entity]) for entity, _ in ranked}
    why = f"{len(ranked)} entities below the symptom left their usual range"
    return Ranking(tuple(ranked), support, abstained=not ranked, why=why, onset_s=onset)


def _scope(observations: Observations, graph: Graph) -> frozenset[str] | None:
    """Return the entities that can cause the symptom; None means all (the graph does not know the symptom)."""
    entity = observations.symptom.entity
    return frozenset(graph.below(entity)) if graph.knows(entity) else None


def _direct(
    observations: Observations, graph: Graph, scope: frozenset[str] | None, dimension: Dimension
) -> _Direct | None:
    """Return the anomalous entities of a dimension, or None when the window is quiet in it."""
    found = excesses(observations.series, dimension)
    if dimension == "failures":
        graph = graph.without(absorbed(graph, {entity: one.usual for entity, one in found.items()}))
        scope = scope and _scope(observations, graph)
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
    return _Direct(dimension, hot, mass, own_excess(graph, mass), start, c.WEIGHT_DIRECT)


def _prioritised(direct: list[_Direct], observations: Observations) -> list[_Direct]:
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
    weaker = _Direct(second.dimension, second.hot, second.mass, second.own, second.start, c.WEIGHT_CIRCUMSTANCE)
    return [first, weaker]


def _enter_excess(book: _Book, graph: Graph, direct: _Direct, traced: frozenset[str]) -> None:
    """Enter each anomalous entity's own share. Time of traced entities is shown but not counted: spans measured the
    same time, and better than subtraction can.
    """
    total = sum(direct.own.values()) or sum(direct.mass.values()) or 1.0
    for entity, deviation in direct.hot.items():
        own, mass = direct.own[entity], direct.mass[entity]
        # what is explained away keeps a thousandth, so that fully explained entities still have an order
        factor = 0.0 if entity in traced else direct.weight
        weight = factor * (own + 1e-3 * mass) / total
        text = f"{direct.dimension} {deviation.relative:+.0%} at {deviation.score:.1f} deviations"
        text += f", {own / mass:.0%} of the excess its own" if mass > 0 else ""
        book.add(entity, Reason(direct.dimension, text, weight, deviation.refs))
        if own < 0.5 * mass:
            callees = ", ".join(explained_by(graph, entity, direct.mass)[:3])
            book.add(entity, Reason(direct.dimension, f"explained by {callees}", -factor, deviation.refs))


def _enter_spans(book: _Book, slow: Mapping[str, SpanBlame], scope: frozenset[str] | None) -> None:
    for entity, one in slow.items():
        if one.score <= 0 or (scope is not None and entity not in scope):
            continue
        shown = "; ".join(
            f"{part.shift.operation}{' to ' + part.shift.peer if part.shift.peer else ''} {part.slow:.0%} slow"
            for part in one.parts
        )
        refs = tuple(part.shift.ref for part in one.parts)
        text = f"touches {one.excess_ms:.0f} ms of slow time ({shown})"
        book.add(entity, Reason("spans", text, c.WEIGHT_DIRECT * one.score, refs))


@dataclass(frozen=True, slots=True, eq=False)
class _Local:
    """Signals that do not travel: saturation, silence, error lines."""

    saturated: Mapping[str, Deviation]
    quiet: Mapping[str, tuple[str, ...]]
    logs: Mapping[str, LogShift]

    def entities(self) -> set[str]:
        return self.saturated.keys() | self.quiet.keys()


def _local(observations: Observations, scope: frozenset[str] | None) -> _Local:
    found = saturations(observations.series)
    threshold = family_threshold([one.null for one in found.values()])
    saturated = {e: one for e, one in found.items() if one.score > threshold and (scope is None or e in scope)}
    quiet = {e: refs for e, refs in gone_quiet(observations.series).items() if scope is None or e in scope}
    logs = {e: one for e, one in log_shifts(observations.templates).items() if scope is None or e in scope}
    return _Local(saturated, quiet, logs)


def _stands_alone(observations: Observations, local: _Local) -> bool:
    """Tell whether local evidence is what the symptom is about: silence is lost availability, saturation itself."""
    if observations.symptom.kind in ("errors", "availability"):
        return bool(local.quiet)
    return observations.symptom.kind == "saturation" and observations.symptom.entity in local.saturated


def _onset(observations: Observations, direct: list[_Direct], local: _Local) -> float | None:
    """Return when the earliest anomalous run began."""
    timed = [one for one in observations.series if len(one.current)]
    if not timed:
        return None
    first, step = min(one.start_s for one in timed), timed[0].step_s
    starts = [one.start for one in direct] or [one.run.start for one in local.saturated.values()]
    return first + step * min(starts) if starts else observations.symptom.at_s


def _enter_circumstances(
    book: _Book, observations: Observations, local: _Local, onset: float | None, scope: frozenset[str] | None
) -> None:
    for entity, deviation in local.saturated.items():
        weight = c.WEIGHT_CIRCUMSTANCE * deviation.score / (deviation.score + c.DETECTION_Z)
        text = f"saturation {deviation.relative:+.0%} at {deviation.score:.1f} deviations"
        book.add(entity, Reason("saturation", text, weight, deviation.refs))
    for entity, refs in local.quiet.items():
        book.add(entity, Reason("quiet", "all its series stopped", c.WEIGHT_DIRECT, refs))
    for entity, shift in local.logs.items():
        text = f"new or more frequent error lines: {shift.template}"
        book.add(entity, Reason("logs", text, c.WEIGHT_CIRCUMSTANCE * shift.share, shift.refs))
    for suspect in suspicious_changes(observations.changes, onset):
        if scope is None or suspect.entity in scope:
            _enter_change(book, suspect)


def _enter_change(book: _Book, suspect: ChangeSuspicion) -> None:
    """A change counts in full where something else speaks against the entity, by half where nothing does."""
    known = book.scores.get(suspect.entity, 0.0) > 0
    weight = c.WEIGHT_CIRCUMSTANCE * suspect.closeness * (1.0 if known else 0.5)
    text = f"{suspect.kind} {suspect.before_onset_s:.0f} s before the onset"
    book.add(suspect.entity, Reason("change", text, weight, (suspect.ref,)))


def _enter_hosts(book: _Book, graph: Graph, local: _Local) -> None:
    """Move blame to an unwell host: it takes the scores of what runs on it, weighted by how many of them suffer."""
    scores = dict(book.scores)
    for host, dependents in graph.hosted.items():
        if host not in local.entities():
            continue
        suffering = sorted(entity for entity in dependents if scores.get(entity, 0.0) > 0)
        if not suffering:
            continue
        weight = sum(scores[entity] for entity in suffering) * len(suffering) / len(dependents)
        text = f"{len(suffering)} of {len(dependents)} on it suffer"
        book.add(host, Reason("hosting", text, weight))
