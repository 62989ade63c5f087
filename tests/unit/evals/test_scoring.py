"""Rows, targets and intervals, and predictions as JSON lines."""

import json

import pytest

from domain.errors import Invalid
from evals.datasets.lines import read_lines
from evals.datasets.scoring import DatasetReport, Row, wilson
from evals.datasets.telemetry.cases import Prediction, hit_at


def read(path, *wanted):
    return read_lines(path, Prediction, lambda line: line.case, wanted)


def report(*rows, lines=()):
    return DatasetReport(dataset="x", source="own", cases=1, seconds_total=0.1, rows=rows, lines=lines)


def test_lines_written_are_read_back(tmp_path):
    given = (Prediction(case="a/1", ranked=(("x y", 0.5), ("z", 0.1)), seconds=0.2), Prediction(case="b", ranked=()))
    path = tmp_path / "p.jsonl"
    path.write_text(report(lines=given).prediction_lines())

    assert tuple(read(path, "a/1", "b").values()) == given
    assert read(path, "b") == {"b": given[1]}


@pytest.mark.parametrize("line", ["{", '{"case": "a"}', '{"case": "a", "ranked": [["x"]]}', '["a"]'])
def test_malformed_lines_are_invalid(tmp_path, line):
    path = tmp_path / "p.jsonl"
    path.write_text(line + "\n")

    with pytest.raises(Invalid, match="line 1"):
        read(path)


def test_a_file_that_is_not_there_is_invalid(tmp_path):
    with pytest.raises(Invalid, match="cannot be read"):
        read(tmp_path / "nothing.jsonl")


def test_a_case_given_twice_is_invalid(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text('{"case": "a", "ranked": []}\n' * 2)

    with pytest.raises(Invalid, match="twice"):
        read(path, "a")


def test_a_missing_case_is_invalid(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text('{"case": "a", "ranked": []}\n')

    with pytest.raises(Invalid, match="1 of 2 cases have no prediction, first: b"):
        read(path, "a", "b")


@pytest.mark.parametrize(
    ("better", "value", "met"),
    [("higher", 0.9, True), ("higher", 0.89, False), ("lower", 0.9, True), ("lower", 0.91, False)],
)
def test_a_target_is_met_from_its_better_side(better, value, met):
    row = Row(metric="m", value=value, better=better, target=0.9)
    told = report(row, Row(metric="m", who="floor", value=0.0))

    assert row.met is met
    assert told.missed == (() if met else (row,))
    assert [one["met"] for one in json.loads(told.to_json())["rows"]] == [met, None]


def test_hits_are_counted_within_the_first_k():
    one = Prediction(case="a", ranked=(("x", 2.0), ("y", 1.0)))

    assert not hit_at(one, "y", 1)
    assert hit_at(one, "y", 3)
    assert not hit_at(Prediction(case="a", ranked=()), "y", 5)


def test_wilson_interval_agrees_with_published_values():
    """Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662; 0 of 20 gives 0 to 0.1611."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-4)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-4)
    assert wilson(0, 0) == (0.0, 1.0)
