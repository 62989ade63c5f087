"""`opsmesh compliance show`: verdicts of both states, what fails with its remedy, what is waived; exit 1 when red."""

import json
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from cli import compliance, render
from cli.main import app
from domain.changes import Patch
from domain.compliance import ComplianceFinding, CompliancePosture, ControlPosture, Fact, StatePosture, Waiver

runner = CliRunner()
AT = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)
DIGEST = "sha256:" + "a" * 64


def posture(status, **found):
    finding = ComplianceFinding(
        control="exposure", resource="service/shop", tenant="acme", status=status,
        evidence=(Fact(path="ingress_from.0", value="0.0.0.0/0"),), **found,
    )  # fmt: skip
    passed = "satisfied" if finding.passed else status
    control = ControlPosture(
        control="exposure", title="closed", kind="service", digest=DIGEST, status=passed, findings=(finding,)
    )
    states = tuple(
        StatePosture(scope=scope, state=DIGEST, status=passed, tenants=(), controls=(control,))
        for scope in ("desired", "live")
    )
    return CompliancePosture(environment="prod", tenant="acme", at=AT, policy=DIGEST, states=states)


@pytest.fixture
def answers(monkeypatch):
    made, held = [], {}

    def call(method, path, **more):
        made.append((method, path, more))
        return held["answer"]

    monkeypatch.setattr(compliance, "call", call)
    monkeypatch.setattr(render.console, "width", 400)
    return made, held


def test_what_fails_is_shown_with_evidence_and_remedy_and_exits_with_one(answers):
    made, held = answers
    remedy = (Patch(op="set", path=("services", "shop", "ingress_from"), value=["10.0.0.0/8"]),)
    held["answer"] = posture("not_satisfied", remedy=remedy).model_dump(mode="json")
    told = runner.invoke(app, ["compliance", "show", "prod", "--tenant", "acme"])
    assert told.exit_code == 1
    assert 'ingress_from.0 = "0.0.0.0/0"' in told.stdout
    assert 'ingress_from = ["10.0.0.0/8"]' in told.stdout
    assert DIGEST in told.stdout
    more = {"params": {"format": "posture"}, "headers": {"Opsmesh-Tenant": "acme"}}
    assert made == [("GET", "/runtime/compliance/prod", more)]


def test_what_is_waived_says_until_when_and_by_whom_and_exits_with_zero(answers):
    _, held = answers
    waiver = Waiver(
        tenant="acme", control="exposure", resource="service/shop", reason="r", by="ann", expires_at=AT
    )  # fmt: skip
    held["answer"] = posture("not_satisfied", waiver=waiver).model_dump(mode="json")
    told = runner.invoke(app, ["compliance", "show", "prod"])
    assert told.exit_code == 0
    assert "waived until 2026-03-10 09:00 by ann" in told.stdout


def test_json_and_oscal_are_the_answers_themselves(answers):
    made, held = answers
    held["answer"] = posture("satisfied").model_dump(mode="json")
    told = runner.invoke(app, ["compliance", "show", "prod", "--json"])
    assert (told.exit_code, json.loads(told.stdout)) == (0, held["answer"])
    held["answer"] = {"assessment-results": {}}
    told = runner.invoke(app, ["compliance", "show", "prod", "--oscal"])
    assert json.loads(told.stdout) == held["answer"]
    assert made[-1][2]["params"] == {"format": "oscal"}
