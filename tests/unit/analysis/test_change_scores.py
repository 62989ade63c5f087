"""Change scores: a floor on the deviation, runs instead of spikes, significance over the family, onset."""

import numpy as np
import pytest

from analysis import constants as c
from analysis.changes import best_runs, binned, center_and_scale, deviate, family_threshold, scan


def test_constant_baseline_gives_a_finite_score():
    found = deviate("a", np.full(100, 0.0), np.array([0.0, 0.0, 5.0, 7.0, 0.0]), 0.5, ())

    assert found is not None
    assert np.isfinite(found.score)
    assert found.score > c.DETECTION_Z


def test_constant_series_that_stays_constant_scores_nothing():
    found = deviate("a", np.full(100, 0.0), np.zeros(5), 0.5, ())

    assert found is not None
    assert found.score == 0.0


def test_change_below_the_floor_is_no_anomaly():
    rng = np.random.default_rng(1)
    baseline = 100.0 + rng.normal(0, 0.01, 200)

    found = deviate("a", baseline, np.full(5, 101.0), 10.0, ())

    assert found is not None
    assert found.score < 1.0


def test_a_skewed_tail_widens_the_scale():
    calm = np.zeros(100)
    bursty = np.where(np.arange(100) % 10 == 0, 20.0, 0.0)

    assert center_and_scale(bursty, 0.5)[1] > 5 * center_and_scale(calm, 0.5)[1]


def test_few_samples_double_the_scale():
    assert center_and_scale(np.zeros(5), 1.0)[1] == 2 * center_and_scale(np.zeros(50), 1.0)[1]


def test_a_lasting_change_outscores_a_spike_of_the_same_height():
    scores, _, _ = best_runs(np.array([[0, 0, 8.0, 0, 0], [0, 0, 8.0, 8.0, 8.0]]))

    assert scores[1] > 2 * scores[0]


def test_run_is_located():
    window = np.zeros(20)
    window[12:17] = 9.0

    run, _ = scan(window, np.zeros(100))

    assert (run.start, run.stop) == (12, 17)


def test_run_is_located_in_a_window_longer_than_the_bins():
    window = np.zeros(300)
    window[200:] = 9.0

    run, _ = scan(window, np.zeros(3000))

    assert run.start == pytest.approx(200, abs=5)
    assert run.stop == 300


def test_missing_samples_do_not_break_the_run():
    window = np.array([0.0, 9.0, np.nan, 9.0, 0.0])

    scores, starts, stops = best_runs(window[None, :])

    assert (starts[0], stops[0]) == (1, 4)
    assert scores[0] > c.DETECTION_Z


def test_bins_average_and_keep_holes():
    assert binned(np.array([1.0, 3.0, np.nan, np.nan, 5.0]), 2).tolist()[::2] == [2.0, 5.0]
    assert np.isnan(binned(np.array([1.0, 3.0, np.nan, np.nan, 5.0]), 2)[1])


def test_no_finite_sample_gives_no_deviation():
    assert deviate("a", np.full(10, np.nan), np.zeros(5), 1.0, ()) is None
    assert deviate("a", np.zeros(10), np.full(5, np.nan), 1.0, ()) is None


def test_threshold_rises_with_the_number_of_noisy_series():
    rng = np.random.default_rng(7)
    nulls = [rng.standard_t(2, 60) for _ in range(50)]

    assert family_threshold(nulls) > family_threshold(nulls[:1])


def test_threshold_is_bounded_on_both_sides():
    assert family_threshold([np.zeros(60)]) == c.DETECTION_Z
    assert family_threshold([np.full(60, 1e6)]) == c.DETECTION_Z_CAP
    assert family_threshold([]) == c.DETECTION_Z
