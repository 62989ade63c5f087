"""The server answers for the embedded runtime below /runtime: same tokens, same tenants, the runtime's own errors."""

from datetime import timedelta

import httpx
import pytest

from domain.ids import PrincipalId, TenantId
from domain.principals import Principal, RoleGrant
from grounding.vectors import MemoryVectors
from mesh.internal import MESH
from mesh.serving import LOCAL_URL, application
from mesh.simulation import Choices, open_simulated
from runtime.simulator.demo import demo_world

ENVIRONMENT = "/runtime/environments/prod"


@pytest.fixture
async def server(tmp_path):
    choices = Choices(vectors=MemoryVectors(), warm_up=timedelta(minutes=10), loops=())
    simulated = await open_simulated(tmp_path, demo_world(), 7, choices)
    ann = Principal(
        id=PrincipalId("person:ann"), kind="person", name="Ann",
        grants=(RoleGrant(role="viewer", tenant=TenantId("acme-retail")),),
    )  # fmt: skip
    token = simulated.mesh.principals.add(ann, by=MESH.id).token
    transport = httpx.ASGITransport(app=application(simulated.mesh))
    async with httpx.AsyncClient(transport=transport, base_url=LOCAL_URL) as client:
        client.headers["Authorization"] = f"Bearer {token}"
        yield client
    await simulated.mesh.close()


async def test_a_tenants_token_opens_its_own_part_of_the_runtime(server):
    answer = await server.get(f"{ENVIRONMENT}/services")
    assert answer.status_code == 200
    assert {one["tenant"] for one in answer.json()} <= {"acme-retail", "platform"}


async def test_without_a_token_nothing_is_told(server):
    del server.headers["Authorization"]
    assert (await server.get(f"{ENVIRONMENT}/services")).status_code == 401


async def test_a_write_without_a_grant_is_a_proposal_only(server):
    body = {"kind": "service.restart", "arguments": {"service": "checkout"}}
    answer = await server.post(f"{ENVIRONMENT}/operations", json=body)
    assert (answer.status_code, answer.json()["reason"]) == (403, "role_missing")


async def test_both_applications_keep_their_own_errors(server):
    ours, theirs = await server.get("/v1/nothing"), await server.get("/runtime/nothing")
    assert (ours.status_code, theirs.status_code) == (404, 404)
    assert theirs.headers["content-type"] == "application/problem+json"
