"""The canary judge: does a candidate version serve worse than the baseline beside it?

Three questions per amount (level, tail, spread) and one per kind of event, all by ranks or counts, so that outliers
decide nothing. A difference counts when it is both significant, at a level that many looks share, and large enough.
Silence is never a pass.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Action = Literal["promote", "continue", "rollback", "inconclusive"]
Aspect = Literal["level", "tail", "spread", "rate"]

# Chance that a release of two equal versions is rolled back, over all its metrics, aspects and looks together: half of
# the one per cent that is promised, the other half being for whoever checks the split at the same level.
FALSE_ALARM = 0.005
# A test that is this surprising without any correction is a doubt: no rollback, but no promotion either.
DOUBT = 0.01
# Largest observations of both versions pooled, by whose owner the tail is judged.
TAIL = 0.95
# How many times wider the middle half may lie, on the log scale, before that matters to anybody.
WIDER = 1.25
# Versions that are compared one after the other differ by the hour as well: twice as much does not matter.
ONE_AFTER_THE_OTHER = 2.0
# The normal approximation of a rank sum is within a few per cent at its tail from about this size (Lehmann, 1975).
MIN_SAMPLES = 30
# A version that withholds more than half of what it should measure is not measured.
MOST_MISSING = 0.5


@dataclass(frozen=True, slots=True)
class Amounts:
    """Samples of one metric of which more is worse: latency of requests, memory of replicas."""

    name: str
    baseline: Floats
    candidate: Floats
    tolerance: float = 0.05
    """Relative change of the median that does not matter; a tail may move by twice that."""


@dataclass(frozen=True, slots=True)
class Events:
    """How many of so many requests met with something bad."""

    name: str
    baseline: tuple[int, int]
    """(bad, all)."""
    candidate: tuple[int, int]
    tolerance: float = 0.005
    """Difference of shares that does not matter."""


@dataclass(frozen=True, slots=True)
class Reason:
    """What one test found."""

    metric: str
    aspect: Aspect
    p_value: float
    """One-sided: chance of as much or more if both versions were the same."""
    effect: float
    """Relative change for level and tail, ratio of widths for spread, difference of shares for a rate."""
    limit: float
    """Beyond which the effect matters."""

    @property
    def large(self) -> bool:
        """Whether it matters."""
        return self.effect > self.limit

    def __str__(self) -> str:
        """Tell it in one line."""
        return f"{self.metric} {self.aspect}: {self.effect:+.3f} against {self.limit:.3f} allowed, p {self.p_value:.2g}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do, and why."""

    action: Action
    reasons: tuple[Reason, ...] = ()
    missing: tuple[str, ...] = ()
    """Metrics of which too little was measured."""


def judge(metrics: tuple[Amounts | Events, ...], *, look: int, patience: int = 5, blind: int = 0) -> Verdict:
    """Judge one look of a release; `look` counts from 1 and never restarts within a release.

    `blind` is how many looks before this one ended without a clear answer: from `patience` on the answer is
    inconclusive instead of continue. Look k may spend 1 / (k (k + 1)) of the false alarms, which sums to all of them
    however long a release takes, and tests of one look share alike (Bonferroni, so that they need not be independent).
    """
    missing = tuple(m.name for m in metrics if not _measured(m))
    found = tuple(r for m in metrics if m.name not in missing for r in _look_at(m))
    level = FALSE_ALARM / (look * (look + 1)) / max(sum(map(_tests, metrics)), 1)
    worse = tuple(r for r in found if r.large and r.p_value < level)
    if worse:
        return Verdict("rollback", worse, missing)
    doubts = tuple(r for r in found if r.large and r.p_value < DOUBT)
    if missing or doubts or not metrics:
        return Verdict("continue" if blind + 1 < patience else "inconclusive", doubts, missing)
    return Verdict("promote", found)


def split_p_value(candidate: int, total: int, share: float) -> float:
    """Two-sided chance that a split written as `share` shows `candidate` of `total` requests or something further off.

    Pearson's chi-square with one degree of freedom and Yates' correction.
    """
    if total == 0 or not 0.0 < share < 1.0:
        off = candidate if share <= 0.0 else total - candidate
        return 0.0 if off else 1.0
    off = max(abs(candidate - total * share) - 0.5, 0.0)
    return math.erfc(off / math.sqrt(2.0 * total * share * (1.0 - share)))


