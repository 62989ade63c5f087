"""Intervals hold what they say they hold, and are never narrower than their draws' own spread allows."""

import numpy as np
import pytest

from runtime.simulator.twin_intervals import MATTERS, NAMES, REACH, Reach, group_of, learned, quantity, scale


def test_a_learned_reach_holds_nine_truths_in_ten_that_it_never_met():
    rng = np.random.default_rng(3)
    held = [_held(rng.standard_t(3, 400), rng.standard_t(3, 400)) for _ in range(20)]
    assert np.mean(held) == pytest.approx(0.9, abs=0.02)


def _held(past: np.ndarray, new: np.ndarray) -> float:
    reach = learned(past)
    return float(((-reach.below <= new) & (new <= reach.above)).mean())


def test_few_scores_reach_as_far_as_the_worst_of_them():
    assert learned(np.array([-2.0, 0.5, 1.0])) == Reach(2.0, 1.0)


def test_every_group_and_quantity_has_its_reach():
    assert {group for group, _ in REACH} == {"measured", "modelled", "nothing"}
    assert all((group, name) in REACH for group in ("measured", "modelled", "nothing") for name in NAMES)


def test_draws_that_agree_leave_room_for_the_model():
    change, without = np.full(12, 0.4), np.full(12, 0.5)
    found = quantity("modelled", "slo_attainment", change, without)
    assert found.low < found.value - 0.02
    assert found.value == pytest.approx(0.4)


def test_doubt_widens():
    change, without = np.linspace(-0.05, -0.03, 12), np.full(12, 0.06)
    sure, unsure = (quantity("measured", "error_rate", change, without, doubt=d) for d in (1.0, 3.0))
    beyond = 2.0 * MATTERS["error_rate"]
    assert unsure.high - unsure.low - beyond == pytest.approx(3.0 * (sure.high - sure.low - beyond))


def test_what_changes_nothing_is_compared_with_its_like():
    change = np.full(12, 1e-5)
    assert group_of("measured", "slo_attainment", change) == "nothing"
    assert group_of("measured", "slo_attainment", change + 0.1) == "measured"
    assert scale("cost_usd_per_hour", np.zeros(12), np.zeros(12)) == pytest.approx(0.01)


def test_a_share_cannot_change_by_more_than_the_whole():
    found = quantity("modelled", "slo_attainment", np.full(12, 0.9), np.full(12, 0.0), doubt=10.0)
    assert (found.low, found.high) == (-1.0, 1.0)
