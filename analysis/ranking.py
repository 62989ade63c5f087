"""Combine what metrics, spans, logs and changes say into one ranking, or say that nobody is to blame.

Direct evidence (time and failures an entity adds itself) decides. Circumstances (saturation, logs, a recent change,
the other kind of symptom) break ties and are listed as support. Without significant direct or local evidence below
the symptom the answer is an empty ranking.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from analysis import constants as c
from analysis.circumstances import ChangeSuspicion, suspicious_changes
from analysis.direct import Direct, direct_evidence, scope_of
from analysis.local import Local, local_evidence, stands_alone
from analysis.signals import Observations, Ranking, Reason
from analysis.slowness import SpanBlame, blame, measure, significant
from analysis.topology import Graph, explained_by


@dataclass(slots=True, eq=False)
class _Book:
    """Scores and reasons as they are collected."""

    scores: dict[str, float] = field(default_factory=dict[str, float])
    reasons: dict[str, list[Reason]] = field(default_factory=dict[str, list[Reason]])

    def add(self, entity: str, reason: Reason) -> None:
        self.scores[entity] = self.scores.get(entity, 0.0) + max(reason.weight, 0.0)
        self.reasons.setdefault(entity, []).append(reason)

    def ranking(self, onset: float | None) -> Ranking:
        """Return everyone with a score, best first; equal scores in order of name."""
        ranked = sorted(((e, s) for e, s in self.scores.items() if s > 0), key=lambda pair: (-pair[1], pair[0]))
        support = {entity: tuple(self.reasons[entity]) for entity, _ in ranked}
        why = f"{len(ranked)} entities below the symptom left their usual range"
        return Ranking(tuple(ranked), support, abstained=not ranked, why=why, onset_s=onset)


def rank(observations: Observations) -> Ranking:
    """Rank the entities to blame for the symptom.

    Scores are only comparable within one ranking. The result does not depend on names, on the order of the input or
    on the clock's origin.
    """
    graph = Graph(observations.edges)
    scope = scope_of(observations, graph)
    direct = direct_evidence(observations, graph)
    parts = measure(observations.spans)
    slow = blame(parts) if parts and significant(parts) else {}
    local = local_evidence(observations, scope)
    if not direct and not slow and not stands_alone(observations, local):
        return Ranking((), abstained=True, why="no entity below the symptom left its usual range")
    book = _Book()
    for one in direct:
        _enter_excess(book, graph, one, frozenset(slow) if one.dimension == "latency" else frozenset())
    _enter_spans(book, slow, scope)
    weight = c.WEIGHT_CIRCUMSTANCE if direct or slow else c.WEIGHT_DIRECT
    _enter_mishaps(book, graph, local, weight)
    onset = _onset(observations, direct, local)
    _enter_circumstances(book, observations, local, onset, scope)
    _enter_hosts(book, graph, local)
    return book.ranking(onset)


def _enter_excess(book: _Book, graph: Graph, direct: Direct, traced: frozenset[str]) -> None:
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


def _enter_mishaps(book: _Book, graph: Graph, local: Local, weight: float) -> None:
    """Enter error lines and changed courses. They tell of one event, so the larger counts and the other is shown; a
    callee with a mishap of its own explains its caller's.
    """
    mishaps = local.logs.keys() | local.course.keys()
    lines = sum(one.weight for one in local.logs.values())
    visits = sum(one.visits for one in local.course.values())
    for entity in mishaps:
        below = graph.reachable_anomalies(entity, mishaps - {entity})
        factor = weight * (c.WEIGHT_CIRCUMSTANCE if below else 1.0)
        shown: list[Reason] = []
        if (shift := local.logs.get(entity)) is not None:
            text = f"new or more frequent error lines: {shift.template}"
            shown.append(Reason("logs", text, factor * shift.weight / lines, shift.refs))
        if (course := local.course.get(entity)) is not None:
            shown.append(Reason("course", course.text, factor * course.visits / visits, course.refs))
        shown.sort(key=lambda reason: -reason.weight)
        book.add(entity, shown[0])
        for reason in shown[1:]:
            book.add(entity, replace(reason, weight=0.0))


def _onset(observations: Observations, direct: list[Direct], local: Local) -> float | None:
    """Return when the earliest anomalous run began."""
    timed = [one for one in observations.series if len(one.current)]
    if not timed:
        return None
    first, step = min(one.start_s for one in timed), timed[0].step_s
    starts = [one.start for one in direct] or [one.run.start for one in local.saturated.values()]
    return first + step * min(starts) if starts else observations.symptom.at_s


def _enter_circumstances(
    book: _Book, observations: Observations, local: Local, onset: float | None, scope: frozenset[str] | None
) -> None:
    for entity, deviation in local.saturated.items():
        weight = c.WEIGHT_CIRCUMSTANCE * deviation.score / (deviation.score + c.DETECTION_Z)
        text = f"saturation {deviation.relative:+.0%} at {deviation.score:.1f} deviations"
        book.add(entity, Reason("saturation", text, weight, deviation.refs))
    for entity, refs in local.quiet.items():
        book.add(entity, Reason("quiet", "all its series stopped", c.WEIGHT_DIRECT, refs))
    for suspect in suspicious_changes(observations.changes, onset):
        if scope is None or suspect.entity in scope:
            _enter_change(book, suspect)


def _enter_change(book: _Book, suspect: ChangeSuspicion) -> None:
    """A change counts in full where something else speaks against the entity, by half where nothing does."""
    known = book.scores.get(suspect.entity, 0.0) > 0
    weight = c.WEIGHT_CIRCUMSTANCE * suspect.closeness * (1.0 if known else 0.5)
    text = f"{suspect.kind} {suspect.before_onset_s:.0f} s before the onset"
    book.add(suspect.entity, Reason("change", text, weight, (suspect.ref,)))


def _enter_hosts(book: _Book, graph: Graph, local: Local) -> None:
    """Move blame to an unwell host: it takes the scores of what runs on it, weighted by how many of them suffer."""
    scores = dict(book.scores)
    for host, dependents in graph.hosted.items():
        if host not in local.unwell():
            continue
        suffering = sorted(entity for entity in dependents if scores.get(entity, 0.0) > 0)
        if not suffering:
            continue
        weight = sum(scores[entity] for entity in suffering) * len(suffering) / len(dependents)
        text = f"{len(suffering)} of {len(dependents)} on it suffer"
        book.add(host, Reason("hosting", text, weight))
