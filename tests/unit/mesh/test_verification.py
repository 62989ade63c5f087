"""A verdict follows from levels before and after, and silence is never a recovery."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.base import TimeRange
from domain.commands import Command
from domain.evidence import MetricSeries
from domain.topology import Edge, RuntimeService, Slo, Topology
from mesh.verification import Level, growth_checks, judge, levels, watch_list

AT = datetime(2026, 3, 10, 12, tzinfo=UTC)
NORMAL = Level(latency_ms=100.0, error_rate=0.001, request_rate=50.0)


def service(name: str) -> RuntimeService:
    return RuntimeService.model_validate(
        {"id": name, "tenant": "t", "environment": "prod", "compute_target": "c", "owner_team": "team",
         "slo": Slo(latency_p95_ms=300.0)}
    )  # fmt: skip


TOPOLOGY = Topology.model_validate(
    {
        "environment": "prod",
        "services": (service("web"), service("api"), service("db"), service("other")),
        "edges": (
            Edge(kind="calls", source="service/web", target="service/api"),
            Edge(kind="calls", source="service/api", target="service/db"),
            Edge(kind="runs_on", source="service/db", target="node/n1"),
        ),
    }
)


def verdict(command: Command, before: Level, after: Level) -> str:
    return judge(
        command, topology=TOPOLOGY, watched=["service/api"], normal={"service/api": NORMAL},
        before={"service/api": before}, after={"service/api": after}, held=TimeRange(start=AT, end=AT),
    ).verdict  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (Level(900.0, 0.001, 50.0), Level(110.0, 0.001, 50.0), "recovered"),
        (Level(900.0, 0.001, 50.0), Level(880.0, 0.001, 50.0), "unchanged"),
        (Level(900.0, 0.001, 50.0), Level(1300.0, 0.001, 50.0), "worse"),
        (Level(100.0, 0.001, 50.0), Level(900.0, 0.001, 50.0), "worse"),
        (Level(100.0, 0.30, 50.0), Level(100.0, 0.0008, 50.0), "recovered"),
        (Level(100.0, 0.30, 50.0), Level(100.0, 0.25, 50.0), "unchanged"),
        (Level(100.0, 0.30, 50.0), Level(100.0, 0.0045, 50.0), "recovered"),
        (Level(100.0, 0.30, 50.0), Level(100.0, 0.012, 50.0), "unchanged"),
        (Level(4000.0, 0.001, 50.0), Level(450.0, 0.001, 50.0), "recovered"),
        (Level(4000.0, 0.001, 50.0), Level(600.0, 0.001, 50.0), "unchanged"),
        (Level(100.0, 0.30, 50.0), Level(100.0, 0.0, 2.0), "quiet"),
        (Level(900.0, 0.001, 50.0), Level(None, None, None), "quiet"),
        (Level(290.0, 0.001, 50.0), Level(285.0, 0.001, 50.0), "unchanged"),
    ],
)
def test_verdict_follows_from_levels(command: Command, before: Level, after: Level, expected: str):
    assert verdict(command, before, after) == expected


def test_nothing_read_at_all_is_quiet(command: Command):
    nothing = Level(None, None, None)
    found = judge(
        command, topology=TOPOLOGY, watched=["service/api"], normal={}, before={}, after={"service/api": nothing},
        held=TimeRange(start=AT, end=AT),
    )  # fmt: skip
    assert found.verdict == "quiet"


def test_callers_up_to_the_edge_are_watched_and_strangers_are_not():
    assert watch_list(TOPOLOGY, "service/db", ["service/web"]) == ("service/db", "service/web", "service/api")
    assert "service/other" not in watch_list(TOPOLOGY, "service/db", [])


def test_a_node_is_watched_through_what_runs_on_it():
    assert watch_list(TOPOLOGY, "node/n1", []) == ("service/db", "service/api", "service/web")


def test_levels_are_medians_within_the_window_and_need_three_samples():
    series = MetricSeries.model_validate(
        {"evidence": "e", "entity": "service/api", "metric": "latency_p95_ms", "kind": "latency", "statistic": "p95",
         "start": AT, "step_s": 60, "values": (1.0, 2.0, 3.0, None, 900.0)}
    )  # fmt: skip
    assert levels([series], AT, AT + timedelta(minutes=3))["service/api"].latency_ms == 2.0
    assert levels([series], AT + timedelta(minutes=2), AT + timedelta(minutes=5))["service/api"].latency_ms is None


def memory(*values: float) -> MetricSeries:
    return MetricSeries.model_validate(
        {"evidence": "e", "entity": "service/api", "metric": "memory_mib", "kind": "saturation", "unit": "MiB",
         "start": AT, "step_s": 60, "values": (200.0, 201.0, 199.0, 200.0, *values)}
    )  # fmt: skip


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ((200.0, 201.0, 202.0, 200.0, 201.0, 200.0), 0),
        ((200.0, 225.0, 250.0, 275.0, 300.0, 325.0), 1),
        ((400.0, 430.0, 460.0, 490.0, 205.0, 230.0), 1),
        ((500.0, 200.0, 201.0, 200.0, 201.0, 202.0), 0),
        ((400.0, 170.0, 180.0, 190.0, 197.0, 201.0), 0),
        ((298.0, 242.0, 262.0, 261.0, 262.0, 263.0), 0),
    ],
)
def test_a_leak_behind_a_restart_is_no_recovery(values: tuple[float, ...], found: int):
    usual, held = (
        TimeRange(start=AT, end=AT + timedelta(minutes=4)),
        TimeRange(start=AT + timedelta(minutes=4), end=AT + timedelta(minutes=10)),
    )
    checks = growth_checks([memory(*values)], ["service/api"], usual, held)
    assert [check.ok for check in checks] == [False] * found
