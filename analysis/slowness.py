"""Blame from span shifts: Ochiai's coefficient over slow time, with a test that lets quiet windows abstain."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, sqrt

import numpy as np

from analysis import constants as c
from analysis.signals import Floats, SpanShift


@dataclass(frozen=True, slots=True)
class Slowness:
    """What one operation (or call) contributes: excess in ms, share of slow spans, p-value of that share."""

    shift: SpanShift
    excess_ms: float
    slow: float
    count: int
    p_value: float


@dataclass(frozen=True, slots=True)
class SpanBlame:
    """Ochiai score in [0, 1] of an entity, the excess that touches it, and the shifts that show it."""

    score: float
    excess_ms: float
    parts: tuple[Slowness, ...]


def _references(shifts: Sequence[SpanShift]) -> dict[bool, Floats]:
    """Pool all baselines, calls apart from local work, for operations never seen before."""
    pooled: dict[bool, Floats] = {}
    for is_call in (False, True):
        held = [one.baseline for one in shifts if bool(one.peer) == is_call and len(one.baseline)]
        pooled[is_call] = np.concatenate(held) if held else np.zeros(0)
    return pooled


def _measure(shift: SpanShift, pooled: dict[bool, Floats]) -> Slowness | None:
    reference = shift.baseline if len(shift.baseline) >= c.SPAN_MIN_REFERENCE else pooled[bool(shift.peer)]
    if not len(reference) or not len(shift.current):
        return None
    median = float(np.median(reference))
    mad = c.MAD_TO_SIGMA * float(np.median(np.abs(reference - median)))
    limit = c.SPAN_SLOW_Z * max(mad, c.SPAN_RELATIVE_FLOOR * median, c.SPAN_ABSOLUTE_FLOOR_MS)
    before, during = reference - median, shift.current - median
    slow_before, slow_during = before > limit, during > limit
    usual = float(np.where(slow_before, before, 0.0).mean())
    excess = float(np.where(slow_during, during, 0.0).sum()) - usual * len(during)
    rate = float(slow_during.mean()) - float(slow_before.mean())
    p_value = two_proportions(int(slow_before.sum()), len(before), int(slow_during.sum()), len(during))
    return Slowness(shift, max(excess, 0.0), max(rate, 0.0), len(during), p_value)


def two_proportions(slow_before: int, before: int, slow_during: int, during: int) -> float:
    """One-sided two-proportion test with add-one smoothing (Agresti and Caffo 2000)."""
    p1, p2 = (slow_before + 1) / (before + 2), (slow_during + 1) / (during + 2)
    error = sqrt(p1 * (1 - p1) / (before + 2) + p2 * (1 - p2) / (during + 2))
    return 0.5 * erfc((p2 - p1) / error / sqrt(2.0))


def measure(shifts: Sequence[SpanShift]) -> tuple[Slowness, ...]:
    """Measure every shift that has current spans and something to compare them with."""
    pooled = _references(shifts)
    found = (_measure(shift, pooled) for shift in shifts)
    return tuple(one for one in found if one is not None)


def significant(parts: Sequence[Slowness]) -> bool:
    """Tell whether any operation became slow beyond chance, corrected for the number of operations."""
    return any(part.excess_ms > 0 and part.p_value < c.SPAN_ALPHA / len(parts) for part in parts)


def blame(parts: Sequence[Slowness]) -> dict[str, SpanBlame]:
    """Return Ochiai's coefficient per entity: sqrt(share of the excess touching it x share of it that is slow).

    A call touches both its ends; who else is slow around them tells which end it was.
    """
    total = sum(part.excess_ms for part in parts)
    if total <= 0:
        return {}
    touching: dict[str, list[Slowness]] = {}
    for part in parts:
        for entity in dict.fromkeys((part.shift.entity, part.shift.peer)):
            if entity:
                touching.setdefault(entity, []).append(part)
    return {entity: _blame(held, total) for entity, held in touching.items()}


def _blame(parts: list[Slowness], total: float) -> SpanBlame:
    excess = sum(part.excess_ms for part in parts)
    slow = sum(part.slow * part.count for part in parts)
    count = sum(part.count for part in parts)
    shown = tuple(sorted((part for part in parts if part.excess_ms > 0), key=lambda part: -part.excess_ms)[:3])
    return SpanBlame(sqrt(excess / total * slow / count), excess, shown)
