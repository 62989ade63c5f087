"""Hourly competition data: the loader, the figures by hand, re-scoring, and that the test part is for scoring only."""

import csv
import json

import numpy as np
import pytest

from analysis.forecasting import Forecast
from domain.errors import Invalid
from evals.datasets import report
from evals.datasets.m4 import HORIZON, M4, figures

NAMES = ("H1", "H2", "H3")


def write(path, rows):
    longest = max(len(row) for row in rows.values())
    with path.open("w", newline="") as file:
        lines = csv.writer(file, quoting=csv.QUOTE_ALL)
        lines.writerow([f"V{n + 1}" for n in range(longest + 1)])
        lines.writerows([name, *row, *[""] * (longest - len(row))] for name, row in rows.items())


@pytest.fixture
def folder(tmp_path):
    """Three series of two lengths, the test part in another order."""
    rng = np.random.default_rng(0)
    hours = np.arange(800)
    whole = {
        name: np.round(100 * (1.5 + np.sin(2 * np.pi * hours[:length] / 24)) + rng.random(length), 1)
        for name, length in zip(NAMES, (700, 700, 800), strict=True)
    }
    write(tmp_path / "Hourly-train.csv", {name: one[:-HORIZON] for name, one in whole.items()})
    write(tmp_path / "Hourly-test.csv", {name: whole[name][-HORIZON:] for name in reversed(NAMES)})
    return tmp_path


def value(scored, metric, part="test part", who="ours"):
    return next(r.value for r in scored.rows if (r.metric, r.part, r.who) == (metric, part, who))


def test_figures_are_the_competitions():
    history = [np.array([1.0, 3.0] * 24)]  # seasonal differences of 24 are nought but for this one
    history[0][-1] = 27.0
    actual = np.full((1, HORIZON), 10.0)
    made = Forecast(np.full((1, HORIZON), 30.0), np.full((1, HORIZON), 12.0), np.full((1, HORIZON), 40.0))

    got = figures(history, actual, made)

    assert got.smape == pytest.approx(100)  # 200 x 20 / 40
    assert got.mase == pytest.approx(20)  # error 20, scale 24 / 24
    assert got.owa == pytest.approx((100 / 18.383 + 20 / 2.395) / 2)
    assert got.msis == pytest.approx(28 + 40 * 2)  # width, and 2 / 0.05 for each unit below
    assert got.coverage == 0


def test_the_shape_is_found_and_company_is_printed(folder):
    scored = report(M4(), folder)

    assert value(scored, "OWA") < 0.9 * value(scored, "OWA", who="floor")
    assert value(scored, "OWA", "rolling origins in the train part") < 0.25
    assert {row.value for row in scored.rows if row.who == "record"} >= {0.410, 0.440, 6.14}
    assert [line.series for line in scored.lines] == list(NAMES)


def test_rescoring_gives_the_same_figures(folder, tmp_path):
    scored = report(M4(), folder)
    file = tmp_path / "p.jsonl"
    file.write_text(scored.prediction_lines())
    again = report(M4(), folder, rescore=file)

    for metric in ("sMAPE", "MASE", "OWA", "MSIS"):
        assert value(again, metric) == value(scored, metric)


def test_the_test_part_does_not_reach_the_forecast(folder):
    before = report(M4(), folder).prediction_lines()
    write(folder / "Hourly-test.csv", {name: np.full(HORIZON, 1.0) for name in NAMES})

    assert report(M4(), folder).prediction_lines() == before


@pytest.mark.parametrize("spoil", ["missing", "short"])
def test_an_incomplete_file_is_an_error(folder, tmp_path, spoil):
    lines = report(M4(), folder).prediction_lines().splitlines()
    if spoil == "missing":
        lines = lines[1:]
    else:
        first = json.loads(lines[0])
        lines[0] = json.dumps({**first, "upper": first["upper"][1:]})
    file = tmp_path / "p.jsonl"
    file.write_text("\n".join(lines))

    with pytest.raises(Invalid):
        report(M4(), folder, rescore=file)


def test_another_layout_is_invalid(folder):
    write(folder / "Hourly-test.csv", {name: np.ones(HORIZON) for name in NAMES[:2]})
    with pytest.raises(Invalid, match="1 of 3"):
        report(M4(), folder)
    (folder / "Hourly-train.csv").unlink()
    with pytest.raises(Invalid, match="no table"):
        report(M4(), folder)
