"""Peaks ahead: a bound that holds, gaps, and histories that say nothing."""

import numpy as np
import pytest

from analysis.capacity import peaks, unbroken, units_for

DAY, HORIZON = 96, 5


def season(days, *, noise=0.03, growth=0.0, seed=0):
    at = np.arange(int(days * DAY))
    shape = 10.0 * (1.0 + 0.4 * np.cos(2 * np.pi * at / DAY)) * (1.0 + growth) ** (at / DAY)
    return shape * np.exp(noise * np.random.default_rng(seed).standard_normal(len(at)))


@pytest.mark.parametrize("growth", [0.0, 0.3])
def test_the_bound_holds_about_as_often_as_it_says(growth):
    held, tried = 0, 0
    for seed in range(20):
        whole = season(5, growth=growth, seed=seed)
        for end in range(3 * DAY, 5 * DAY - HORIZON, 37):
            peak = peaks({"one": whole[:end]}, HORIZON, DAY)["one"]
            held += whole[end : end + HORIZON].max() <= peak.upper
            tried += 1
    assert held / tried >= 0.85
    assert held < tried


def test_a_bound_is_not_far_above_what_comes():
    whole = season(4)
    peak = peaks({"one": whole[: 3 * DAY]}, HORIZON, DAY)["one"]
    assert whole[3 * DAY : 3 * DAY + HORIZON].max() == pytest.approx(peak.upper, rel=0.15)


def test_less_than_two_seasons_say_nothing():
    assert peaks({"one": season(1.9)}, HORIZON, DAY) == {}
    assert peaks({"one": season(2.1)}, HORIZON, DAY)["one"].samples == len(season(2.1))


def test_a_short_gap_is_filled_a_long_one_ends_the_history_and_a_missing_end_is_no_history():
    values = np.arange(20.0)
    values[[3, 4]] = np.nan
    assert unbroken(values).tolist() == list(range(20))
    values[10:15] = np.nan
    assert unbroken(values).tolist() == [15.0, 16.0, 17.0, 18.0, 19.0]
    values[-1] = np.nan
    assert len(unbroken(values)) == 0


def test_units_are_whole():
    assert [units_for(d, 0.5, 0.6) for d in (0.0, 0.3, 0.31, 3.0)] == [0, 1, 2, 10]
