"""One door: each write of the runtime API, called directly over the composed mesh, becomes a command, no effect."""

import asyncio
from pathlib import Path

import httpx
import pytest

from domain.command_kinds import CommandKind
from domain.commands import State
from domain.ids import PrincipalId
from evals.crash_cases import APPROVER, PROPOSER, SERVICE, TENANT
from mesh.serving import local_client
from runtime.api import writes
from tests.support.composed import Composed, composed

PLACE = "/runtime/environments/prod"
VERSION = {"op": "set", "path": ["services", SERVICE, "version"], "value": "v1.0.0"}
TIMEOUT = {"op": "set", "path": ["services", SERVICE, "config", "timeout_ms"], "value": "2500"}
REPLICAS = {"op": "set", "path": ["services", SERVICE, "cpu_millicores"], "value": 700}
TICKET = {"owner_team": "cinder-core", "title": "t", "cause": "c", "missing_action": "m"}
RESTART = {"service": SERVICE, "reason": "hung"}
WRITES: tuple[tuple[str, str, dict, CommandKind], ...] = (
    ("PATCH", "/desired-state", {"patches": [VERSION]}, "service.rollback"),
    ("PATCH", "/desired-state", {"patches": [TIMEOUT]}, "service.configure"),
    ("PATCH", "/desired-state", {"patches": [REPLICAS]}, "service.resize"),
    ("POST", "/operations", {"kind": "service.restart", "arguments": RESTART}, "service.restart"),
    ("POST", "/operations", {"kind": "ticket.open", "arguments": TICKET}, "ticket.open"),
)


def test_every_write_of_the_api_is_tried_here():
    routes = {(m, r.path.removeprefix(writes.router.prefix)) for r in writes.router.routes for m in r.methods}
    assert routes == {(method, path) for method, path, _, _ in WRITES}


async def _send(bench: Composed, method: str, path: str, body: dict, **headers: str) -> httpx.Response:
    token = bench.mesh.principals.issue(PROPOSER.id, by=PrincipalId("test")).token
    headers = {"Authorization": f"Bearer {token}", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return await bench.mesh.runtime.http.request(method, f"{PLACE}{path}", json=body, headers=headers)


@pytest.mark.parametrize(("method", "path", "body", "kind"), WRITES)
def test_a_direct_write_becomes_a_command_without_effect(
    tmp_path: Path, method: str, path: str, body: dict, kind: CommandKind
):
    async def play() -> None:
        async with composed(tmp_path) as bench:
            first = await _send(bench, method, path, body, Idempotency_Key="direct-1")
            again = await _send(bench, method, path, body, Idempotency_Key="direct-1")
            assert (first.status_code, again.status_code) == (202, 202)
            assert first.headers["Location"] == again.headers["Location"]
            assert first.json()["effects"] == 0
            (record,) = bench.mesh.governed.commands.list(TENANT)
            assert record.command.kind == kind
            assert record.command.proposer == PROPOSER.id
            assert record.state in {State.PROPOSED, State.AWAITING_APPROVAL, State.APPROVED}
            token = bench.mesh.principals.issue(APPROVER.id, by=PrincipalId("test")).token
            async with local_client(bench.mesh, token) as client:
                answer = await client.get(first.headers["Location"])
            assert answer.status_code == 200
            assert record.command.id in answer.text
            assert bench.effects() == 0

    asyncio.run(play())


@pytest.mark.parametrize("grant", ["not-a-token", "a.b.c", "eyJhbGciOiJub25lIn0.e30."])
def test_a_grant_nobody_signed_opens_nothing(tmp_path: Path, grant: str):
    async def play() -> None:
        async with composed(tmp_path) as bench:
            for method, path, body, _ in WRITES:
                answer = await _send(bench, method, path, body, Idempotency_Key="forged", Opsmesh_Grant=grant)
                assert answer.status_code == 403, answer.text
                assert answer.headers["content-type"] == "application/problem+json"
            assert bench.mesh.governed.commands.list("*") == ()
            assert bench.effects() == 0

    asyncio.run(play())
