"""The canary judge against what is known: exact tests, equal versions, planted regressions, silence."""

import math

import numpy as np
import pytest

from analysis.canary import Amounts, Events, judge, split_p_value


def _latency(rng: np.random.Generator, size: int = 300) -> np.ndarray:
    return np.exp(rng.normal(4.0, 0.5, size))


def test_a_slower_version_is_rolled_back_for_its_level():
    rng = np.random.default_rng(0)
    verdict = judge((Amounts("latency_ms", _latency(rng), 1.5 * _latency(rng)),), look=1)
    assert verdict.action == "rollback"
    assert "level" in {r.aspect for r in verdict.reasons}


def test_a_tail_that_the_median_does_not_show_is_seen():
    rng = np.random.default_rng(1)
    slow = _latency(rng)
    slow[rng.random(300) < 0.1] *= 10.0
    verdict = judge((Amounts("latency_ms", _latency(rng), slow),), look=1)
    assert verdict.action == "rollback"
    assert [r.aspect for r in verdict.reasons] == ["tail"]


def test_a_wider_spread_at_the_same_median_is_seen():
    rng = np.random.default_rng(2)
    wide = np.exp(rng.normal(4.0, 1.0, 300))
    verdict = judge((Amounts("latency_ms", _latency(rng), wide),), look=1)
    assert "spread" in {r.aspect for r in verdict.reasons}


def test_a_mere_shift_is_no_spread():
    rng = np.random.default_rng(3)
    verdict = judge((Amounts("latency_ms", _latency(rng), 2.0 * _latency(rng)),), look=1)
    assert "spread" not in {r.aspect for r in verdict.reasons}


def test_what_is_significant_and_too_small_to_matter_changes_nothing():
    rng = np.random.default_rng(4)
    base = rng.normal(100.0, 1.0, 3000)
    verdict = judge((Amounts("memory_mib", base, rng.normal(101.0, 1.0, 3000)),), look=1)
    assert verdict.action == "promote"


def test_one_wild_value_decides_nothing():
    rng = np.random.default_rng(5)
    candidate = _latency(rng)
    candidate[:3] = 1e9
    assert judge((Amounts("latency_ms", _latency(rng), candidate),), look=1).action == "promote"


def test_failures_are_counted_exactly():
    from analysis.canary import _fisher  # held against the textbook

    # Fisher's tea tasting: 4 of 4 cups right, of 8: 1 in 70; 3 or more right: 17 in 70.
    assert _fisher((0, 4), (4, 4)) == pytest.approx(1 / 70)
    assert _fisher((1, 4), (3, 4)) == pytest.approx(17 / 70)
    verdict = judge((Events("errors", (3, 2000), (60, 1000)),), look=1)
    assert verdict.action == "rollback"


@pytest.mark.parametrize("samples", [np.array([]), np.full(300, np.nan), np.r_[np.full(200, np.nan), np.ones(100)]])
def test_silence_is_waited_for_and_then_inconclusive_and_never_a_pass(samples: np.ndarray):
    metrics = (Amounts("latency_ms", _latency(np.random.default_rng(6)), samples),)
    assert judge(metrics, look=1).action == "continue"
    last = judge(metrics, look=5, blind=4)
    assert (last.action, last.missing) == ("inconclusive", ("latency_ms",))
    assert judge((), look=1).action == "continue"


def test_a_metric_that_is_silent_does_not_hide_another_that_is_worse():
    metrics = (Amounts("memory_mib", np.array([]), np.array([])), Events("errors", (0, 500), (100, 500)))
    assert judge(metrics, look=1).action == "rollback"


def test_all_looks_together_spend_what_is_allowed():
    assert sum(1 / (k * (k + 1)) for k in range(1, 100_000)) == pytest.approx(1.0, abs=1e-4)


def test_the_same_evidence_weighs_less_at_a_later_look():
    # p = 1e-4 or so: enough at the first look, not at the hundredth, where it is a doubt.
    metrics = (Events("errors", (0, 1000), (13, 1000)),)
    assert judge(metrics, look=1).action == "rollback"
    assert judge(metrics, look=100).action == "continue"


def test_a_split_that_holds_and_one_that_does_not():
    assert split_p_value(103, 1000, 0.1) > 0.5
    assert split_p_value(200, 1000, 0.1) < 1e-9
    assert split_p_value(0, 0, 0.1) == 1.0
    assert split_p_value(3, 1000, 0.0) == 0.0
    assert split_p_value(1000, 1000, 1.0) == 1.0
    assert math.isclose(split_p_value(115, 1000, 0.1), math.erfc(14.5 / math.sqrt(180.0)))
