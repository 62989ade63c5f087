"""Loghub's loader and scorer on made-up logs in its layout."""

import csv

import pytest

from domain.errors import Invalid
from evals.datasets import run
from evals.datasets.loghub import grouping_accuracy, token_mask

EVENTS = {
    "E1": "took {n} ms for /var/part/{n}",
    "E2": "user number{n} opened a session",
    "E3": "connection is lost",
}
HEADERS = {"web": "2021-03-01 10:00:{n:02} INFO app.Server: ", "cron": "[Mar 03 10:00:{n:02} 2021] [notice] "}


@pytest.fixture
def logs(tmp_path):
    for system, header in HEADERS.items():
        folder = tmp_path / system
        folder.mkdir()
        events = [tuple(EVENTS)[n % 3] for n in range(60)]
        messages = [EVENTS[event].format(n=n) for n, event in enumerate(events)]
        raw = "".join(f"{header.format(n=n)}{message}\n" for n, message in enumerate(messages))
        (folder / f"{system}_2k.log").write_text(raw)
        with (folder / f"{system}_2k.log_structured.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["LineId", "Content", "EventId"])
            table.writerows(
                [n + 1, message, event] for n, (message, event) in enumerate(zip(messages, events, strict=True))
            )
    return tmp_path


def value(report, metric="grouping accuracy", part="mean", who="ours"):
    return next(row.value for row in report.rows if (row.metric, row.part, row.who) == (metric, part, who))


def test_raw_lines_are_grouped_by_event(logs):
    report = run("loghub", logs)

    assert report.cases == 120
    assert value(report) == 1.0
    assert value(report, part="web") == 1.0
    assert value(report, "grouping accuracy, message column") == 1.0
    assert value(report, who="floor") == pytest.approx(1.0)
    assert {(one.system, one.line) for one in report.lines} == {(s, n) for s in HEADERS for n in range(1, 61)}
    assert report.lines[0].template == "took <*> ms for <*>"


def test_labels_and_message_column_do_not_reach_the_templates(logs):
    honest = run("loghub", logs)
    table = logs / "web" / "web_2k.log_structured.csv"
    table.write_text("Content,EventId\n" + "x,E1\n" * 60)

    blind = run("loghub", logs)

    assert blind.lines == honest.lines
    assert value(blind, part="web") == 0.0


def test_given_templates_are_scored_and_must_be_complete(logs, tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text(run("loghub", logs).prediction_lines().replace("connection is lost", "took <*> ms for <*>"))

    assert value(run("loghub", logs, rescore=path)) == pytest.approx(1 / 3)
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
    with pytest.raises(Invalid, match="1 of 120 cases have no prediction"):
        run("loghub", logs, rescore=path)


def test_another_layout_is_invalid(logs, tmp_path):
    with pytest.raises(Invalid, match="below"):
        run("loghub", logs / "web")
    (logs / "web" / "web_2k.log").write_text("one line\n")
    with pytest.raises(Invalid, match="1 lines, but 60"):
        run("loghub", logs)
    (logs / "web" / "web_2k.log_structured.csv").unlink()
    with pytest.raises(Invalid, match="no readable"):
        run("loghub", logs)


def test_grouping_accuracy_asks_for_the_exact_set():
    assert grouping_accuracy([1, 1, 2, 3], "aabb") == 0.5
    assert grouping_accuracy([1, 1, 1, 1], "aabb") == 0.0
    assert grouping_accuracy([4, 4, 5, 5], "aabb") == 1.0


def test_the_floor_masks_words_with_digits():
    assert token_mask("took 5ms on node a") == "took <*> on node a"
