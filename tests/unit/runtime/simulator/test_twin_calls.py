"""Counts of calls come back from rates that were made with them."""

import numpy as np
import pytest

from runtime.simulator.twin_calls import Callee, call_counts


def rates(seed: int, noise: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    day = 1.0 + 0.3 * np.sin(np.linspace(0.0, 2.0, 120))
    first, second = (level * day * np.exp(np.cumsum(rng.normal(0.0, 0.02, 120))) for level in (100.0, 40.0))
    callee = 0.3 * first + 1.1 * second
    return tuple(r * (1.0 + noise * rng.normal(0.0, 1.0, 120)) for r in (first, second, callee))


def callee(first: np.ndarray, second: np.ndarray, rate: np.ndarray, mean_s: float = 0.01) -> Callee:
    return Callee("c", rate, ("a", "b"), (first, second), mean_s)


def test_small_deviations_tell_callers_apart():
    counts = call_counts([callee(*rates(1))], {})
    assert counts == {("a", "c"): pytest.approx(0.3, abs=0.03), ("b", "c"): pytest.approx(1.1, abs=0.08)}


def test_what_is_counted_adds_up_however_noisy_it_is():
    first, second, rate = rates(2, noise=0.05)
    counts = call_counts([callee(first, second, rate)], {})
    whole = counts["a", "c"] * first.mean() + counts["b", "c"] * second.mean()
    assert whole == pytest.approx(rate.mean(), rel=1e-6)


def test_nobody_waits_longer_for_callees_than_it_takes_to_answer():
    counts = call_counts([callee(*rates(1), mean_s=0.2)], {"a": 1.0, "b": 0.1})
    assert counts["b", "c"] == pytest.approx(0.5, abs=0.01)
    assert counts["a", "c"] > 0.3


def test_a_caller_that_does_nothing_explains_nothing():
    first, _, rate = rates(1)
    counts = call_counts([callee(first, np.zeros(120), rate)], {})
    assert counts["b", "c"] == 0.0


def test_part_of_the_load_may_come_from_callers_out_of_view():
    first, second, _ = rates(1)
    one = Callee("c", 0.3 * first + 60.0, ("a", "b"), (first, second), 0.01, unseen=0.5)
    counts = call_counts([one], {})
    assert counts["a", "c"] == pytest.approx(0.3, abs=0.05)
    assert counts["b", "c"] == pytest.approx(0.0, abs=0.08)
