"""From an evidence pack to arrays: windows by time, comparable units, ids kept."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from analysis.observing import normal_unit, observations_of
from domain.base import TimeRange, digest_of
from domain.evidence import ChangeRecord, EvidencePack, LogPattern, MetricSeries, SpanStats
from domain.ids import EnvironmentId, EvidenceId, IncidentId, TenantId
from domain.incidents import Incident
from domain.topology import Edge, Topology

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
ENVIRONMENT = EnvironmentId("prod")


def pack(**given):
    incident = Incident(
        id=IncidentId("i"),
        tenant=TenantId("t"),
        environment=ENVIRONMENT,
        title="slow",
        severity="error",
        status="open",
        fingerprint=digest_of("x"),
        opened_at=AT,
        last_event_at=AT,
        entities=("service/a",),
    )
    defaults = {
        "incident": incident,
        "tenant": incident.tenant,
        "environment": ENVIRONMENT,
        "at": AT,
        "baseline": TimeRange(start=AT - timedelta(minutes=10), end=AT),
        "current": TimeRange(start=AT, end=AT + timedelta(minutes=3)),
        "symptom": "service/a",
        "symptom_kind": "latency",
        "items": (),
        "topology": Topology(
            environment=ENVIRONMENT, edges=(Edge(kind="calls", source="service/a", target="service/b"),)
        ),
    }
    return EvidencePack(**(defaults | given))


def series(start, values, **given):
    defaults = {
        "evidence": EvidenceId("ev-1"),
        "entity": "service/a",
        "metric": "latency",
        "kind": "latency",
        "unit": "s",
        "start": start,
        "step_s": 60,
        "values": tuple(values),
    }
    return MetricSeries(**(defaults | given))


def test_one_series_is_cut_into_baseline_and_window_and_brought_to_ms():
    one = series(AT - timedelta(minutes=12), [0.001 * k for k in range(20)])

    (found,) = observations_of(pack(series=(one,))).series

    assert found.baseline.tolist() == pytest.approx([float(k) for k in range(2, 12)])
    assert found.current.tolist() == pytest.approx([12.0, 13.0, 14.0])
    assert (found.unit, found.ref, found.start_s) == ("ms", "ev-1", AT.timestamp())


def test_two_readings_of_a_metric_are_joined_whichever_is_older():
    long_ago = TimeRange(start=AT + timedelta(days=90), end=AT + timedelta(days=90, minutes=2))
    parts = (series(long_ago.start, [1.0, 2.0]), series(AT, [3.0, None, 5.0]))

    (found,) = observations_of(pack(series=parts, baseline=long_ago)).series

    assert found.baseline.tolist() == [1000.0, 2000.0]
    assert found.current.tolist()[::2] == [3000.0, 5000.0]
    assert np.isnan(found.current[1])


def test_samples_beside_the_grid_fall_into_the_window_they_lie_in():
    one = series(AT - timedelta(seconds=90), [0.001, 0.002, 0.003])  # 11:58:30, 11:59:30, 12:00:30

    (found,) = observations_of(pack(series=(one,))).series

    assert (found.baseline.tolist(), found.current.tolist()) == ([1.0, 2.0], [3.0])
    assert found.start_s == AT.timestamp() + 30


def test_a_metric_without_a_reading_in_a_window_is_empty_there():
    (found,) = observations_of(pack(series=(series(AT, [1.0]),))).series

    assert found.baseline.size == 0


@pytest.mark.parametrize(
    ("kind", "unit", "expected"),
    [
        ("latency", "us", ("ms", 0.001)),
        ("availability", "%", ("ratio", 0.01)),
        ("saturation", "ratio", ("ratio", 1.0)),
        ("traffic", "%", ("%", 1.0)),
        ("latency", "furlongs", ("furlongs", 1.0)),
    ],
)
def test_units_are_made_comparable(kind, unit, expected):
    assert normal_unit(kind, unit) == expected


def test_spans_logs_changes_and_graph_are_carried_over():
    found = observations_of(
        pack(
            spans=(
                SpanStats(
                    evidence=EvidenceId("s"),
                    entity="service/a",
                    operation="get",
                    peer="service/b",
                    baseline_self_ms=(1.0,),
                    current_self_ms=(2.0, 3.0),
                ),
            ),
            logs=(
                LogPattern(
                    evidence=EvidenceId("l"),
                    entity="service/a",
                    template="boom",
                    severity="error",
                    baseline_count=0,
                    baseline_s=600,
                    current_count=9,
                    current_s=180,
                ),
            ),
            changes=(ChangeRecord(evidence=EvidenceId("c"), entity="service/a", kind="config", at=AT),),
        )
    )

    assert (found.spans[0].peer, found.spans[0].current.tolist(), found.spans[0].ref) == ("service/b", [2.0, 3.0], "s")
    assert (found.templates[0].current_count, found.templates[0].ref) == (9, "l")
    assert (found.changes[0].at_s, found.changes[0].ref) == (AT.timestamp(), "c")
    assert found.symptom.entity == "service/a"
    assert found.edges[0].target == "service/b"
