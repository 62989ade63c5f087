"""Requests that take another course: calls that are no longer made or are made anew, visits that end far too soon.

An early return or an exception slows nothing down; it changes what is called and cuts work short. Counting per visit
keeps a mere change of traffic out of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis import constants as c
from analysis.signals import SpanShift
from analysis.slowness import two_proportions


@dataclass(frozen=True, slots=True)
class Disruption:
    """Visits of an entity whose course changed: how many, and the call that tells most."""

    entity: str
    visits: float
    text: str
    refs: tuple[str, ...]


def disruptions(shifts: Sequence[SpanShift]) -> dict[str, Disruption]:
    """Return the entities whose share of visits calling some callee changed beyond chance, in either direction."""
    visits = {(one.entity, one.operation): one for one in shifts if not one.peer}
    calls = [one for one in shifts if one.peer and (one.entity, one.operation) in visits]
    tests = len(calls) + len(visits)
    compared = [_compare(visits[one.entity, one.operation], one, tests) for one in calls]
    compared += [_cut_short(one, tests) for one in visits.values()]
    found: dict[str, Disruption] = {}
    for one in compared:
        if one is not None and (one.entity not in found or one.visits > found[one.entity].visits):
            found[one.entity] = one
    return found


def _cut_short(visit: SpanShift, tests: int) -> Disruption | None:
    """Compare with half the time of the fastest visit seen before."""
    before, now = len(visit.baseline), len(visit.current)
    if min(before, now) < c.SPAN_MIN_REFERENCE:
        return None
    fastest = float(np.min(visit.baseline))
    cut = int((visit.current < c.CUT_SHORT * fastest).sum())
    if cut < c.DISRUPTION_SHARE * now or two_proportions(0, before, cut, now) > c.SPAN_ALPHA / tests:
        return None
    text = f"{visit.operation} ends in under half of {fastest:.1f} ms, its fastest before, in {cut / now:.0%} of visits"
    return Disruption(visit.entity, float(cut), text, (visit.ref,))


def _compare(visit: SpanShift, call: SpanShift, tests: int) -> Disruption | None:
    before, now = len(visit.baseline), len(visit.current)
    if min(before, now) < c.SPAN_MIN_REFERENCE:
        return None
    usual, seen = min(len(call.baseline), before), min(len(call.current), now)
    change = seen / now - usual / before
    p_value = min(two_proportions(usual, before, seen, now), two_proportions(seen, now, usual, before))
    if abs(change) < c.DISRUPTION_SHARE or 2 * p_value > c.SPAN_ALPHA / tests:
        return None
    verb = "less" if change < 0 else "more"
    text = f"{call.operation} calls {call.peer} {verb} often: {usual / before:.0%} of visits, now {seen / now:.0%}"
    return Disruption(call.entity, abs(change) * now, text, (visit.ref, call.ref))
