import numpy as np
import pytest

from runtime.simulator.flow import CallGraph
from runtime.simulator.physics import advance
from runtime.simulator.plant import EDGE_FIELDS, Plant, PlantState
from runtime.simulator.queueing import (
    attempts_until_success,
    erlang_c,
    lognormal_shape,
    share_above,
    wait_moments,
    wait_probability,
)


def exact_mean_wait(servers: int, utilisation: float, service_s: float) -> float:
    """M/M/c: C / (c mu - lambda)."""
    return erlang_c(servers, servers * utilisation) * service_s / (servers * (1.0 - utilisation))


def test_erlang_c_matches_the_textbook_values():
    assert erlang_c(1, 0.7) == pytest.approx(0.7)
    # Two servers: C = 2 rho^2 / (1 + rho).
    assert erlang_c(2, 1.2) == pytest.approx(2 * 0.6**2 / 1.6)
    assert erlang_c(3, 4.0) == 1.0


@pytest.mark.parametrize("servers", [1, 2, 4, 8, 16, 40])
@pytest.mark.parametrize("utilisation", [0.6, 0.8, 0.9, 0.95])
def test_the_closed_wait_is_near_the_exact_one(servers: int, utilisation: float):
    mean, _ = wait_moments(np.array([float(servers)]), np.array([utilisation]), np.array([1.0]), np.array([1.0]))
    exact = exact_mean_wait(servers, utilisation, 1.0)
    # Relative to the response time, which is what is measured; the approximation is worst far from saturation.
    assert abs(mean[0] - exact) / (exact + 1.0) < 0.03


def test_one_server_is_exact():
    mean, variance = wait_moments(np.array([1.0]), np.array([0.8]), np.array([1.0]), np.array([1.0]))
    assert mean[0] == pytest.approx(4.0)
    # M/M/1 wait: (2 - rho) rho / (1 - rho)^2 service times squared.
    assert variance[0] == pytest.approx((2 - 0.8) * 0.8 / 0.2**2)


def test_wait_probability_grows_to_one():
    assert wait_probability(np.array([4.0]), np.array([1.0]))[0] == 1.0


def test_lognormal_tail_is_within_the_approximation():
    median, sigma = lognormal_shape(np.array([10.0]), np.array([100.0]))
    sample = np.random.default_rng(0).lognormal(np.log(median[0]), sigma[0], 200_000)
    assert share_above(np.array([25.0]), median, sigma)[0] == pytest.approx((sample > 25.0).mean(), abs=0.012)


def test_attempts_are_a_geometric_sum():
    assert attempts_until_success(np.array([0.5]), np.array([2.0]))[0] == pytest.approx(1.75)
    assert attempts_until_success(np.array([1.0]), np.array([3.0]))[0] == pytest.approx(4.0)


def two_tier(retries: float, budget: float = np.inf) -> Plant:
    graph = CallGraph.build(2, [(0, 1, 1.0, 1.0)])
    both = np.ones(2)
    return Plant(
        graph=graph, cpu_ms=np.array([0.1, 10.0]), io_ms=0.1 * both, variability=both.copy(), error_share=0.0 * both,
        tls_failure=0.0 * both, cores=np.array([8.0, 1.0]), burst=both.copy(), memory_limit_mib=1e6 * both,
        memory_base_mib=both.copy(), memory_per_inflight_mib=0.0 * both, leak_mib_per_krequest=0.0 * both,
        workers=np.array([4096.0, 512.0]), timeout_ms=2000.0 * both, retries=retries * both,
        retry_budget=budget * both, cache_hit=0.0 * both, cache_fill_requests=both.copy(), slo_latency_ms=100.0 * both,
        pool=np.zeros(2, dtype=np.int64), pool_cores=np.array([1e6]), contention=np.zeros(1), route=np.ones(1),
        cached_edge=np.zeros(1), serial_ms=0.0 * both, background_cores=0.0 * both,
        surge_queue=0.0 * both,
        **{name: np.zeros(1) for name in EDGE_FIELDS},
    )  # fmt: skip


def failing_after_trigger(plant: Plant) -> float:
    """Load at 70 % of capacity, doubled for three minutes, then back: failures ten minutes later.

    Queues hold more than callers wait for, so late answers are wasted work: the condition of a metastable failure
    (Bronson et al., 2021).
    """
    state = PlantState.fresh(plant, np.array([8.0, 8.0]))
    for step in range(100):
        demand = np.array([560.0 * (2.0 if 20 <= step < 38 else 1.0), 0.0])
        readings = advance(plant, state, demand, 10.0)
    return float(readings.error_share[0])


def test_the_plant_waits_as_m_m_c():
    plant = two_tier(retries=0.0)
    state = PlantState.fresh(plant, np.array([8.0, 8.0]))
    for _ in range(30):
        readings = advance(plant, state, np.array([0.0, 640.0]), 10.0)
    wait_ms = readings.latency_mean_ms[1] - 10.0 - 0.1
    assert wait_ms == pytest.approx(1000.0 * exact_mean_wait(8, 0.8, 0.010), rel=0.1)
    assert readings.cpu_utilisation[1] == pytest.approx(0.8, rel=1e-6)


def test_a_retry_storm_outlives_its_trigger_and_a_budget_prevents_it():
    assert failing_after_trigger(two_tier(retries=3.0)) > 0.1
    assert failing_after_trigger(two_tier(retries=0.0)) < 0.01
    assert failing_after_trigger(two_tier(retries=3.0, budget=0.1)) < 0.01
