"""Requests from samples: one price for all, the asked risk kept, nothing reserved that saves nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.sizing import effective_samples, memory_floor_mib, risk_curves, size
from domain.errors import Invalid

SAMPLES = 144


def fleet(seed, workloads=200, samples=SAMPLES):
    """Workloads of one law each: steady ones, and heavy-tailed ones whose peaks cost ten times their median."""
    rng = np.random.default_rng(seed)
    median = rng.uniform(2, 40, (workloads, 1))
    tail = np.where(np.arange(workloads)[:, None] % 2, 0.05, 0.8)
    return np.clip(np.rint(median * np.exp(tail * rng.standard_normal((workloads, samples)))), 0, 400)


@pytest.mark.parametrize("risk", [0.2, 0.1, 0.05])
def test_the_asked_share_of_later_samples_lies_above(risk):
    whole = fleet(0, samples=3 * SAMPLES)
    request = size(whole[:, :SAMPLES], risk, 1.0).request

    assert 0.4 * risk < np.mean(whole[:, SAMPLES:] > request[:, None]) < 1.3 * risk


@pytest.mark.parametrize("percentile", [80, 90, 95, 99])
def test_leaner_than_a_percentile_with_no_more_violations(percentile):
    whole = fleet(1, samples=3 * SAMPLES)
    known, later = whole[:, :SAMPLES], whole[:, SAMPLES:]
    rule = np.percentile(known, percentile, axis=1)
    curves = risk_curves(known, 1.0)
    ours = [curves.at_risk(risk).request for risk in np.geomspace(0.5, 0.001, 40)]

    assert any(
        one.mean() < rule.mean() and np.mean(later > one[:, None]) < np.mean(later > rule[:, None]) for one in ours
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(0.03, 0.3), st.floats(1.05, 2.0))
def test_less_risk_never_reserves_less(seed, risk, factor):
    known = fleet(seed, workloads=12)
    careful, bold = size(known, risk / factor, 1.0), size(known, risk, 1.0)

    assert careful.risk.mean() <= risk / factor
    assert careful.request.mean() >= bold.request.mean()
    assert (careful.request >= bold.request).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(1e-4, 0.05))
def test_no_other_request_is_worth_more_at_the_price(seed, price):
    curves = risk_curves(fleet(seed, workloads=6), 1.0)
    chosen = curves.at_price(price)
    cost = price * curves.candidates + curves.chance
    for row, last in enumerate(curves.last):
        cost[row, last + 1 :] = np.inf

    np.testing.assert_allclose(price * chosen.request + chosen.risk, cost.min(axis=1))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_chance_falls_with_the_request_and_requests_are_whole_steps(seed):
    curves = risk_curves(10 * fleet(seed, workloads=5), 10.0)
    request = curves.at_risk(0.05).request

    assert (np.diff(curves.chance, axis=1) <= 0).all()
    np.testing.assert_array_equal(request % 10, 0)


def test_order_of_workloads_does_not_matter_and_missing_samples_are_no_usage():
    known = fleet(2, workloads=20)
    holes = np.concatenate([np.full((20, 30), np.nan), known], axis=1)

    np.testing.assert_array_equal(size(known[::-1], 0.05, 1.0).request[::-1], size(known, 0.05, 1.0).request)
    np.testing.assert_allclose(size(holes, 0.05, 1.0).request, size(known, 0.05, 1.0).request, rtol=0.05)


def test_fewer_or_clinging_samples_need_more_room():
    rng = np.random.default_rng(3)
    steady = np.rint(40 + 3 * rng.standard_normal((50, SAMPLES)))
    few = risk_curves(steady[:, -12:], 1.0, ceiling=100).at_price(0.001).request.mean()
    many = risk_curves(steady, 1.0, ceiling=100).at_price(0.001).request.mean()
    clinging = np.repeat(steady[:, ::6], 6, axis=1)

    assert few > many
    assert (effective_samples(clinging) < 0.5 * effective_samples(steady)).all()
    assert risk_curves(clinging, 1.0, ceiling=100).at_price(0.001).request.mean() > many


def test_what_came_last_counts_more():
    rising = np.repeat([[10.0, 50.0]], SAMPLES // 2, axis=1)
    at = risk_curves(np.concatenate([rising, rising[:, ::-1]]), 1.0)
    between = int(np.searchsorted(at.candidates, 30))

    assert at.chance[0, between] > 0.54
    assert at.chance[1, between] < 0.46


def test_floor_and_ceiling_hold():
    known = fleet(4, workloads=10)
    floor = np.linspace(0, 900, 10)

    assert (size(known, 0.2, 1.0, floor=floor).request >= floor).all()
    assert size(known, 1e-4, 1.0, ceiling=30).request.max() <= 30


def test_a_risk_beyond_the_evidence_gives_four_times_the_peak_and_says_what_is_left():
    known = fleet(5, workloads=10)
    sizing = size(known, 1e-9, 1.0)

    assert (sizing.request <= 4 * known.max(axis=1)).all()
    assert sizing.risk.mean() > 1e-9


def test_memory_is_never_below_its_peak_or_a_proven_kill():
    floor = memory_floor_mib(np.array([300.0, 300.0, 300.0]), np.array([np.nan, 256.0, 2000.0]))
    np.testing.assert_allclose(floor, [300, 356, 2400])


def test_idle_workloads_get_next_to_nothing():
    assert size(np.zeros((3, SAMPLES)), 0.05, 1.0).request.max() <= 1


@pytest.mark.parametrize(
    ("usage", "risk", "resolution"),
    [
        (np.full((1, 9), np.nan), 0.05, 1.0),
        (np.full((1, 9), -1.0), 0.05, 1.0),
        (np.ones(9), 0.05, 1.0),
        (np.ones((1, 9)), 0.0, 1.0),
        (np.ones((1, 9)), 0.05, 0.0),
    ],
)
def test_what_cannot_be_sized_is_invalid(usage, risk, resolution):
    with pytest.raises(Invalid):
        size(usage, risk, resolution)
