"""Nezha's loader and scorer on a small archive in its layout."""

import pytest

from domain.errors import Invalid
from evals.datasets import run
from evals.datasets.nezha import Nezha, severity_of
from evals.datasets.telemetry.nezha_archive import Archive, service_of


def values(report, who="ours"):
    return {row.metric: row.value for row in report.rows if row.who == who}


def test_cases_are_positions_in_the_fault_list(nezha):
    assert Nezha().case_ids(nezha()) == ("2026-02-03/0", "2026-02-03/1")


def test_own_diagnosis_finds_the_slow_services(nezha):
    report = run("nezha", nezha())

    assert values(report)["AS@1"] == 1.0
    assert [one.ranked[0][0] for one in report.lines] == ["ts-seat-service", "ts-order-service"]


def test_labels_do_not_reach_the_diagnosis(nezha):
    path = nezha()
    honest = run("nezha", path)
    swapped_path = nezha(labels={0: "route", 1: "route"}).rename(path.with_name("swapped.tar.xz"))

    swapped = run("nezha", swapped_path)

    assert [one.ranked for one in honest.lines] == [one.ranked for one in swapped.lines]
    assert values(swapped)["AS@1"] == 0.0


def test_malformed_rows_are_skipped(nezha):
    archive = Archive(nezha())

    assert len(archive.spans("2026-02-03", normal=True)) == 25 * 7
    assert len(archive.logs("2026-02-03", normal=True)) == 25 * 4


def test_the_pack_holds_logs_spans_metrics_and_the_call_graph(nezha):
    pack = next(Nezha().cases(nezha())).packs()[0]

    assert pack.symptom == "service/ts-gate-service"
    assert {(edge.source, edge.target) for edge in pack.topology.edges} == {
        ("service/ts-gate-service", "service/ts-order-service"),
        ("service/ts-gate-service", "service/ts-route-service"),
        ("service/ts-order-service", "service/ts-seat-service"),
    }
    assert {one.kind for one in pack.series} == {"latency", "saturation"}
    assert any(one.peer for one in pack.spans)
    assert {one.baseline_count for one in pack.logs} == {25}


def test_pod_hashes_are_stripped():
    assert service_of("ts-order-service-5b67c48447-fj8b7") == "ts-order-service"
    assert service_of("single") == "single"


@pytest.mark.parametrize(
    ("line", "severity"),
    [("20:00 INFO ok", "info"), ("20:00 WARN slow", "warning"), ("20:00 ERROR no", "error"), ("FATAL", "critical")],
)
def test_severity_is_read_from_the_line(line, severity):
    assert severity_of(line) == severity


def test_what_is_no_archive_is_invalid(tmp_path):
    path = tmp_path / "x.tar.xz"
    path.write_bytes(b"no archive")

    with pytest.raises(Invalid, match="not a readable"):
        run("nezha", path)
