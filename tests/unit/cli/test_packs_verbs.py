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


TENANTS = ["a", "b", "c"]


def command(state, version="2.0.0", tenants=TENANTS):
    arguments = {"pack": "edge", "version": version, "tenants": tenants, "bake_s": 900}
    said = {"tenant": "platform", "environment": "prod", "kind": "pack.upgrade", "arguments": arguments}
    return {"command": said, "state": state}


def rollout(phase, *phases, version="2.0.0"):
    parts = [{"tenant": t, "phase": p, "former": "1.0.0"} for t, p in zip(TENANTS, phases, strict=True)]
    return {
        "operation": "op", "pack": "edge", "version": version, "bake_s": 900, "phase": phase, "detail": "",
        "parts": parts,
    }  # fmt: skip


def upgraded(monkeypatch, commands, rollouts, **options):
    """What was proposed, and the exit code."""
    sent = []

    def call(method, path, *, body=None, **_):
        if method == "GET":
            return rollouts if path.endswith("/rollouts") else commands
        sent.append(body)
        return {"record": {"state": "AWAITING_APPROVAL"}, "changes": [], "version": 1}

    monkeypatch.setattr(packs, "call", call)
    asked = {"bake_s": 900, "dry_run": False, "as_json": True} | options
    return sent, packs.upgrade_by_canary(ASKED, "a", ["b", "c"], "prod", **asked)


@pytest.mark.parametrize("commands", [[], [command("SUCCEEDED", version="1.9.0")], [command("DENIED", tenants=["b"])]])
def test_several_tenants_are_one_command_of_the_platform(monkeypatch, commands):
    sent, code = upgraded(monkeypatch, commands, [])
    [body] = sent
    assert (body["kind"], body["tenant"], body["arguments"]["tenants"], code) == (
        "pack.upgrade", "platform", TENANTS, 3,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("state", "rollouts", "code"),
    [
        ("AWAITING_APPROVAL", [], 3),
        ("REJECTED", [], 1),
        ("EXECUTED", [rollout("running", "baking", "waiting", "waiting")], 3),
        ("SUCCEEDED", [rollout("done", "upgraded", "upgraded", "held")], 0),
        ("UNDONE", [rollout("rolled_back", "rolled_back", "waiting", "waiting")], 1),
        ("AWAITING_APPROVAL", [rollout("done", "upgraded", "held", "held", version="1.9.0")], 3),
    ],
)
def test_the_same_call_again_shows_how_it_goes(monkeypatch, capsys, state, rollouts, code):
    assert upgraded(monkeypatch, [command(state)], rollouts) == ([], code)
    assert upgraded(monkeypatch, [command(state)], rollouts, as_json=False) == ([], code)
    assert capsys.readouterr().out


def test_a_preview_proposes_nothing_and_the_version_must_be_named(monkeypatch):
    sent, code = upgraded(monkeypatch, [], [], dry_run=True)
    assert (code, [set(body) for body in sent]) == (0, [{"kind", "arguments"}])
    for asked in ({"pack": "edge", "version": None}, ASKED | {"parameters": {"level": 1}}):
        with pytest.raises(Invalid, match="version"):
            packs.upgrade_by_canary(asked, "a", ["b"], "prod", bake_s=900, dry_run=False, as_json=True)
