"""`opsmesh cost allocate`: JSON that adds up, a table that says the same, exit 1 when a line was left out."""

import json

import pytest
from typer.testing import CliRunner

from cli import render
from cli.main import app

HEAD = (
    "BillingAccountId,BillingPeriodStart,BillingPeriodEnd,ChargePeriodStart,ChargePeriodEnd,ChargeCategory,"
    "BillingCurrency,BilledCost,Tags\n"
)
ROW = (
    "a,2026-03-01T00:00:00Z,2026-04-01T00:00:00Z,2026-03-02T00:00:00Z,2026-03-03T00:00:00Z,Usage,USD,{cost},"
    '"{{""tenant"": ""{owner}"", ""team"": ""sea""}}"\n'
)
runner = CliRunner()


@pytest.fixture
def bill(tmp_path):
    file = tmp_path / "bill.csv"
    file.write_text(HEAD + ROW.format(cost="10.005", owner="acme") + ROW.format(cost="-0.50", owner="\\u001b]0;evil"))
    return file


def test_json_adds_up_and_exit_is_zero(bill):
    told = runner.invoke(app, ["cost", "allocate", str(bill), "--json", "--tag", "team"])

    assert told.exit_code == 0
    (cost,) = json.loads(told.stdout)["currencies"]
    assert [(one["owner"], one["total_cents"]) for one in cost["owners"]] == [("sea", 950)]


def test_a_late_bill_and_a_bad_line_are_told_and_exit_is_one(bill, tmp_path, monkeypatch):
    monkeypatch.setattr(render.console, "width", 400)
    late = tmp_path / "late.csv"
    late.write_text(HEAD + ROW.format(cost="12", owner="acme") + "bad\n")
    told = runner.invoke(app, ["cost", "allocate", str(bill), str(late)])

    assert told.exit_code == 1
    assert "10.005 becomes 12 USD" in told.stdout
    assert f"{late}:3 not counted: 1 fields where the header names 9" in told.stdout
    assert "\x1b]0;" not in told.stdout
    assert ["]0;evil", "-0.50", "0.00", "0.00", "-0.50"] in [line.split() for line in told.stdout.splitlines()]
    assert ["acme", "12.00", "0.00", "0.00", "12.00"] in [line.split() for line in told.stdout.splitlines()]


def test_a_missing_file_is_an_error(tmp_path):
    assert runner.invoke(app, ["cost", "allocate", str(tmp_path / "none.csv")]).exit_code != 0