def _tests(metric: Amounts | Events) -> int:
    return 3 if isinstance(metric, Amounts) else 1


def _measured(metric: Amounts | Events) -> bool:
    if isinstance(metric, Events):
        return min(metric.baseline[1], metric.candidate[1]) >= MIN_SAMPLES
    sides = [np.isfinite(side) for side in (metric.baseline, metric.candidate)]
    return all(side.sum() >= MIN_SAMPLES and side.mean() >= 1.0 - MOST_MISSING for side in sides)


def _look_at(metric: Amounts | Events) -> tuple[Reason, ...]:
    if isinstance(metric, Events):
        return (_rate(metric),)
    b, c = (side[np.isfinite(side)] for side in (metric.baseline, metric.candidate))
    return (_level(metric, b, c), _tail(metric, b, c), _spread(metric, b, c))


def _level(metric: Amounts, b: Floats, c: Floats) -> Reason:
    effect = _relative(float(np.median(b)), float(np.median(c)))
    return Reason(metric.name, "level", _rank_sum(b, c), effect, metric.tolerance)


def _tail(metric: Amounts, b: Floats, c: Floats) -> Reason:
    bound = float(np.quantile(np.concatenate([b, c]), TAIL))
    p_value = _fisher((int((b > bound).sum()), len(b)), (int((c > bound).sum()), len(c)))
    effect = _relative(float(np.quantile(b, TAIL)), float(np.quantile(c, TAIL)))
    return Reason(metric.name, "tail", p_value, effect, 2.0 * metric.tolerance)


def _spread(metric: Amounts, b: Floats, c: Floats) -> Reason:
    """Ranks of distances from each version's own median, on the log scale so that a mere shift is no spread."""
    far_b, far_c = _distances(b), _distances(c)
    width_b, width_c = float(np.median(far_b)), float(np.median(far_c))
    effect = width_c / width_b if width_b > 0.0 else (math.inf if width_c > 0.0 else 1.0)
    return Reason(metric.name, "spread", _rank_sum(far_b, far_c), effect, WIDER)


def _rate(metric: Events) -> Reason:
    (bad_b, all_b), (bad_c, all_c) = metric.baseline, metric.candidate
    effect = bad_c / all_c - bad_b / all_b
    return Reason(metric.name, "rate", _fisher(metric.baseline, metric.candidate), effect, metric.tolerance)


def _relative(before: float, after: float) -> float:
    return (after - before) / abs(before) if before else (math.inf if after > 0.0 else 0.0)


def _distances(values: Floats) -> Floats:
    logs = np.log(np.maximum(values, 1e-9))
    return np.abs(logs - np.median(logs))


def _rank_sum(b: Floats, c: Floats) -> float:
    """One-sided p that `c` lies above `b`: Mann and Whitney, 1947, normal approximation with ties (mid-ranks)."""
    pooled = np.concatenate([b, c])
    _, group, counts = np.unique(pooled, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - 0.5 * (counts - 1)
    size_b, size_c, size = float(len(b)), float(len(c)), float(len(pooled))
    above = float(middle[group[len(b) :]].sum()) - size_c * (size_c + 1.0) / 2.0
    ties = float((counts.astype(np.float64) ** 3 - counts).sum()) / (size * (size - 1.0))
    variance = size_b * size_c / 12.0 * (size + 1.0 - ties)
    if variance <= 0.0:
        return 1.0
    return 0.5 * math.erfc((above - size_b * size_c / 2.0 - 0.5) / math.sqrt(2.0 * variance))


def _fisher(b: tuple[int, int], c: tuple[int, int]) -> float:
    """One-sided p that `c` has the higher share (Fisher's exact test): the hypergeometric tail from what was seen."""
    (bad_b, all_b), (bad_c, all_c) = b, c
    bad, total = bad_b + bad_c, all_b + all_c
    whole = _choose(total, bad)
    seen = range(bad_c, min(bad, all_c) + 1)
    terms = [math.exp(_choose(all_c, k) + _choose(all_b, bad - k) - whole) for k in seen if bad - k <= all_b]
    return min(math.fsum(terms), 1.0)


def _choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
