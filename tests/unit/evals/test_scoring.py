"""Predictions as JSON lines and intervals."""

import pytest

from domain.errors import Invalid
from evals.datasets.scoring import Prediction, hit_at, prediction_lines, read_predictions, require_all, wilson


def test_lines_written_are_read_back(tmp_path):
    given = (Prediction(case="a/1", ranked=(("x y", 0.5), ("z", 0.1)), seconds=0.2), Prediction(case="b", ranked=()))
    path = tmp_path / "p.jsonl"
    path.write_text(prediction_lines(given))

    assert tuple(read_predictions(path).values()) == given


@pytest.mark.parametrize("line", ["{", '{"case": "a"}', '{"case": "a", "ranked": [["x"]]}', '["a"]'])
def test_malformed_lines_are_invalid(tmp_path, line):
    path = tmp_path / "p.jsonl"
    path.write_text(line + "\n")

    with pytest.raises(Invalid, match="line 1"):
        read_predictions(path)


def test_a_case_given_twice_is_invalid(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text('{"case": "a", "ranked": []}\n' * 2)

    with pytest.raises(Invalid, match="twice"):
        read_predictions(path)


def test_a_missing_case_is_invalid():
    with pytest.raises(Invalid, match="1 of 2 cases have no prediction, first: b"):
        require_all({"a": Prediction(case="a", ranked=())}, ["a", "b"])


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
