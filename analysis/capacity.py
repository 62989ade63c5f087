"""Capacity ahead: the highest demand to expect within a lead time, and how much carries it.

Demand is in cores that are busy, so that it means the same whatever a replica requests. Forecasts of series of one
length are made in one call, because the shape of the error over the horizon is pooled there.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Final

import numpy as np

from analysis.forecasting import LAGS, forecast
from analysis.signals import Floats

LEVEL: Final = 0.9
"""Of the central interval: demand is above its upper bound once in twenty."""
LONGEST_GAP: Final = 4
"""Samples in a row that may be missing: an hour of quarter hours is filled in, what lies before more is not used."""

SEASONS_SEEN: Final = 2
"""Whole seasons that a history must have: with less, every morning looks like growth."""


@dataclass(frozen=True, slots=True)
class Peak:
    """The highest demand within the horizon, in the unit of the history."""

    expected: float
    upper: float
    """Bound that the demand stays below with (1 + LEVEL) / 2."""
    steps: int
    """Samples until the upper bound is highest, from 1."""
    samples: int
    """Length of the history behind it."""


def peaks(histories: Mapping[str, Floats], horizon: int, season: int) -> dict[str, Peak]:
    """Return the peak of every history (one value a sample, oldest first, NaN where missing) over `horizon` samples.

    A history that is too short, or whose end is missing, has no peak and is left out.
    """
    least = max(2 * horizon + 2 * LAGS + 2, SEASONS_SEEN * season)
    by_length: dict[int, list[tuple[str, Floats]]] = defaultdict(list)
    for name, values in histories.items():
        whole = unbroken(values)
        if len(whole) >= least:
            by_length[len(whole)].append((name, whole))
    found: dict[str, Peak] = {}
    for length, rows in by_length.items():
        ahead = forecast(np.stack([values for _, values in rows]), horizon, (season, 7 * season), level=LEVEL)
        for (name, _), mean, upper in zip(rows, ahead.mean, ahead.upper, strict=True):
            found[name] = Peak(float(mean.max()), float(upper.max()), int(upper.argmax()) + 1, length)
    return found


def unbroken(values: Floats) -> Floats:
    """Return the end of a history after its last long gap, short gaps filled in; nothing where the end is missing."""
    known = np.flatnonzero(np.isfinite(values))
    if not len(known) or len(values) - 1 - known[-1] > 0:
        return np.zeros(0)
    long = np.flatnonzero(np.diff(known) > LONGEST_GAP + 1)
    first = int(known[long[-1] + 1] if len(long) else known[0])
    kept = known[known >= first]
    return np.interp(np.arange(first, len(values)), kept, values[kept])


def units_for(demand: float, unit: float, use: float) -> int:
    """Return how many units of that capacity carry the demand, each used at most to the share `use`."""
    return ceil(demand / (unit * use) - 1e-9)
