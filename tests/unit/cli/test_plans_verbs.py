"""`opsmesh plans propose`: what a file says is sent as it is, and a refusal says which command is wrong."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.views import PlanRequest
from cli import plans
from cli.main import app
from domain.errors import Invalid
from tests.unit.api.fakes import CARD

HOW_TO = Path(__file__).parents[3] / "docs/howto/approve-a-plan.md"
SHOWN = re.search(r"```yaml\n(.*?)```", HOW_TO.read_text(encoding="utf-8"), re.DOTALL)[1]


@pytest.fixture
def sent(monkeypatch):
    made = []

    def call(method, path, **more):
        made.append((method, path, more))
        return {"card": CARD.model_dump(mode="json")}

    monkeypatch.setattr(plans, "call", call)
    return made


def run(*words, said=None):
    return CliRunner().invoke(app, ["plans", "propose", *words], input=said)


def test_the_plan_of_the_how_to_is_one_that_the_api_takes(sent, tmp_path):
    (tmp_path / "plan.yaml").write_text(SHOWN)
    result = run(str(tmp_path / "plan.yaml"), "--dry-run", "--key", "k")
    assert result.exit_code == 0, result.output
    ((method, path, more),) = sent
    assert (method, path) == ("POST", "/v1/plans")
    assert (more["params"], more["headers"]) == ({"dryRun": "true"}, {"Idempotency-Key": "k"})
    request = PlanRequest.model_validate(more["body"])
    assert [step.kind for step in request.commands] == ["service.configure", "service.restart"]
    assert request.window is not None


def test_standard_input_in_json_and_a_written_instant_of_yaml_do_as_well(sent):
    body = {"tenant": "acme", "environment": "prod", "commands": [], "window": {"start": "2026-11-24T09:00:00+00:00"}}
    assert run("-", said=json.dumps(body, indent="\t")).exit_code == 0
    said = "tenant: acme\nenvironment: prod\ncommands: []\nwindow: {start: 2026-11-24T09:00:00Z}\n"
    assert run("-", "--json", said=said).exit_code == 0
    assert [more["body"] for _, _, more in sent] == [body, body]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("{", "line 1"), ("a: [", "line 1"), ("- a\n", "no plan"), ("a: .nan\n", "JSON"), ("a: !!set {b}\n", "JSON"),
        ("a: &x [*x]\n", "JSON"), ("a: !!python/object/apply:os.system [ls]\n", "tag"),
    ],
)  # fmt: skip
def test_what_is_no_plan_is_not_sent(sent, said, told):
    error = run("-", said=said).exception
    assert isinstance(error, Invalid)
    assert told in str(error)
    assert sent == []


def test_a_refusal_names_the_command_by_its_number(monkeypatch):
    def call(*_words, **_more):
        raise Invalid("the request is malformed\n  body.commands.1.arguments: no such argument", reason="invalid")

    monkeypatch.setattr(plans, "call", call)
    error = run("-", said="{}").exception
    assert isinstance(error, Invalid)
    assert "command 2: arguments: no such argument" in str(error)
