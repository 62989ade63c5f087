"""What callers log about calls that never got through: names that do not resolve, logins refused, no answer at all.

Counted on reading from what befell each call edge (`History.rare`, `plant.EDGE_FIELDS`) and what the caller served.
"""

from dataclasses import dataclass

import numpy as np

from runtime.simulator.flow import Ints
from runtime.simulator.queueing import Floats, attempts_until_success
from runtime.simulator.spec import ServiceSpec
from runtime.simulator.world import World

# A resolver's packet is lost or a server is slow now and then: about one line per service and hour.
STRAY = 0.003


@dataclass(slots=True, frozen=True)
class WayLine:
    """A line of one caller about one callee: its wording, and how often it occurred in each step."""

    template: str
    counts: Ints


# (edge field, wording); programs name the host they called and the login they used, never why it is so.
_WORDINGS: tuple[tuple[str, str], ...] = (
    ("unresolved", "could not resolve host {callee}: temporary failure in name resolution"),
    ("unauthorised", "login {caller} at {callee} refused: authentication failed"),
    ("unreachable", "connection to {callee} timed out: no answer"),
    ("limited", "{callee} answered 429: too many requests"),
)
LOST = tuple(field for field, _ in _WORDINGS)
"""Edge fields that lose a call."""


def way_lines(world: World, service: ServiceSpec, steps: Ints) -> tuple[WayLine, ...]:
    """Lines of a service about its calls; those that never occurred are left out."""
    found: list[WayLine] = []
    for nth, call in enumerate(service.calls):
        for field, wording in _WORDINGS:
            counts = _stray(world, service, nth, steps) if field == "unresolved" else np.zeros(len(steps), np.int64)
            if world.history.rare.get(field):
                counts = counts + _failed(world, service, call.to, field, steps)
            if counts.any():
                found.append(WayLine(wording.format(caller=service.id, callee=call.to), counts))
    return tuple(found)


def _failed(world: World, service: ServiceSpec, callee: str, field: str, steps: Ints) -> Ints:
    """Attempts that ended that way per step: requests served x calls per request x attempts x share."""
    edges = world.layout.edges(caller=service.id, callee=callee)
    share = world.history.rarely(field, steps, edges)
    if not share.any():
        return np.zeros(len(steps), np.int64)
    graph, plant, history = world.plant.graph, world.plant, world.history
    callers = [int(c) for c in graph.caller[edges]]
    served = history.truth("request_rate", steps, callers) * (1.0 - history.truth("rejected", steps, callers))
    missed = np.where(plant.cached_edge[edges] > 0, 1.0 - history.truth("cache_hit", steps, callers), 1.0)
    attempts = attempts_until_success(_lost(world, steps, edges), plant.retries[callers])
    attempts = np.minimum(attempts, 1.0 + plant.retry_budget[callers])
    calls = served * graph.per_call[edges] * plant.route[edges] * missed * attempts
    expected = (calls * share).sum(axis=1) * world.spec.step_s
    return np.floor(expected + history.draws(f"way-{field}-{callee}", steps, callers[0])).astype(np.int64)


def _lost(world: World, steps: Ints, edges: list[int]) -> Floats:
    kept = np.ones((len(steps), len(edges)))
    for field in LOST:
        kept = kept * (1.0 - world.history.rarely(field, steps, edges))
    return 1.0 - kept


def _stray(world: World, service: ServiceSpec, nth: int, steps: Ints) -> Ints:
    """Names that did not resolve once, on a day like any other."""
    column = world.layout.columns(service.id)[0]
    odd = world.history.draws("stray-name", steps, column) < STRAY
    return (odd & (steps % len(service.calls) == nth)).astype(np.int64)
