"""What the month will come to: what it has cost, and the hours that are left by a forecast with its interval.

Beyond the forecast's own day the errors of days are taken as fully correlated: wide, and never too sure of itself.
"""

import calendar
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from analysis.forecasting import forecast
from analysis.signals import Floats
from domain.costs import MonthForecast

LEVEL: Final = 0.9
DAY_H: Final = 24
LEAST_H: Final = 98
"""Two horizons of a day, and twice the lags of a day plus two: what the forecast asks for."""


@dataclass(frozen=True, slots=True)
class _Day:
    """The next 24 hours, USD by hour."""

    mean: Floats
    low: Floats
    high: Floats
    basis: str


def month_end(at: datetime) -> datetime:
    """Return the first instant of the next month (UTC)."""
    days = calendar.monthrange(at.year, at.month)[1]
    return at.replace(day=1, hour=0, minute=0, second=0, microsecond=0) + timedelta(days=days)


def outlook(hourly_usd: Floats, so_far_usd: float, at: datetime) -> MonthForecast | None:
    """Forecast the month's cost from metered hours (oldest first, the last one ended at `at`); None below a day."""
    if len(hourly_usd) < DAY_H:
        return None
    day, until = _next_day(hourly_usd), month_end(at)
    left_h = (until - at).total_seconds() / 3600.0
    whole, rest = divmod(left_h, DAY_H)
    count = int(np.ceil(rest))

    def rest_of(values: Floats) -> float:
        part = float(values[:count].sum()) * (rest / count if count else 0.0)
        return so_far_usd + whole * float(values.sum()) + part

    return MonthForecast(
        until=until, so_far_usd=so_far_usd, mean_usd=rest_of(day.mean), low_usd=rest_of(day.low),
        high_usd=rest_of(day.high), level=LEVEL, basis=day.basis,
    )  # fmt: skip


def _next_day(hourly_usd: Floats) -> _Day:
    if len(hourly_usd) < LEAST_H:
        last = hourly_usd[-DAY_H:]
        low, high = np.full(DAY_H, last.min()), np.full(DAY_H, last.max())
        return _Day(last, low, high, "the last day again, between its cheapest and its dearest hour")
    ahead = forecast(hourly_usd[None], DAY_H, (DAY_H, 7 * DAY_H), level=LEVEL)
    days = len(hourly_usd) // DAY_H
    return _Day(
        ahead.mean[0], np.maximum(ahead.lower[0], 0.0), ahead.upper[0], f"a seasonal forecast from {days} days of hours"
    )
