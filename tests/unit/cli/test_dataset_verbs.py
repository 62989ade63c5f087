"""`opsmesh evals dataset` and `datasets`: pure JSON, predictions written and scored again, exit codes that say no."""

import json

import pytest
from typer.testing import CliRunner

from cli import render
from cli.main import app

POD = "kind: Pod\nspec: {containers: [{name: c, image: i}]}\n"
runner = CliRunner()


@pytest.fixture
def data(tmp_path):
    for place in ("pass/base.yaml", "fail/privileged0.yaml"):
        file = tmp_path / "podsecurity" / "baseline" / "v1.37" / place
        file.parent.mkdir(parents=True)
        file.write_text(POD)
    return tmp_path


def test_one_set_prints_json_and_nothing_else_and_writes_predictions(data, tmp_path):
    file = tmp_path / "p.jsonl"
    told = runner.invoke(
        app, ["evals", "dataset", "podsecurity", str(data / "podsecurity"), "--json", "--predictions", str(file)]
    )

    assert told.exit_code == 0
    assert json.loads(told.stdout)["cases"] == 2
    assert [json.loads(line)["allowed"] for line in file.read_text().splitlines()] == [True, True]

    file.write_text(file.read_text().replace("true", "false", 1))
    again = runner.invoke(
        app, ["evals", "dataset", "podsecurity", str(data / "podsecurity"), "--json", "--rescore", str(file)]
    )
    report = json.loads(again.stdout)
    assert report["source"] == "predictions file"
    assert report["rows"][0]["value"] == 1.0


def test_one_set_prints_ours_beside_floor_and_record(data, monkeypatch):
    monkeypatch.setattr(render.console, "width", 200)  # fixed when the console is made, whoever imports it first
    told = runner.invoke(app, ["evals", "dataset", "podsecurity", str(data / "podsecurity")])

    assert "always refuse" in told.stdout
    assert "MISSED" in told.stdout


def test_the_card_exits_1_when_a_target_is_missed_or_a_set_is_missing(data):
    told = runner.invoke(app, ["evals", "datasets", str(data), "--only", "podsecurity", "--only", "loghub", "--json"])

    assert told.exit_code == 1
    card = json.loads(told.stdout)
    assert [(one["dataset"], one["status"], one["met"]) for one in card["entries"]] == [
        ("podsecurity", "scored", False),
        ("loghub", "missing", False),
    ]
    shown = runner.invoke(app, ["evals", "datasets", str(data), "--only", "loghub"])
    assert "MISSING" in shown.stdout
