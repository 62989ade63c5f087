"""A tenant's own command on a thing that others use: its answers name none of them, the platform's do."""

import asyncio
from datetime import timedelta

import httpx
import pytest

from domain.ids import PLATFORM, CommandId, PrincipalId
from domain.principals import READING_ROLES, Principal, RoleGrant
from grounding.vectors import MemoryVectors
from mesh.discretion import SOMEBODY, discreet
from mesh.internal import MESH
from mesh.serving import LOCAL_URL, application
from mesh.simulation import Choices, open_simulated
from runtime.simulator.generator import random_world

ROLES = ("viewer", "proposer", "approver", "operator", "auditor", "admin")
WORLD = random_world(0)


class Stand:
    def __init__(self, home):
        choices = Choices(vectors=MemoryVectors(), warm_up=timedelta(minutes=5), loops=())
        self.mesh = asyncio.run(open_simulated(home, WORLD, 0, choices)).mesh
        self.app = application(self.mesh)
        topology = asyncio.run(self.mesh.readers.runtime(PLATFORM).topology(WORLD.environment))
        self.service = next(
            s for s in topology.services if s.tenant != PLATFORM and set(s.used_by) - {s.tenant, PLATFORM}
        )
        self.others = {str(b.tenant) for b in WORLD.tenants} - {self.service.tenant, PLATFORM}
        self.tokens = {tenant: self.person(tenant) for tenant in (self.service.tenant, PLATFORM)}
        self.command = self.say(self.service.tenant, "POST", "/v1/commands", self.restart()).json()
        self.id = CommandId(self.command["record"]["command"]["id"])

    def person(self, tenant):
        grants = tuple(RoleGrant(role=role, tenant="*" if tenant == PLATFORM else tenant) for role in ROLES)
        who = Principal(id=PrincipalId(f"person:of-{tenant}"), kind="person", name="P", grants=grants)
        return self.mesh.principals.add(who, by=MESH.id).token

    def restart(self):
        return self.step() | {"tenant": self.service.tenant, "environment": WORLD.environment, "rationale": "t"}

    def step(self):
        name = self.service.id
        return {
            "kind": "service.restart", "arguments": {"service": name}, "target": {"kind": "service", "id": name},
        }  # fmt: skip

    def say(self, tenant, method, path, body=None):
        async def said():
            transport = httpx.ASGITransport(app=self.app)
            headers = {"Authorization": f"Bearer {self.tokens[tenant]}"}
            async with httpx.AsyncClient(transport=transport, base_url=LOCAL_URL, headers=headers) as http:
                return await http.request(method, path, json=body)

        answer = asyncio.run(said())
        assert answer.status_code in {200, 201, 202}, answer.text
        return answer


@pytest.fixture(scope="module")
def stand(tmp_path_factory):
    made = Stand(tmp_path_factory.mktemp("mesh"))
    yield made
    asyncio.run(made.mesh.close())


def named(stand, text):
    return [tenant for tenant in sorted(stand.others) if tenant in text]


def test_it_touches_somebody_else(stand):
    held = stand.mesh.governed.commands.get("*", stand.id)
    assert set(held.command.affected.tenants) & stand.others


def test_no_answer_to_the_owner_names_them(stand):
    owner = stand.service.tenant
    plan = {
        "tenant": owner, "environment": WORLD.environment, "rationale": "t", "commands": [stand.step()],
    }  # fmt: skip
    switch = {"scope": "tenant", "value": owner, "reason": "t"}
    asked = [
        ("POST", "/v1/commands?dryRun=true", stand.restart()), ("GET", "/v1/commands", None),
        ("GET", f"/v1/commands/{stand.id}", None), ("POST", "/v1/plans?dryRun=true", plan),
        ("POST", "/v1/plans", plan), ("GET", "/v1/plans", None), ("GET", "/v1/shared-commands", None),
        ("POST", "/v1/kill-switches", switch),
    ]  # fmt: skip
    assert named(stand, str(stand.command)) == []
    for method, path, body in asked:
        answer = stand.say(owner, method, path, body)
        assert named(stand, answer.text) == [], path
        if path == "/v1/plans" and method == "POST":
            one = stand.say(owner, "GET", f"/v1/plans/{answer.json()['record']['plan']['id']}")
            assert named(stand, one.text) == []


def test_the_platform_is_told_all_of_it(stand):
    assert named(stand, stand.say(PLATFORM, "GET", f"/v1/commands/{stand.id}").text)


def test_a_name_within_a_text_is_stood_for_and_a_longer_own_name_is_not(stand):
    held = stand.mesh.governed.commands.get("*", stand.id)
    other = next(t for t in held.command.affected.tenants if t in stand.others)
    text = f"{other} waits, {other}-like does not"
    told = discreet_reason(held, text, stand.service.tenant)
    assert told == f"{SOMEBODY} waits, {other}-like does not"


def discreet_reason(record, text, tenant):
    who = Principal(
        id=PrincipalId("person:r"), kind="person", name="R", grants=(RoleGrant(role="viewer", tenant=tenant),)
    )
    said = discreet(record.model_copy(update={"reason": text}), (record.command,), who.reach(READING_ROLES))
    return said.reason
