"""Circumstantial evidence: error lines that became frequent, and changes shortly before the onset."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt

from analysis import constants as c
from analysis.signals import ChangeMark, TemplateCount


@dataclass(frozen=True, slots=True)
class LogShift:
    """Severity-weighted rise of an entity's warning and error lines, and the template that tells most."""

    weight: float
    rise: float
    """Steepest rise of an error line, in deviations; 0 when only warnings rose."""
    template: str
    refs: tuple[str, ...]


def rise(one: TemplateCount) -> float:
    """Return the rise of a template's count in Poisson deviations: 2 (sqrt(x + 3/8) - sqrt(e + 3/8)), Anscombe 1948."""
    expected = one.baseline_count * one.current_s / one.baseline_s if one.baseline_s > 0 else 0.0
    return 2.0 * (sqrt(one.current_count + 0.375) - sqrt(expected + 0.375))


def log_shifts(templates: Iterable[TemplateCount]) -> dict[str, LogShift]:
    """Return the entities whose warning or error lines rose significantly."""
    weights: dict[str, list[tuple[float, TemplateCount]]] = {}
    for one in templates:
        score = rise(one)
        weight = c.SEVERITY_WEIGHT.get(one.severity, 0.0) * score
        if score > c.LOG_Z and weight > 0:
            weights.setdefault(one.entity, []).append((weight, one))
    found: dict[str, LogShift] = {}
    for entity, held in weights.items():
        held.sort(key=lambda pair: (-pair[0], pair[1].template))
        refs = tuple(one.ref for _, one in held[:3])
        steepest = max(rise(one) for _, one in held if one.severity != "warning") if _has_errors(held) else 0.0
        found[entity] = LogShift(sum(weight for weight, _ in held), steepest, held[0][1].template, refs)
    return found


def _has_errors(held: Sequence[tuple[float, TemplateCount]]) -> bool:
    return any(one.severity != "warning" for _, one in held)


@dataclass(frozen=True, slots=True)
class ChangeSuspicion:
    """A change before the onset; closeness is 1 at the onset and 0 an hour earlier."""

    entity: str
    kind: str
    before_onset_s: float
    closeness: float
    ref: str


def suspicious_changes(changes: Sequence[ChangeMark], onset_s: float | None) -> tuple[ChangeSuspicion, ...]:
    """Return per entity its last change within the look-back before the onset."""
    if onset_s is None:
        return ()
    last: dict[str, ChangeSuspicion] = {}
    for one in sorted(changes, key=lambda mark: mark.at_s):
        lead = onset_s - one.at_s
        if 0 <= lead <= c.CHANGE_LOOKBACK_S:
            closeness = 1.0 - lead / c.CHANGE_LOOKBACK_S
            last[one.entity] = ChangeSuspicion(one.entity, one.kind, lead, closeness, one.ref)
    return tuple(last.values())
