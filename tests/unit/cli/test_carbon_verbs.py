"""`opsmesh carbon propose`: the recommendation that is named goes to the door as it was shown, and nothing else."""

import json

import pytest
from typer.testing import CliRunner

from cli.groups import carbon
from cli.main import app

PATH = "/runtime/environments/prod/desired-state"


def recommended(lever, resource="service/report"):
    patch = {"op": "set", "path": ["services", "report", "schedule"], "value": {"on_hour_utc": 1, "off_hour_utc": 5}}
    return {
        "lever": lever, "tenant": "acme", "resource": resource, "saving_g_per_month": 1200.0, "why": ["w"],
        "path": PATH, "body": {"patches": [patch], "rationale": "r"},
    }  # fmt: skip


def report(*found):
    some = {"mean": 1.0, "low": 0.5, "high": 1.5}
    return {
        "environment": "prod", "tenant": "acme", "at": "2026-03-10T09:00:00Z",
        "window": {"start": "2026-03-09T09:00:00Z", "end": "2026-03-10T09:00:00Z"},
        "energy_kwh": some, "location_g": some, "market_g": None, "embodied_g": some, "requests": 1.0,
        "sci_g_per_request": some, "metered_share": 1.0, "read_share": 1.0, "rows": [], "grids": [],
        "assumptions": [], "recommendations": [one for one in found if one["lever"] != "time"],
        "shifts": [one for one in found if one["lever"] == "time"],
    }  # fmt: skip


@pytest.fixture
def asked(monkeypatch):
    made, told = [], [report(recommended("time"))]

    def call(method, path, **more):
        made.append((method, path, more))
        return told[0] if method == "GET" else {"status": "proposed", "location": "/v1/commands/c1", "effects": 0}

    monkeypatch.setattr(carbon, "call", call)
    return made, told


def test_what_was_shown_is_proposed(asked):
    result = CliRunner().invoke(app, ["carbon", "propose", "prod", "service/report", "--tenant", "acme"])
    assert result.exit_code == 0, result.output
    assert "/v1/commands/c1" in result.output
    method, path, more = asked[0][-1]
    assert (method, path, more["params"]) == ("PATCH", PATH, {})
    assert more["headers"] == {"Opsmesh-Tenant": "acme"}
    assert more["body"]["patches"][0]["value"] == {"on_hour_utc": 1, "off_hour_utc": 5}


def test_a_dry_run_says_so_to_the_door(asked):
    result = CliRunner().invoke(app, ["carbon", "propose", "prod", "service/report", "--dry-run", "--json"])
    assert json.loads(result.output)["status"] == "proposed"
    assert asked[0][-1][2]["params"] == {"dryRun": "true"}


@pytest.mark.parametrize("words", [["service/other"], ["service/report"]])
def test_what_is_not_recommended_or_not_told_apart_is_refused(asked, words):
    made, told = asked
    told[0] = report(recommended("time"), recommended("waste"))
    result = CliRunner().invoke(app, ["carbon", "propose", "prod", *words])
    assert result.exit_code != 0
    assert [method for method, *_ in made] == ["GET"]
    one = CliRunner().invoke(app, ["carbon", "propose", "prod", "service/report", "--lever", "waste"])
    assert one.exit_code == 0
