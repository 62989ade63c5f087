"""Why money goes another way than it used to: quantity against its own season, price against the price of before.

Quantity is judged by what was usual at this hour of the week (of the day, while there is no week), times what everybody
rose by at once: a Monday is nobody's anomaly. Price needs no statistics: it is on the table, and what it costs more is
the rise times the quantity of now. Excess = (quantity - usual) x price before + quantity x (price - price before).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analysis.signals import Floats
from domain.errors import Invalid

HOLD_S: Final = 600
"""An excess must hold for ten minutes: a rolling update shows double replicas for less."""

NEIGHBOURHOOD_S: Final = 3600
"""Usual is the highest quarter of an hour within an hour of the same time of the week: autoscalers follow the day's
slope in steps, and not at the same minute every day."""

SMOOTH_S: Final = 900
"""Quarters of an hour: what lasted shorter in the past does not count as usual."""

RATIO: Final = 0.15
"""Excess below this share of the usual quantity is noise of the season. On random worlds 0 to 9 a healthy fortnight
stays below it but for single replicas, which `unit` covers."""

EARLY_RATIO: Final = 0.5
"""Where not even a day is known, the day's own swing must not alarm: its peak is up to 1.45 times its mean, and the
highest seen so far is what is compared with."""

SHARED_MOST: Final = 1.6
"""What everybody rises by at once counts as season up to this factor: beyond it lies no weekday."""

LEAST_KNOWN_S: Final = 3 * 3600
"""Below three hours of history nothing is said."""

DAY_S: Final = 86_400
WEEK_S: Final = 7 * DAY_S


@dataclass(frozen=True, slots=True, eq=False)
class Quantities:
    """Per series: what is usual now, what is the case, and in which interval that began (-1: it is usual)."""

    usual: Floats
    now: Floats
    since: NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Excess:
    """One series' excess per hour in money, in the two parts that add up to it."""

    price: float
    quantity: float

    @property
    def total(self) -> float:
        """Price part and quantity part."""
        return self.price + self.quantity


def parts(usual: float, now: float, price_before: float, price_now: float) -> Excess:
    """Split what is spent beyond usual x price before. Quantities per hour, prices per unit."""
    return Excess(price=now * (price_now - price_before), quantity=(now - usual) * price_before)


def judge(quantity: Floats, unit: Floats, step_s: int) -> Quantities:
    """Compare the newest intervals of each row (series x time, oldest first) with what was usual at that time.

    `unit` is the size of one replica in the same measure: less than one above usual is never an excess. Raises Invalid
    for a table with gaps.
    """
    if quantity.ndim != 2 or not np.isfinite(quantity).all():
        raise Invalid("quantities are a table of series x time without gaps")
    length, hold = quantity.shape[1], max(1, HOLD_S // step_s)
    series = len(quantity)
    if length * step_s < LEAST_KNOWN_S + HOLD_S:
        now = quantity[:, -1] if length else np.zeros(series)
        return Quantities(now, now, np.full(series, -1, dtype=np.intp))
    bar, usual = _bar(quantity, unit, step_s)
    above = quantity > bar
    since = np.array([_held_since(row, hold) for row in above], dtype=np.intp)
    return Quantities(usual[:, -1], quantity[:, -hold:].min(axis=1), since)


def _bar(quantity: Floats, unit: Floats, step_s: int) -> tuple[Floats, Floats]:
    """Return for the last day's intervals (all before them: never crossed) the bar and what is usual."""
    length = quantity.shape[1]
    usual, ratio = _usual(quantity, step_s)
    judged = np.isfinite(usual)
    together = _together(quantity, np.where(judged, usual, quantity))
    expected = np.where(judged, usual * together, np.inf)
    bar = expected * (1.0 + ratio) + unit[:, None]
    start = max(0, length - DAY_S // step_s)
    bar[:, :start] = np.inf
    return bar, np.where(judged, expected, quantity)


def _usual(quantity: Floats, step_s: int) -> tuple[Floats, float]:
    """Return usual values (series x time, NaN where unknown) and the ratio that goes with how they are known."""
    length, week, day = quantity.shape[1], WEEK_S // step_s, DAY_S // step_s
    around = NEIGHBOURHOOD_S // step_s
    smooth = _highest(_lowest(quantity, max(1, SMOOTH_S // step_s)), around)
    if length > week + around + day:
        lags: Sequence[int] = [k * week for k in (1, 2) if k * week + around + day < length]
    else:
        lags = [k * day for k in range(1, 7) if k * day + around < length]
    if not lags:
        before = np.maximum.accumulate(quantity, axis=1)
        shift = max(1, LEAST_KNOWN_S // step_s)
        usual = np.full_like(quantity, np.nan)
        usual[:, shift:] = before[:, :-shift]
        return usual, EARLY_RATIO
    stacked = np.full((len(lags), *quantity.shape), np.nan)
    for k, lag in enumerate(lags):
        stacked[k, :, lag:] = smooth[:, : length - lag]
    known = np.isfinite(stacked).any(axis=0)
    return np.where(known, np.nanmax(np.where(known, stacked, 0.0), axis=0), np.nan), RATIO


def _together(quantity: Floats, usual: Floats) -> Floats:
    """Return per interval the factor (1 x time) by which what breathes with the day rose at once."""
    breathing = quantity.max(axis=1) > 1.1 * np.maximum(quantity.min(axis=1), 1e-9)
    if breathing.sum() < 4:  # a median of fewer is one series' own doing
        return np.ones((1, quantity.shape[1]))
    ratio = quantity[breathing] / np.maximum(usual[breathing], 1e-9)
    return np.clip(np.median(ratio, axis=0), 1.0, SHARED_MOST)[None]


def _held_since(above: NDArray[np.bool_], hold: int) -> int:
    """Return where the run of True that reaches the end began, -1 where it is shorter than `hold`."""
    below = np.flatnonzero(~above)
    first = int(below[-1]) + 1 if len(below) else 0
    return first if len(above) - first >= hold else -1


def _lowest(values: Floats, width: int) -> Floats:
    """Lowest of the `width` values that end here."""
    return _rolled(values, width, 0, np.minimum)


def _highest(values: Floats, around: int) -> Floats:
    """Highest within `around` values on either side."""
    return _rolled(values, around + 1, around, np.maximum)


def _rolled(values: Floats, back: int, ahead: int, fold: np.ufunc) -> Floats:
    padded = np.pad(values, ((0, 0), (back - 1, ahead)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, back + ahead, axis=1)
    return np.asarray(fold.reduce(windows, axis=2), dtype=np.float64)
