import numpy as np
import pytest

from runtime.simulator.autoscaling import Autoscaler, recommended_replicas


def one(value: float) -> np.ndarray:
    return np.array([value])


@pytest.mark.parametrize(
    ("current", "utilisation", "expected"),
    [
        (4.0, 0.9, 6.0),  # ceil(4 * 0.9 / 0.6)
        (4.0, 0.65, 4.0),  # within the tolerance of 10 %
        (4.0, 0.67, 5.0),  # just outside
        (10.0, 0.3, 5.0),
        (3.0, 0.0, 0.0),
    ],
)
def test_recommendation_is_the_kubernetes_formula(current: float, utilisation: float, expected: float):
    assert recommended_replicas(one(current), one(utilisation), one(0.6))[0] == expected


def decide(
    scaler: Autoscaler, current: float, utilisation: float, window_s: float = 300.0, high: float = 40.0
) -> float:
    return scaler.decide(one(current), one(utilisation), one(0.6), one(2.0), one(high), one(window_s))[0]


def test_scaling_up_is_bounded_per_step_and_by_the_maximum():
    assert decide(Autoscaler(30.0), 3.0, 3.0) == 7.0  # four pods beat doubling
    assert decide(Autoscaler(30.0), 10.0, 3.0) == 20.0  # doubling beats four pods
    assert decide(Autoscaler(30.0), 10.0, 3.0, high=12.0) == 12.0


def test_scaling_down_waits_for_the_stabilisation_window():
    scaler = Autoscaler(30.0)
    assert decide(scaler, 10.0, 0.6) == 10.0
    falls = [decide(scaler, 10.0, 0.1) for _ in range(10)]
    assert falls[:9] == [10.0] * 9
    assert falls[9] == 2.0


def test_without_a_window_it_falls_at_once():
    scaler = Autoscaler(30.0)
    decide(scaler, 10.0, 0.6, window_s=0.0)
    assert decide(scaler, 10.0, 0.1, window_s=0.0) == 2.0


def test_lag_delays_the_decision():
    scaler = Autoscaler(30.0, lag_s=60.0)
    first = [decide(scaler, 4.0, 0.6), decide(scaler, 4.0, 1.2), decide(scaler, 4.0, 1.2)]
    assert first == [4.0, 4.0, 4.0]
    assert decide(scaler, 4.0, 1.2) == 8.0
