"""Forecasts with intervals for many series at once: seasonal deviations, a ridge, and weights earned in backtests.

Each member subtracts from a series the mean of its last cycles (one day, two days, one week, two weeks, or just the
last sample) and predicts the rest from its latest values by a direct ridge regression. Members are weighted per series
by how they did at earlier origins; the same backtests give the intervals. Everything is batched linear algebra: the
moments of lagged windows are sums along diagonals (displacement structure), so no window is ever materialised.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from analysis.signals import Floats
from domain.errors import Invalid

LAGS: Final = 24
"""Deviations a member looks back at. One daily season of hourly samples; 48 is a percent worse in cross-validation."""

RIDGE: Final = 0.1
"""Penalty relative to the mean variance of a lag. Cross-validated error moves under 1 % from 0.03 to 1."""

CYCLES: Final = (1, 2)
"""Cycles averaged per member, for every season: the last one is fresh, the mean of two is less noisy; both are kept and
the backtest decides (Bates and Granger 1969). Seven days or three weeks beside them gain less than 1 %."""

ORIGINS: Final = 8
"""Backtest origins, half a horizon apart. Five give the same error and intervals 1 % worse; more need longer series."""

SHARPNESS: Final = 3.0
"""Weight of a member is its backtest error to the power of minus three: flat between 2 and 4 in cross-validation."""

POWER: Final = 0.25
"""Fourth root of series without negative values: as good as the logarithm on counts and loads, and defined at zero."""

DISAGREEMENT: Final = 0.3
"""Share of the error variance taken from how far members disagree about this very step (0 and 0.6 are 1 % worse)."""

PHASES: Final = 24
"""Parts of a season that may differ in variance; each is shrunk half-way to the series' own mean variance."""

TINY: Final = 1e-9
"""Keeps constant series out of divisions; series are scaled to about one before."""


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """Median and bounds of the central interval, each (series x horizon) in the unit of the history."""

    mean: Floats
    lower: Floats
    upper: Floats


@dataclass(frozen=True, slots=True)
class _Member:
    """Deviation from the mean of the last `cycles` values that lie `period` samples apart."""

    period: int
    cycles: int

    @property
    def reach(self) -> int:
        return self.period * self.cycles

    def deviations(self, values: Floats) -> Floats:
        """Return (n x t - reach) deviations; column j belongs to sample j + reach."""
        end = values.shape[1]
        past = sum(values[:, self.period * (k - 1) : end - self.reach + self.period * (k - 1)] for k in self._steps())
        return values[:, self.reach :] - past / self.cycles

    def rebuilt(self, values: Floats, ends: NDArray[np.intp], deviations: Floats) -> Floats:
        """Return forecasts (n x origins x horizon) from predicted deviations, one cycle after the other."""
        horizon = deviations.shape[2]
        known = values[:, ends[:, None] + np.arange(-self.reach, 0)]
        track = np.concatenate([known, deviations], axis=2)
        for start in range(0, horizon, self.period):
            stop = min(start + self.period, horizon)
            past = sum(track[:, :, start + self.period * (k - 1) : stop + self.period * (k - 1)] for k in self._steps())
            track[:, :, self.reach + start : self.reach + stop] += past / self.cycles
        return track[:, :, self.reach :]

    def _steps(self) -> range:
        return range(1, self.cycles + 1)


