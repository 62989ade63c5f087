from datetime import UTC, datetime, timedelta

import pytest

from domain.evidence import MetricSeries
from evals.twin_error import Case, errors, measure, told
from runtime.simulator.windowed import quiet_minutes, read_window

START = datetime(2026, 3, 10, 10, 0, tzinfo=UTC)


def series(metric: str, *values: float) -> MetricSeries:
    return MetricSeries(
        evidence=f"metric:{metric}", entity="service/a", metric=metric, kind="other", statistic="avg", unit="1",
        start=START, step_s=60, values=values,
    )  # fmt: skip


def read(metric: str, *values: float):
    return read_window([series(metric, *values)], "service/a", START, START + timedelta(minutes=len(values)))


def test_a_steady_rise_of_memory_is_a_leak_and_one_step_is_not():
    assert read("memory_mib", 300, 330, 360, 390, 420).leak_mib_per_s == pytest.approx(0.5, rel=0.05)
    assert read("memory_mib", 600, 606, 1014, 1016, 994).leak_mib_per_s == 0.0
    assert read("memory_mib", 600, 606, 598, 603, 609).leak_mib_per_s == 0.0


def test_a_leak_is_seen_through_a_restart():
    assert read("memory_mib", 470, 500, 300, 330, 360).leak_mib_per_s == pytest.approx(0.5, rel=0.05)


def test_the_horizon_starts_from_the_newest_sample_of_what_is_being_scaled():
    found = read("replicas_ready", 10, 10, 14, 20, 26)
    assert (found.ready, found.ready_now, found.moving) == (14, 26, True)
    assert not read("replicas_ready", 10, 10, 10, 10, 10).moving


def test_the_quiet_minutes_are_those_that_answered_fastest():
    found = quiet_minutes(
        [series("latency_p50_ms", 40, 15, 14, 90, 300)], "service/a", START, START + timedelta(minutes=5)
    )
    assert found == (START + timedelta(minutes=1), START + timedelta(minutes=3))


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return measure((1,), ("zone_loss", "deploy_errors", "traffic_surge"), world="demo")


def test_minutes_into_the_trouble_a_tenants_own_view_is_enough(cases: list[Case]):
    right = [c for c in cases if c.lived.right]
    assert {c.lived.fault for c in right} == {"deploy_errors", "traffic_surge", "zone_loss"}
    for case in right:
        assert case.prediction.known, told(case)
        assert case.prediction.slo_attainment.low > 0.0, told(case)
        truth = case.lived.true["slo_attainment"]
        assert case.prediction.slo_attainment.value == pytest.approx(truth, abs=0.15), told(case)


def test_a_decoy_is_not_predicted_to_help(cases: list[Case]):
    for case in (c for c in cases if not c.lived.right and c.lived.proposal.kind == "service.restart"):
        assert case.prediction.slo_attainment.value < 0.01, told(case)


def test_errors_count_direction_and_coverage(cases: list[Case]):
    found = {e.quantity: e for e in errors([c for c in cases if c.lived.right])}
    assert found["slo_attainment"].cases >= 3
    assert found["slo_attainment"].right_direction == 1.0
    assert 0.0 <= found["slo_attainment"].covered <= 1.0
    assert found["slo_attainment"].width > 0.0
