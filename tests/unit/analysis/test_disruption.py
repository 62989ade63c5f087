"""Requests that take another course."""

import numpy as np
import pytest

from analysis.disruption import disruptions
from analysis.signals import SpanShift


def times(count, ms=20.0, seed=0):
    return np.random.default_rng(seed).lognormal(np.log(ms), 0.1, count)


def test_a_call_no_longer_made_is_noticed():
    shifts = (
        SpanShift("a", "list", times(50), times(50, seed=1)),
        SpanShift("a", "list", times(50), times(3), peer="b"),
    )

    found = disruptions(shifts)["a"]

    assert found.visits == pytest.approx(47)
    assert "calls b less often: 100% of visits, now 6%" in found.text


def test_a_call_made_anew_is_noticed():
    shifts = (SpanShift("a", "list", times(50), times(50)), SpanShift("a", "list", times(0), times(40), peer="b"))

    assert "more often" in disruptions(shifts)["a"].text


def test_visits_cut_short_are_noticed():
    found = disruptions((SpanShift("a", "list", times(50), np.concatenate([times(20), times(30, ms=1.0)])),))

    assert found["a"].visits == 30
    assert "in 60% of visits" in found["a"].text


def test_mere_change_of_traffic_is_not():
    shifts = (
        SpanShift("a", "list", times(50), times(5)),
        SpanShift("a", "list", times(50), times(5), peer="b"),
        SpanShift("b", "get", times(50), times(400)),
    )

    assert disruptions(shifts) == {}


def test_a_faster_release_is_not():
    assert disruptions((SpanShift("a", "list", times(50, ms=20), times(50, ms=15)),)) == {}


def test_too_few_visits_say_nothing():
    assert disruptions((SpanShift("a", "list", times(2), times(50, ms=0.1)),)) == {}