def forecast(history: Floats, horizon: int, seasons: Sequence[int], *, level: float = 0.95) -> Forecast:
    """Forecast `horizon` further samples of each row of `history` (series x time, finite, any unit).

    `seasons` are the periods in samples, shortest first; those the history is too short for are left out. The point
    forecast is the median. Intervals are per series; only the shape over the horizon and the tail of the standardised
    errors are pooled over the rows, so similar series belong in one call. Raises Invalid for a history that is not
    finite or shorter than two horizons and twice the lags.
    """
    length = _checked(history, horizon, seasons, level)
    origins = min(ORIGINS, 1 + 2 * (length - 2 * LAGS - 2 - horizon) // horizon)
    ends = length - horizon - (horizon + 1) // 2 * np.arange(origins)[::-1]
    values, scale, power = _rooted(history)
    tracks = [_tracks(member, values, ends, horizon) for member in _members(seasons, int(ends[0]))]
    members = np.stack(tracks, axis=1)
    actual = values[:, ends[:, None] + np.arange(horizon)]
    tested = members[:, :, :-1]
    weights = _weights(tested, actual)
    blend = np.einsum("nm,nmoh->noh", weights, members)
    spread = np.einsum("nm,nmoh->noh", weights, (members - blend[:, None]) ** 2)
    low, high = _interval(actual - blend[:, :-1], spread, _phases(ends, length, horizon, seasons[0]), level)
    middle = blend[:, -1]
    return Forecast(*(_unrooted(part, scale, power) for part in (middle, middle + low, middle + high)))


def _checked(history: Floats, horizon: int, seasons: Sequence[int], level: float) -> int:
    if horizon < 1 or not seasons or min(seasons) < 2 or not 0 < level < 1:
        raise Invalid("a forecast needs a horizon, at least one season of two samples or more, and a level in (0, 1)")
    if history.ndim != 2 or not np.isfinite(history).all():
        raise Invalid("a history is a table of series x time without gaps")
    least = 2 * horizon + 2 * LAGS + 2
    if history.shape[1] < least:
        raise Invalid(f"{history.shape[1]} samples do not carry a forecast of {horizon}: at least {least}")
    return history.shape[1]


def _rooted(history: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the transformed values, and scale and power per series to come back."""
    scale: Floats = np.maximum(np.abs(history).mean(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    power = np.where(history.min(axis=1, keepdims=True) < 0, 1.0, POWER)
    unit = history / scale
    return np.where(power == 1.0, unit, np.sqrt(np.sqrt(np.abs(unit)))), scale, power


def _unrooted(values: Floats, scale: Floats, power: Floats) -> Floats:
    return scale * np.where(power == 1.0, values, np.maximum(values, 0.0) ** round(1 / POWER))


def _members(seasons: Sequence[int], first_origin: int) -> list[_Member]:
    """Return the members that a history up to the first origin can carry; the last sample always does."""
    wanted = [_Member(1, 1)]
    wanted += [_Member(season, cycles) for season in seasons for cycles in CYCLES]
    return [one for one in wanted if one.reach + LAGS <= first_origin]


def _tracks(member: _Member, values: Floats, ends: NDArray[np.intp], horizon: int) -> Floats:
    """Return forecasts (n x origins + 1 x horizon): at each origin, fitted before the first; then at the end."""
    deviations = member.deviations(values)
    length = values.shape[1]
    tested = _coefficients(deviations[:, : int(ends[0]) - member.reach], horizon)
    final = _coefficients(deviations, horizon)
    lags = deviations[:, (ends - member.reach)[:, None] + np.arange(-LAGS, 0)]
    ahead = np.concatenate([lags @ tested, deviations[:, None, -LAGS:] @ final], axis=1)
    return member.rebuilt(values, np.append(ends, length), ahead)


def _coefficients(deviations: Floats, horizon: int) -> Floats:
    """Return ridge coefficients (n x LAGS x horizon), Hoerl and Kennard 1970; zeros where no window is whole."""
    windows = deviations.shape[1] - LAGS - horizon + 1
    if windows < 1:
        return np.zeros((len(deviations), LAGS, horizon))
    moments = _moments(deviations, windows, horizon)
    variance: Floats = np.trace(moments[:, :, :LAGS], axis1=1, axis2=2) / LAGS
    penalty = (RIDGE * variance + TINY)[:, None, None] * np.eye(LAGS)
    return np.linalg.solve(moments[:, :, :LAGS] + penalty, moments[:, :, LAGS:]).astype(np.float64, copy=False)


def _moments(series: Floats, windows: int, horizon: int) -> Floats:
    """Return sums over all windows of lag x (lag, target) products, (n x LAGS x LAGS + horizon).

    Entry (i + 1, j + 1) is entry (i, j) with one product leaving and one entering.
    """
    width = LAGS + horizon
    out = np.empty((LAGS, len(series), width))  # lag first: each step then works on one contiguous slab
    out[0] = np.vecdot(sliding_window_view(series, windows, axis=1), series[:, None, :windows])
    for i in range(LAGS - 1):
        out[i + 1, :, : i + 1] = out[: i + 1, :, i + 1].T
        entering = series[:, windows + i, None] * series[:, windows + i : windows + width - 1]
        leaving = series[:, i, None] * series[:, i : width - 1]
        out[i + 1, :, i + 1 :] = out[i, :, i:-1] + entering - leaving
    return np.ascontiguousarray(out.transpose(1, 0, 2))


def _weights(tested: Floats, actual: Floats) -> Floats:
    """Return weights (n x members) that sum to one, by mean absolute backtest error."""
    error = np.abs(tested - actual[:, None]).mean(axis=(2, 3)) + TINY
    earned = (error / error.min(axis=1, keepdims=True)) ** -SHARPNESS
    return earned / earned.sum(axis=1, keepdims=True)


def _phases(ends: NDArray[np.intp], length: int, horizon: int, season: int) -> NDArray[np.intp]:
    """Return the part of the season (origins + 1 x horizon) in which each step lies."""
    steps = np.append(ends, length)[:, None] + np.arange(horizon)
    return steps % season * min(PHASES, season) // season


def _interval(errors: Floats, spread: Floats, phases: NDArray[np.intp], level: float) -> tuple[Floats, Floats]:
    """Return lower and upper distance (n x horizon) from the forecast, from backtest errors (n x origins x horizon).

    Variance = own variance of the phase x the batch's growth over the horizon, mixed with the members' disagreement.
    Empirical tail quantiles of the standardised errors are widened from the normal to Student's t with one degree of
    freedom per origin, because a scale from so few origins is itself uncertain.
    """
    squares = errors**2 + TINY**2
    by_phase = _phase_variance(squares, phases[:-1])
    expected = by_phase[:, phases]
    growth = (squares / expected[:, :-1]).mean(axis=(0, 1))
    scale = np.sqrt((1 - DISAGREEMENT) * expected * growth + DISAGREEMENT * spread)
    tails = np.quantile(errors / scale[:, :-1], [(1 - level) / 2, (1 + level) / 2])
    widened = tails * _student_factor(level, errors.shape[1])
    return min(widened[0], 0.0) * scale[:, -1], max(widened[1], 0.0) * scale[:, -1]


def _phase_variance(squares: Floats, phases: NDArray[np.intp]) -> Floats:
    """Return variance (n x phases), half from the phase and half from the whole; the whole where a phase is unseen."""
    series = len(squares)
    whole: Floats = squares.mean(axis=(1, 2))[:, None]
    member: Floats = (phases.ravel()[:, None] == np.arange(PHASES)).astype(np.float64)
    counts = member.sum(axis=0)
    within: Floats = squares.reshape(series, -1) @ member / np.maximum(counts, 1)
    return (np.where(counts > 0, within, whole) + whole) / 2


def _student_factor(level: float, freedom: int) -> float:
    """Return Student's t over the normal quantile, by the expansion of Cornish and Fisher to second order."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    return 1 + (first / freedom + second / freedom**2) / z
