"""The verbs of packs: keys, sources and signing on this machine, and who is upgraded when."""

import json

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from typer.testing import CliRunner

from cli import packs
from cli.main import app
from domain.errors import Invalid, Refused
from tests.support.packs import key_of

KEY = key_of(3)
ASKED = {"pack": "edge", "version": "2.0.0", "parameters": {}}


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("OPSMESH_HOME", str(tmp_path / "home"))
    (tmp_path / "key.pem").write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (tmp_path / "key.pub").write_bytes(KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))

    def call(*words):
        return CliRunner().invoke(app, ["packs", *map(str, words)])

    return call


def test_from_a_new_source_to_a_verified_pack(run, tmp_path):
    assert run("new", "edge", "--kind", "add_on", "--out", tmp_path / "src").exit_code == 0
    assert run("publish", tmp_path / "src", "--key", tmp_path / "key.pem").exit_code == 0
    assert isinstance(run("verify", "edge", "--tenant", "acme").exception, Refused)
    run("trust", tmp_path / "key.pub", "--tenant", "acme", "--name", "us")
    good = run("verify", "edge", "--tenant", "acme", "--json")
    assert (good.exit_code, json.loads(good.output)["failures"]) == (0, [])
    keys = json.loads(run("trust", "--tenant", "acme", "--json").output)
    assert [(k["name"], k["state"]) for k in keys] == [("us", "trusted")]
    run("trust", "us", "--tenant", "acme", "--revoke")
    assert isinstance(run("verify", "edge", "--tenant", "acme").exception, Refused)


def row(tenant, state, version="2.0.0"):
    command = {
        "tenant": tenant, "environment": "prod", "kind": "pack.upgrade",
        "arguments": {"pack": "edge", "version": version},
    }  # fmt: skip
    return {"command": command, "state": state}


@pytest.mark.parametrize(
    ("rows", "proposed", "code"),
    [
        ([], ["a"], 3),
        ([row("a", "SUCCEEDED", version="1.9.0")], ["a"], 3),
        ([row("a", "AWAITING_APPROVAL")], [], 3),
        ([row("a", "VERIFYING")], [], 3),
        ([row("a", "SUCCEEDED")], ["b", "c"], 0),
        ([row("b", "APPROVED"), row("a", "SUCCEEDED")], ["c"], 0),
    ],
)
def test_the_others_wait_for_the_canarys_success(monkeypatch, rows, proposed, code):
    sent = []

    def call(method, _path, *, body=None, **_):
        if method == "GET":
            return rows
        sent.append(body["tenant"])
        return {}

    monkeypatch.setattr(packs, "call", call)
    assert packs.upgrade_by_canary(ASKED, "a", ["b", "c"], "prod", as_json=True) == code
    assert sent == proposed


@pytest.mark.parametrize("state", ["UNDONE", "REJECTED", "FAILED", "REGRESSED"])
def test_a_canary_that_ended_otherwise_stops_the_rest(monkeypatch, state):
    monkeypatch.setattr(packs, "call", lambda *_, **__: [row("a", state)])
    with pytest.raises(Invalid, match="stay as they are"):
        packs.upgrade_by_canary(ASKED, "a", ["b"], "prod", as_json=True)
    with pytest.raises(Invalid, match="version"):
        packs.upgrade_by_canary({"pack": "edge", "version": None}, "a", ["b"], "prod", as_json=True)
