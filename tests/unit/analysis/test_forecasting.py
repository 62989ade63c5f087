"""Forecasts: seasons are continued, intervals cover what they promise, nothing but the history is read."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.forecasting import LAGS, _moments, forecast
from domain.errors import Invalid

HORIZON, DAY, WEEK = 48, 24, 168
LENGTH = 4 * WEEK


def seasonal(seed, series=40, noise=0.05, length=LENGTH):
    """Daily and weekly shape, level from 1 to 10,000, noise in proportion to the level."""
    rng = np.random.default_rng(seed)
    hours = np.arange(length + HORIZON)
    daily = 1 + 0.5 * np.sin(2 * np.pi * (hours / DAY + rng.random((series, 1))))
    weekly = np.where(hours % WEEK < 5 * DAY, 1.0, 0.6)
    level = 10 ** rng.uniform(0, 4, (series, 1))
    return level * daily * weekly * np.exp(noise * rng.standard_normal((series, length + HORIZON)))


def test_daily_and_weekly_shape_are_continued():
    whole = seasonal(0, noise=1e-3)
    made = forecast(whole[:, :LENGTH], HORIZON, (DAY, WEEK))

    assert np.abs(made.mean / whole[:, LENGTH:] - 1).max() < 0.02


def test_better_than_repeating_yesterday_or_last_week():
    whole = seasonal(1)
    known, actual = whole[:, :LENGTH], whole[:, LENGTH:]
    error = np.abs(forecast(known, HORIZON, (DAY, WEEK)).mean / actual - 1).mean()

    for season in (DAY, WEEK):
        naive = np.tile(known[:, -season:], 2)[:, :HORIZON]
        assert error < 0.95 * np.abs(naive / actual - 1).mean()


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_intervals_cover_their_level(level):
    covered = []
    for seed in range(5):
        whole = seasonal(seed)
        made = forecast(whole[:, :LENGTH], HORIZON, (DAY, WEEK), level=level)
        covered.append((made.lower <= whole[:, LENGTH:]) & (whole[:, LENGTH:] <= made.upper))

    assert level - 0.02 < np.mean(covered) < level + 0.07


def test_a_random_walk_is_not_promised_to_stay():
    walk = 1000 + np.cumsum(np.random.default_rng(2).standard_normal((60, LENGTH + HORIZON)), axis=1)
    made = forecast(walk[:, :LENGTH], HORIZON, (DAY, WEEK))
    width = (made.upper - made.lower).mean(axis=0)
    inside = (made.lower <= walk[:, LENGTH:]) & (walk[:, LENGTH:] <= made.upper)

    assert width[-1] > 3 * width[0]
    assert inside.mean() > 0.9


def test_noisier_series_get_wider_intervals():
    calm, noisy = seasonal(3, noise=0.02), seasonal(3, noise=0.2)
    made = forecast(np.concatenate([calm, noisy])[:, :LENGTH], HORIZON, (DAY, WEEK))
    width = ((made.upper - made.lower) / made.mean).mean(axis=1)

    assert width[40:].min() > 2 * width[:40].max()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([1e-6, 0.5, 1e9]))
def test_unit_and_order_of_series_do_not_matter(seed, unit):
    known = seasonal(seed, series=6)[:, :LENGTH]
    plain, other = forecast(known, HORIZON, (DAY, WEEK)), forecast(unit * known[::-1], HORIZON, (DAY, WEEK))

    for part in ("mean", "lower", "upper"):
        np.testing.assert_allclose(getattr(other, part)[::-1], unit * getattr(plain, part), rtol=1e-6)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.integers(100, 700), st.integers(1, 60))
def test_bounds_enclose_the_median_and_loads_stay_positive(seed, length, horizon):
    rng = np.random.default_rng(seed)
    known = rng.poisson(2.0, (4, max(length, 2 * horizon + 50))).astype(float)
    made = forecast(known, horizon, (DAY, WEEK))

    assert made.mean.shape == (4, horizon)
    assert (made.lower >= 0).all()
    assert (made.lower <= made.mean).all()
    assert (made.mean <= made.upper).all()


def test_constant_zero_and_negative_series_are_forecast():
    hours = np.arange(LENGTH)
    known = np.stack([np.zeros(LENGTH), np.full(LENGTH, 7.0), 10 * np.sin(2 * np.pi * hours / DAY)])
    made = forecast(known, HORIZON, (DAY, WEEK))

    np.testing.assert_allclose(made.mean[0], 0, atol=1e-6)
    np.testing.assert_allclose(made.mean[1], 7, rtol=1e-6)
    np.testing.assert_allclose(made.upper[1], 7, rtol=1e-3)
    np.testing.assert_allclose(made.mean[2], 10 * np.sin(2 * np.pi * (LENGTH + np.arange(HORIZON)) / DAY), atol=0.1)


def test_a_season_longer_than_the_history_is_left_out():
    known = seasonal(4, series=3)[:, -200:]
    assert np.array_equal(forecast(known, HORIZON, (DAY, WEEK)).mean, forecast(known, HORIZON, (DAY, 10 * WEEK)).mean)


@pytest.mark.parametrize(
    ("history", "horizon", "seasons", "level"),
    [
        (np.ones((2, 140)), 48, (24,), 0.95),
        (np.full((2, 400), np.nan), 48, (24,), 0.95),
        (np.ones(400), 48, (24,), 0.95),
        (np.ones((2, 400)), 0, (24,), 0.95),
        (np.ones((2, 400)), 48, (), 0.95),
        (np.ones((2, 400)), 48, (1,), 0.95),
        (np.ones((2, 400)), 48, (24,), 1.0),
    ],
)
def test_what_cannot_be_forecast_is_invalid(history, horizon, seasons, level):
    with pytest.raises(Invalid):
        forecast(history, horizon, seasons, level=level)


def test_moments_are_sums_over_all_windows():
    series = np.random.default_rng(5).standard_normal((3, 200))
    windows = np.lib.stride_tricks.sliding_window_view(series, LAGS + HORIZON, axis=1)

    np.testing.assert_allclose(
        _moments(series, windows.shape[1], HORIZON), np.einsum("nti,ntj->nij", windows[:, :, :LAGS], windows), atol=1e-9
    )


def test_a_deviation_that_fades_is_seen_fading():
    rng = np.random.default_rng(6)
    drift = np.zeros((40, LENGTH + HORIZON))
    for step in range(1, drift.shape[1]):
        drift[:, step] = 0.95 * drift[:, step - 1] + 0.02 * rng.standard_normal(40)
    whole = 100 * np.exp(drift + 0.5 * np.sin(2 * np.pi * np.arange(drift.shape[1]) / DAY))
    made = forecast(whole[:, :LENGTH], HORIZON, (DAY, WEEK)).mean
    error = np.abs(made / whole[:, LENGTH:] - 1)
    naive = np.abs(np.tile(whole[:, LENGTH - DAY : LENGTH], 2) / whole[:, LENGTH:] - 1)

    assert error[:, :3].mean() < 0.5 * naive[:, :3].mean()
    assert error.mean() < naive.mean()
