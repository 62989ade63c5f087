"""`opsmesh certificates`: what is asked of whom, and what is shown."""

import json

import pytest
from typer.testing import CliRunner

from cli import render, verbs
from cli.groups import certificates
from cli.main import app

ANSWER = {
    "environment": "prod", "tenant": "acme", "at": "2026-03-10T09:00:00Z",
    "certificates": [{
        "certificate": "shop-tls", "service": "shop", "tenant": "acme", "region": "west",
        "hostname": "shop.example.net",
        "identity": "spiffe://prod/acme/shop", "issuer": "platform-ca", "installed": None, "served": None,
        "wrong": ["unreachable"], "renewal_at": None,
    }],
    "secrets": [{
        "secret": "shop-at-db", "service": "shop", "tenant": "acme", "opens": "db", "logins": [], "in_use": "shop-a",
        "accepted": False, "renewal_at": None,
    }],
}  # fmt: skip
PLACE = ["--environment", "prod", "--json"]
runner = CliRunner()


@pytest.fixture
def asked(monkeypatch):
    made = []

    def call(method, path, **more):
        made.append((method, path, more))
        return ANSWER if method == "GET" else {"card": {}, "record": {"state": "PROPOSED"}}

    monkeypatch.setattr(certificates, "call", call)
    monkeypatch.setattr(verbs, "call", call)
    monkeypatch.setattr(render.console, "width", 400)
    return made


def test_list_says_of_each_how_it_is(asked):
    told = runner.invoke(app, ["certificates", "list", "prod", "--tenant", "acme"])
    assert told.exit_code == 0
    lines = {line.split()[0]: line for line in told.stdout.splitlines() if line.split()}
    assert "unreachable" in lines["shop-tls"]
    assert "refused" in lines["shop-at-db"]
    assert asked == [("GET", "/runtime/certificates/prod", {"headers": {"Opsmesh-Tenant": "acme"}})]


def test_list_prints_the_answer_as_json(asked):
    assert json.loads(runner.invoke(app, ["certificates", "list", "prod", "--json"]).stdout) == ANSWER


@pytest.mark.parametrize(
    ("words", "kind", "tenant", "target"),
    [
        (["rotate", "shop-tls", "--tenant", "acme"], "certificate.rotate", "acme", ("certificate", "shop-tls")),
        (["rotate", "shop-at-db", "--secret", "--tenant", "acme"], "secret.rotate", "acme", ("secret", "shop-at-db")),
        (["reissue", "--issuer", "platform-ca"], "issuer.distrust", "platform", ("issuer", "platform-ca")),
    ],
)
def test_each_verb_proposes_its_command(asked, words, kind, tenant, target):
    told = runner.invoke(app, ["certificates", *words, *PLACE, "--why", "its key was copied"])
    assert told.exit_code == 0, told.output
    ((method, path, more),) = asked
    said, (what, name) = more["body"], target
    assert (method, path) == ("POST", "/v1/commands")
    assert (said["kind"], said["tenant"], said["environment"]) == (kind, tenant, "prod")
    assert (said["arguments"], said["target"]) == ({what: name}, {"kind": what, "id": name})
    assert said["rationale"] == "its key was copied"
