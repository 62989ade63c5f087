"""`opsmesh release`: what is asked of whom, and what is shown."""

import json

import pytest
from typer.testing import CliRunner

from cli import releases, verbs
from cli.main import app

ANSWER = {
    "environment": "prod",
    "services": [
        {"service": "cart", "version": "v1", "policy": {}, "split": None, "release": None},
        {
            "service": "shop", "version": "v1", "policy": {"release": {"candidate": "v2"}},
            "split": {"version": "v2", "share": 0.05},
            "release": {
                "service": "shop", "plan": {"candidate": "v2"}, "former": "v1", "phase": "running", "step": 0,
                "since": "2026-03-10T09:00:00Z", "looks": 1, "written": {"version": "v2", "share": 0.05},
                "history": [{
                    "at": "2026-03-10T09:01:00Z", "number": 1, "share_written": 0.05, "share_observed": 0.048,
                    "requests": 9000, "action": "continue",
                }],
            },
        },
    ],
}  # fmt: skip


@pytest.fixture
def asked(monkeypatch):
    made = []

    def call(method, path, **more):
        made.append((method, path, more))
        return ANSWER if method == "GET" else {"card": {}, "record": {"state": "PROPOSED"}}

    monkeypatch.setattr(releases, "call", call)
    monkeypatch.setattr(verbs, "call", call)
    return made


def test_show_lists_services_with_a_release(asked):
    result = CliRunner().invoke(app, ["release", "show", "--tenant", "acme"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert "shop" in result.output
    assert "cart" not in result.output
    assert asked == [("GET", "/runtime/traffic-policies/prod", {"headers": {"Opsmesh-Tenant": "acme"}})]


def test_show_prints_the_answer_as_json(asked):
    result = CliRunner().invoke(app, ["release", "show", "--json"])
    assert json.loads(result.output) == ANSWER


@pytest.mark.parametrize("verb", ["pause", "resume", "abort", "promote"])
def test_each_verb_proposes_its_command(asked, verb):
    result = CliRunner().invoke(app, ["release", verb, "shop", "--tenant", "acme", "--json"])
    assert result.exit_code == 0
    ((method, path, more),) = asked
    assert (method, path) == ("POST", "/v1/commands")
    said = more["body"]
    assert (said["kind"], said["arguments"], said["target"]["id"]) == (f"release.{verb}", {"service": "shop"}, "shop")
