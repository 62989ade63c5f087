"""How often each service calls each of its callees, from rates alone.

A callee's rate is the sum of its callers' rates times their counts. Callers' rates rise and fall together over a day,
so only small deviations tell them apart: shares are a ridge regression of deviations on the simplex, and no caller may
call so often that waiting for its callees would take longer than its own answers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from runtime.simulator.queueing import Floats

# Before anything is read all callers are taken to call alike; a count then is off by this many calls per request, or
# by as much as it is itself where that is more (standard deviation; most real calls are made once or now and then).
PRIOR_CALLS = 0.5
# A caller that does next to nothing explains nothing, and a count per request would be noise over noise.
IDLE_RPS = 0.05
# Deviations need some samples to deviate in.
FEWEST = 3
# Bounds depend on counts of other callees and those on bounds; three rounds settle to within a hundredth.
ROUNDS = 3


@dataclass(slots=True, frozen=True)
class Callee:
    """A called service with who calls it; rates are samples on one grid, newest last."""

    name: str
    rate: Floats
    callers: tuple[str, ...]
    rates: tuple[Floats, ...]
    mean_s: float
    """Mean response time; NaN where unread."""
    unseen: float = 0.0
    """Share of its load expected from callers that are not in view."""


def call_counts(callees: Sequence[Callee], answer_s: Mapping[str, float]) -> dict[tuple[str, str], float]:
    """Calls per request by (caller, callee). `answer_s`: what callers have for waiting: mean response less own work."""
    counts: dict[tuple[str, str], float] = {}
    most: dict[tuple[str, str], float] = {}
    known = [one for one in callees if min(len(one.rate), *(len(r) for r in one.rates)) >= FEWEST]
    for _ in range(ROUNDS):
        for one in known:
            shares = _shares(one, [most.get((c, one.name), np.inf) for c in one.callers])
            for caller, rate, share in zip(one.callers, one.rates, shares, strict=True):
                counts[caller, one.name] = float(share * one.rate.mean() / max(rate.mean(), 1e-9))
        most = _bounds(known, counts, answer_s)
        if all(counts[edge] <= bound * 1.01 for edge, bound in most.items()):
            break
    return counts


def _bounds(
    callees: Sequence[Callee], counts: Mapping[tuple[str, str], float], answer_s: Mapping[str, float]
) -> dict[tuple[str, str], float]:
    """Most calls per edge, for callers whose callees as counted would keep them waiting longer than they take."""
    waiting: dict[str, float] = {}
    for one in callees:
        for caller in one.callers:
            waiting[caller] = waiting.get(caller, 0.0) + counts[caller, one.name] * np.nan_to_num(one.mean_s)
    over = {c: waiting[c] / answer_s[c] for c in waiting if answer_s.get(c, 0.0) > 0.0 and waiting[c] > answer_s[c]}
    return {(c, o.name): counts[c, o.name] / over[c] for o in callees for c in o.callers if c in over}


def _shares(one: Callee, most: Sequence[float]) -> Floats:
    """Shares of the callee's load per caller, below `most` calls per request each; with the unseen they sum to 1."""
    length = min(len(one.rate), *(len(r) for r in one.rates))
    if one.rate.mean() <= 0.0:
        return np.zeros(len(one.callers))
    target = one.rate[-length:] / max(one.rate[-length:].mean(), 1e-9) - 1.0
    levels = np.array([max(r[-length:].mean(), 1e-9) for r in one.rates])
    inputs = np.stack([r[-length:] / level - 1.0 for r, level in zip(one.rates, levels, strict=True)], axis=1)
    prior = np.append((1.0 - one.unseen) * levels / levels.sum(), one.unseen)
    inputs = np.column_stack([inputs, np.zeros(length)])
    upper = np.append(np.asarray(most) * levels / one.rate.mean(), np.inf if one.unseen > 0.0 else 0.0)
    upper[:-1][levels < IDLE_RPS] = 0.0
    # Sampling noise shows from one sample to the next; the load itself wanders over minutes.
    noise = float(np.var(np.diff(target)) / 2.0) * (1.0 + float((prior**2).sum()))
    alike = one.rate.mean() / levels.sum()
    spread = np.append(max(PRIOR_CALLS, alike) * levels / one.rate.mean(), max(one.unseen, 1e-3))
    ridge = max(noise, 1e-8) / spread**2
    return _on_simplex(inputs.T @ inputs + np.diag(ridge), inputs.T @ target + ridge * prior, upper)[:-1]


def _on_simplex(gram: Floats, projection: Floats, upper: Floats) -> Floats:
    """Minimise x'Gx/2 - p'x over 0 <= x <= upper with sum 1, by pinning what leaves its bounds (active set)."""
    size = len(projection)
    found, free = np.zeros(size), upper > 0.0
    if upper.sum() < 1.0:
        return upper.copy()
    for _ in range(2 * size):
        k = int(free.sum())
        if k == 0:
            break
        system = np.block([[gram[np.ix_(free, free)], np.ones((k, 1))], [np.ones((1, k)), np.zeros((1, 1))]])
        rest = projection[free] - gram[np.ix_(free, ~free)] @ found[~free]
        found[free] = np.linalg.solve(system, np.append(rest, 1.0 - found[~free].sum()))[:k]
        low, high = free & (found < 0.0), free & (found > upper)
        if not low.any() and not high.any():
            break
        found[high] = upper[high]
        found[low & ~high] = 0.0
        free &= ~(low | high) if high.any() or low.any() else free
    return found
