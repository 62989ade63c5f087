"""Requests from usage samples at an explicit risk: one price for reserved capacity, paid by every workload alike.

A percentile per workload spends the same risk everywhere, however much capacity that costs there. Reserving least for
a given share of intervals above the request means the opposite: every workload stops where one more unit would remove
the same share of violations (one Lagrange multiplier, the price). Each workload's chance to exceed a request comes
from its own samples, drifted by a Cauchy law on the log scale that is the wider the fewer independent samples there
are.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analysis.signals import Floats
from domain.errors import Invalid

DRIFT: Final = 0.3
"""Half-width of the drift in log usage at one independent sample; it falls with the root of their number. On recorded
machine usage the best width follows that law from 9 to 144 samples; leaving each day out chose 0.3 or 0.4, and with 0.3
the expected risk comes true."""

SPACING: Final = 0.01
"""Candidates lie at least one percent apart: finer than the drift of a window of 900 independent samples."""

HEADROOM: Final = 4.0
"""Nobody is given more than four times its own largest usage, whatever the risk asked: beyond it lies no evidence."""

CLASSES_PER_OCTAVE: Final = 4
"""Widths are rounded to quarter octaves (9 %), so that a kernel is made once per class and not per workload."""

CORRELATION_CAP: Final = 0.95
"""Lag-one autocorrelation above this is estimated from too few turns to be told from a trend."""

SEARCH_STEPS: Final = 48
"""Halvings of the price on a log scale: from twelve decades to a relative step below 1e-9."""

OOM_RATIO: Final = 1.2
OOM_STEP_MIB: Final = 100.0
"""After an out-of-memory kill: a fifth more, at least 100 MiB (Kubernetes vertical pod autoscaler's bump)."""


@dataclass(frozen=True, slots=True, eq=False)
class Sizing:
    """Request per workload in the unit of usage, expected share of intervals above it, and the price that led there."""

    request: Floats
    risk: Floats
    price: float


@dataclass(frozen=True, slots=True, eq=False)
class RiskCurves:
    """Chance (workloads x candidates) that an interval to come lies above each candidate request (ascending).

    A workload may be given the candidates from `first` to `last` (indices per workload, both included).
    """

    candidates: Floats
    chance: Floats
    first: NDArray[np.intp]
    last: NDArray[np.intp]

    def at_price(self, price: float) -> Sizing:
        """Return the requests that minimise price x request + risk, each workload by itself.

        `price` is the share of intervals above the request that one unit of reservation must save to be worth it.
        """
        place = np.arange(len(self.candidates))
        barred = (place < self.first[:, None]) | (place > self.last[:, None])
        chosen = np.where(barred, np.inf, price * self.candidates + self.chance).argmin(axis=1)
        return Sizing(self.candidates[chosen], self.chance[np.arange(len(chosen)), chosen], price)

    def at_risk(self, risk: float) -> Sizing:
        """Return the leanest requests whose expected share above, averaged over the workloads, is at most `risk`.

        One workload alone gets its own quantile, rounded up to where the curve is worth it. Where the ceiling or the
        evidence does not carry so small a risk, everybody gets the most, and `risk` says what is left.
        """
        if not 0 < risk < 1:
            raise Invalid("a risk is a share of intervals in (0, 1)")
        dear, cheap = 1.0, 1e-12
        unit = float(self.candidates[-1])
        best = self.at_price(cheap / unit)
        for _ in range(SEARCH_STEPS):
            price = float(np.sqrt(dear * cheap))
            tried = self.at_price(price * 1e3 / unit)
            if tried.risk.mean() <= risk:
                best, cheap = tried, price
            else:
                dear = price
        return best


def risk_curves(
    usage: Floats,
    resolution: float,
    *,
    ceiling: float | None = None,
    floor: Floats | None = None,
    drift: float = DRIFT,
) -> RiskCurves:
    """Return every workload's risk per candidate request from `usage` (workloads x samples, oldest first).

    NaN marks a missing sample. `resolution` is the step of measurement and of requests (1 for whole percent or MiB, 10
    for millicores); `ceiling` the largest request possible; `floor` the smallest allowed per workload, such as
    `memory_floor_mib` where exceeding kills. The latest sample counts twice the oldest. Raises Invalid for a workload
    without a sample, negative usage, or a resolution that is not positive.
    """
    seen = np.isfinite(usage)
    if resolution <= 0 or usage.ndim != 2 or not usage.size or not seen.any(axis=1).all() or np.nanmin(usage) < 0:
        raise Invalid("sizing needs workloads x samples of usage, none negative, none of them without a sample")
    least = np.zeros(len(usage)) if floor is None else floor
    most: Floats = np.maximum(HEADROOM * np.nanmax(usage, axis=1), resolution)
    candidates = _candidates(max(float(most.max()), float(least.max())) if ceiling is None else ceiling, resolution)
    length = int(usage.shape[1])
    weights = np.where(seen, np.exp2(np.arange(length) / length), 0.0)
    shares = _shares(np.where(seen, usage, 0.0), weights, candidates)
    classes = np.rint(CLASSES_PER_OCTAVE * np.log2(drift / np.sqrt(effective_samples(usage)))).astype(np.intp)
    chance = np.empty(shares.shape)
    for one in np.unique(classes):
        width = 2.0 ** (one / CLASSES_PER_OCTAVE)
        chance[classes == one] = shares[classes == one] @ _drifted(candidates, width, resolution)
    first = np.minimum(np.searchsorted(candidates, least), len(candidates) - 1)
    last = np.maximum(np.searchsorted(candidates, most, side="right") - 1, first)
    return RiskCurves(candidates, chance, first, last)


def size(
    usage: Floats, risk: float, resolution: float, *, ceiling: float | None = None, floor: Floats | None = None
) -> Sizing:
    """Return requests for all workloads so that the expected share of intervals above them is `risk` on average.

    Arguments and errors as in `risk_curves`. On recorded usage 10, 5 and 1 % asked for gave 10.2, 4.9 and 0.6 %.
    """
    return risk_curves(usage, resolution, ceiling=ceiling, floor=floor).at_risk(risk)


def effective_samples(usage: Floats) -> Floats:
    """Return the number of independent samples per workload, from the lag-one autocorrelation of an AR(1) process.

    Bursts that last count as fewer looks (Bayley and Hammersley 1946); negative correlation counts as none.
    """
    seen = np.isfinite(usage)
    count = seen.sum(axis=1)
    centred = np.where(seen, usage - np.nansum(usage, axis=1, keepdims=True) / count[:, None], 0.0)
    power = (centred**2).sum(axis=1)
    lagged = (centred[:, 1:] * centred[:, :-1]).sum(axis=1)
    correlation = np.clip(lagged / np.where(power > 0, power, 1.0), 0.0, CORRELATION_CAP)
    return np.maximum(count * (1 - correlation) / (1 + correlation), 1.0)


def memory_floor_mib(peak_mib: Floats, killed_at_mib: Floats) -> Floats:
    """Return the least memory request per workload: its peak, and more than a kill has proved too small.

    `killed_at_mib` is the limit at the last kill, NaN where there was none.
    """
    bumped = np.maximum(killed_at_mib * OOM_RATIO, killed_at_mib + OOM_STEP_MIB)
    return np.fmax(peak_mib, bumped)


def _candidates(largest: float, resolution: float) -> Floats:
    """Return whole multiples of the resolution from none to the largest, thinned to one percent apart."""
    most = int(largest / resolution + 1e-9)
    even = np.arange(min(most, int(1 / SPACING)) + 1)
    wide = np.exp(np.arange(np.log(max(most, 1)), np.log(1 / SPACING), -SPACING))[::-1]
    return resolution * np.unique(np.concatenate([even, np.rint(wide), [most]]))


def _shares(usage: Floats, weights: Floats, candidates: Floats) -> Floats:
    """Return the weighted share of samples (workloads x candidates) at each candidate, the next above it."""
    place: NDArray[np.intp] = np.minimum(np.searchsorted(candidates, usage), len(candidates) - 1)
    rows = np.arange(len(usage))[:, None] * len(candidates)
    total = np.bincount((rows + place).ravel(), weights.ravel(), minlength=len(usage) * len(candidates))
    return total.reshape(len(usage), len(candidates)) / weights.sum(axis=1, keepdims=True)


def _drifted(candidates: Floats, width: float, resolution: float) -> Floats:
    """Return the chance (from x to) that usage `from` has drifted above request `to`: a Cauchy law of log usage.

    Half a step of the resolution keeps the logarithm off zero and puts the threshold between two readings.
    """
    half = resolution / 2
    distance = np.log(candidates + resolution)[None] - np.log(candidates + half)[:, None]
    return 0.5 - np.arctan(distance / width) / np.pi
