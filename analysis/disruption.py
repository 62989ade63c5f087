"""Requests that take another course: calls to a callee that are no longer made, or are made anew, per visit.

An early return or an exception leaves latency as it is and changes what is called. Counting per visit keeps a mere
change of traffic out of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from analysis import constants as c
from analysis.signals import SpanShift
from analysis.slowness import two_proportions


@dataclass(frozen=True, slots=True)
class Disruption:
    """Visits of an entity whose course changed: how many, and the call that tells most."""

    visits: float
    text: str
    refs: tuple[str, ...]


def disruptions(shifts: Sequence[SpanShift]) -> dict[str, Disruption]:
    """Return the entities whose share of visits calling some callee changed beyond chance, in either direction."""
    visits = {(one.entity, one.operation): one for one in shifts if not one.peer}
    calls = [one for one in shifts if one.peer and (one.entity, one.operation) in visits]
    found: dict[str, Disruption] = {}
    for call in calls:
        one = _compare(visits[call.entity, call.operation], call, len(calls))
        if one is not None and (call.entity not in found or one.visits > found[call.entity].visits):
            found[call.entity] = one
    return found


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
    return Disruption(abs(change) * now, text, (visit.ref, call.ref))
