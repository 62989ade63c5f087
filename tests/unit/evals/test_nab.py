"""The NAB loader: groups from folders, predictions read back to the same figures, what is missing is an error."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from analysis.anomalies import detect
from domain.errors import Invalid
from evals.datasets.nab import Judged, Nab, read_series, read_windows, rolling_z

START = datetime.fromisoformat("2026-03-02T00:00:00")
ROWS = 1200


@pytest.fixture(scope="module")
def nab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two groups: one file with a burst in its window and a time stamp held twice, one with nothing to find."""
    root = tmp_path_factory.mktemp("nab")
    noise = np.random.default_rng(4).normal(50, 2, (2, ROWS))
    noise[0, 800:830] += 60
    times = [START + timedelta(minutes=5 * row) for row in range(ROWS)]
    times[300] = times[299]
    for group, name, values in (("cities", "load.csv", noise[0]), ("quiet", "calm.csv", noise[1])):
        (root / group).mkdir()
        rows = "".join(f"{at},{value:.4f}\n" for at, value in zip(times, values, strict=True))
        (root / group / name).write_text(f"timestamp,value\n{rows}", encoding="utf-8")
    limits = [f"{times[row]}.000000" for row in (760, 880)]
    (root / "windows.json").write_text(
        json.dumps({"cities/load.csv": [limits], "quiet/calm.csv": [], "elsewhere/none.csv": [limits]}),
        encoding="utf-8",
    )
    return root


def figures(path: Path, rescore: Path | None = None) -> dict[tuple[str, str, str], float]:
    rows = Nab().run(path, rescore=rescore).rows
    return {(row.metric, row.part, row.author): row.value for row in rows if row.metric != "speed"}


def test_the_burst_is_found_and_every_figure_has_company(nab: Path):
    found = figures(nab)
    assert found["windows found", "all", "ours"] == 1
    assert found["NAB score, standard", "all", "ours"] > 50
    assert ("NAB score, standard", "quiet", "ours") not in found
    assert ("false alarms", "quiet", "ours") in found
    assert {who for metric, part, who in found if (metric, part) == ("NAB score, standard", "all")} > {"ours"}


def test_predictions_read_back_give_the_same_figures(nab: Path, tmp_path: Path):
    lines = Nab().run(nab).lines
    given = tmp_path / "readings.jsonl"
    given.write_text("".join(f"{line.model_dump_json()}\n" for line in lines), encoding="utf-8")
    assert set(json.loads(given.read_text().splitlines()[0])) == {"file", "timestamp", "score", "alarm"}
    assert figures(nab, given) == figures(nab)


@pytest.mark.parametrize("lost", [0, 299, 300, ROWS + 7])
def test_a_missing_row_is_an_error(nab: Path, tmp_path: Path, lost: int):
    lines = [line.model_dump_json() for line in Nab().run(nab).lines]
    given = tmp_path / "readings.jsonl"
    given.write_text("\n".join(lines[:lost] + lines[lost + 1 :]), encoding="utf-8")
    with pytest.raises(Invalid, match="no prediction"):
        Nab().run(nab, rescore=given)


def test_a_row_given_once_too_often_is_an_error(nab: Path, tmp_path: Path):
    lines = [line.model_dump_json() for line in Nab().run(nab).lines]
    given = tmp_path / "readings.jsonl"
    given.write_text("\n".join([*lines, lines[5]]), encoding="utf-8")
    with pytest.raises(Invalid, match="once too often"):
        Nab().run(nab, rescore=given)


def test_labels_do_not_reach_the_detector(nab: Path):
    one = read_series(nab)[0]
    alone = detect(one.times_s, one.values)
    told = [line.alarm for line in Nab().run(nab).lines if isinstance(line, Judged) and line.file == one.name]
    assert told == alone.alarm.tolist()


def test_labels_and_files_must_match(nab: Path, tmp_path: Path):
    series = read_series(nab)
    labels = json.loads((nab / "windows.json").read_text())
    assert set(read_windows(nab, series)) == {"cities/load.csv", "quiet/calm.csv"}
    (tmp_path / "windows.json").write_text(json.dumps({"quiet/calm.csv": []}))
    with pytest.raises(Invalid, match="there but not labelled"):
        read_windows(tmp_path, series)
    (tmp_path / "windows.json").write_text(json.dumps({**labels, "cities/lost.csv": []}))
    with pytest.raises(Invalid, match="labelled but absent"):
        read_windows(tmp_path, series)
    (tmp_path / "windows.json").write_text(json.dumps({**labels, "quiet/calm.csv": [["2026-03-02 00:00:01"] * 2]}))
    with pytest.raises(Invalid, match="at no row"):
        read_windows(tmp_path, series)


def test_rolling_z_compares_with_the_values_before():
    values = [1.0, 2.0] * 200 + [9.0]
    assert np.flatnonzero(rolling_z(values)).tolist()[-1] == 400
    assert not rolling_z([5.0] * 400).any()
