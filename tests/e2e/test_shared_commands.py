"""A command of the platform that touches several tenants, seen from each: their own part on every surface, and no more.

Over HTTP against a simulated mesh, with the real failover, node pool and restart of the demo world.
"""

import asyncio
import json
from datetime import timedelta

import httpx
import pytest
from typer.testing import CliRunner

from cli import verbs
from cli.main import app as cli
from domain.commands import Proposal, State
from domain.errors import NotFound
from domain.ids import PLATFORM, CommandId, EnvironmentId, PrincipalId, TenantId
from domain.plans import PlanWindow
from domain.principals import Principal, RoleGrant
from domain.topology import EntityRef
from governance.ballots import Answer
from grounding.vectors import MemoryVectors
from mesh.internal import MESH
from mesh.serving import LOCAL_URL, application
from mesh.simulation import Choices, open_simulated
from runtime.simulator.demo import NORTH, WEST, demo_world

PROD = EnvironmentId("prod")
ACME, BOREALIS, CINDER = (TenantId(name) for name in ("acme-retail", "borealis-media", "cinder-logistics"))
TOLD = {
    ACME: ("acme", "storefront", "checkout", "basket", "pricing", "recommendations", "orders-db"),
    BOREALIS: ("borealis", "player-api", "catalogue", "transcode", "media-db"),
    CINDER: ("cinder", "tracking-api", "routing", "fleet-ingest", "fleet-db"),
}
"""What names each tenant or a thing of theirs."""
ROLES = ("viewer", "proposer", "approver", "operator", "auditor", "admin")
NO_ID = "0" * 26
SECRET = "as person:pat heard from borealis-media, whose media-db is full; acme-retail pays"
TRACE = f"00-{'c' * 32}-{'d' * 16}-01"
FAILOVER = ("region.failover", {"from_region": WEST, "to_region": NORTH}, f"region/{WEST}")
POOL = ("node_pool.scale", {"node_pool": f"shared-{WEST}", "node_count": 12}, f"node_pool/shared-{WEST}")
IDENTITY = ("service.restart", {"service": "identity"}, "service/identity")
CHECKOUT = ("service.restart", {"service": "checkout"}, "service/checkout")


def proposal(kind, arguments, target):
    return Proposal(
        kind=kind, arguments=arguments, target=EntityRef.parse(target), tenant=PLATFORM, environment=PROD,
        proposer=PrincipalId("person:pat"), rationale=SECRET, trace=TRACE,
    )  # fmt: skip


class Stand:
    """Three tenants, each with every role at home, and what the platform proposed."""

    def __init__(self, home):
        choices = Choices(vectors=MemoryVectors(), warm_up=timedelta(minutes=30), loops=())
        self.simulated = asyncio.run(open_simulated(home, demo_world(), 7, choices))
        self.mesh, self.world = self.simulated.mesh, self.simulated.world
        self.app = application(self.mesh)
        self.tokens = {tenant: self.person(f"person:of-{tenant}", tenant)[1] for tenant in TOLD}
        self.person("person:pat", PLATFORM)
        self.approver, self.tokens[PLATFORM] = self.person("person:quinn", PLATFORM)
        asyncio.run(self.fill())

    def person(self, name, tenant):
        grants = tuple(RoleGrant(role=role, tenant=tenant) for role in ROLES)
        who = Principal(id=PrincipalId(name), kind="person", name=name, grants=grants)
        return who, self.mesh.principals.add(who, by=MESH.id).token

    async def fill(self):
        submit = self.mesh.submission.submit
        self.failover, self.pool, self.identity = [await submit(proposal(*one)) for one in (FAILOVER, POOL, IDENTITY)]
        done = await submit(proposal(*CHECKOUT))
        answer = Answer(PLATFORM, done.command.id, done.digest, self.approver, "approve", "api", SECRET)
        self.mesh.governed.approvals.decide(answer)
        await self.simulated.simulation.run(self.world.now + timedelta(minutes=20))
        self.done = self.mesh.governed.commands.get(PLATFORM, done.command.id)
        window = PlanWindow(start=self.world.now, end=self.world.now + timedelta(hours=2))
        both = [proposal("service.restart", {"service": name}, f"service/{name}") for name in ("basket", "catalogue")]
        self.plan = await self.mesh.loop.planning.propose(both, window=window)

    def say(self, tenant, method, path, body=None):
        async def said():
            transport = httpx.ASGITransport(app=self.app)
            headers = {"Authorization": f"Bearer {self.tokens[tenant]}"}
            async with httpx.AsyncClient(transport=transport, base_url=LOCAL_URL, headers=headers) as http:
                return await http.request(method, path, json=body)

        return asyncio.run(said())

    def part(self, tenant, record):
        answer = self.say(tenant, "GET", f"/v1/shared-commands/{record.command.id}")
        assert answer.status_code == 200, answer.text
        return answer


@pytest.fixture(scope="module")
def stand(tmp_path_factory):
    made = Stand(tmp_path_factory.mktemp("mesh"))
    yield made
    asyncio.run(made.mesh.close())


def strange(tenant, text):
    """What is said in the text that is another tenant's, or about who proposed and why."""
    others = [name for other, names in TOLD.items() if other != tenant for name in names]
    return [name for name in (*others, "person:", "heard", "pays") if name in text]


def test_the_commands_touch_them_all(stand):
    for record in (stand.failover, stand.pool, stand.identity):
        assert set(TOLD) <= set(record.command.affected.tenants)
        assert record.state is State.AWAITING_APPROVAL, record.reason
    assert stand.done.state is State.SUCCEEDED, stand.done.reason


@pytest.mark.parametrize("tenant", TOLD)
def test_each_sees_its_own_part_of_a_failover(stand, tenant):
    answer = stand.part(tenant, stand.failover)
    assert strange(tenant, answer.text) == []
    said = answer.json()
    stores = {ACME: "data_store/orders-db", BOREALIS: "data_store/media-db", CINDER: "data_store/fleet-db"}
    changes = {(c["address"], c["path"], c["before"], c["after"]) for c in said["preview"]}
    assert (stores[tenant], "promote", WEST, NORTH) in changes
    assert {c["address"] for c in said["preview"]} <= {f"tenant/{tenant}", stores[tenant]}
    assert (said["kind"], said["state"], said["effect"]) == ("region.failover", "AWAITING_APPROVAL", "ask")
    assert (said["tenants"], said["proposer"], said["card"]["actions"]) == ([tenant], "platform", [])


@pytest.mark.parametrize("tenant", TOLD)
def test_of_what_is_nobodys_own_only_that_it_is_there_is_seen(stand, tenant):
    for record in (stand.pool, stand.identity):
        answer = stand.part(tenant, record)
        assert strange(tenant, answer.text) == []
        assert (answer.json()["preview"], answer.json()["resources"]) == ([], [])
        assert "identity" not in answer.text


def test_how_it_went_is_seen_of_ones_own_things(stand):
    said = stand.part(ACME, stand.done).json()
    assert (said["state"], said["resources"]) == ("SUCCEEDED", ["service/checkout"])
    assert said["verdict"] is not None
    sections = {one["title"]: one["lines"] for one in said["card"]["sections"]}
    checks = next(lines for title, lines in sections.items() if title.startswith("Verification"))
    assert checks
    assert {line.split()[1] for line in checks} <= {f"service/{name}" for name in TOLD[ACME]}


@pytest.mark.parametrize("tenant", TOLD)
def test_the_list_holds_the_parts(stand, tenant):
    rows = stand.say(tenant, "GET", "/v1/shared-commands")
    assert strange(tenant, rows.text) == []
    seen = {row["id"] for row in rows.json()}
    assert {r.command.id for r in (stand.failover, stand.pool, stand.identity)} <= seen
    assert (stand.done.command.id in seen) == (tenant == ACME)
    waiting = stand.say(tenant, "GET", "/v1/shared-commands?state=AWAITING_APPROVAL&limit=2").json()
    assert [row["state"] for row in waiting] == ["AWAITING_APPROVAL"] * 2


def test_whom_it_does_not_touch_is_answered_as_for_a_missing_id(stand):
    for path in ("/v1/shared-commands", "/v1/commands", "/v1/traces"):
        there = stand.say(BOREALIS, "GET", f"{path}/{stand.done.command.id}")
        missing = stand.say(BOREALIS, "GET", f"{path}/{NO_ID}")
        assert (there.status_code, there.content) == (404, missing.content)


@pytest.mark.parametrize("verb", ["approve", "reject", "cancel", "narrow"])
def test_nobody_touched_answers_it_or_reads_the_whole(stand, verb):
    body = {"digest": stand.failover.digest} | ({"arguments": {"tenants": [ACME]}} if verb == "narrow" else {})
    for method, end, said in (("POST", f"/{verb}", body), ("GET", "", None)):
        there = stand.say(ACME, method, f"/v1/commands/{stand.failover.command.id}{end}", said)
        missing = stand.say(ACME, method, f"/v1/commands/{NO_ID}{end}", said)
        assert (there.status_code, there.content) == (404, missing.content)
    assert stand.mesh.governed.commands.get(PLATFORM, stand.failover.command.id).state is State.AWAITING_APPROVAL
    assert stand.failover.command.id not in stand.say(ACME, "GET", "/v1/commands").text


def test_the_platform_reads_the_whole(stand):
    view = stand.say(PLATFORM, "GET", f"/v1/commands/{stand.failover.command.id}")
    assert view.status_code == 200
    assert SECRET in view.text


def test_a_trace_tells_that_it_went_its_way(stand):
    for subject in (stand.done.command.id, "c" * 32):
        answer = stand.say(ACME, "GET", f"/v1/traces/{subject}")
        assert strange(ACME, answer.text) == []
        lines = [line for line in answer.json()["lines"] if line["ref"] == stand.done.command.id]
        assert [line["what"] for line in lines][:3] == ["proposed", "policy asks people", "allowed"]
        assert {(line["by"], line["tenant"], line["subject"]) for line in lines} == {("platform", ACME, "")}


def test_of_a_plan_the_touched_see_their_commands_and_not_the_plan(stand):
    for tenant, mine in ((ACME, 0), (BOREALIS, 1)):
        there = stand.say(tenant, "GET", f"/v1/plans/{stand.plan.plan.id}")
        assert (there.status_code, there.content) == (404, stand.say(tenant, "GET", f"/v1/plans/{NO_ID}").content)
        answer = stand.part(tenant, stand.plan.members[mine])
        assert strange(tenant, answer.text) == []
        assert "a change plan of the platform" in answer.text
        assert stand.plan.plan.id not in answer.text
    other = stand.plan.members[1].command.id
    assert stand.say(ACME, "GET", f"/v1/shared-commands/{other}").status_code == 404


def test_a_subscriber_is_told_nothing_of_it(stand):
    stand.mesh.subscriptions.feed.publish()
    for tenant in TOLD:
        told = stand.mesh.subscriptions.feed.after(tenant, 0, ("opsmesh.",), limit=1000)
        assert [e for e in told if strange(tenant, e.event.model_dump_json())] == []
        assert stand.failover.command.id not in {e.event.subject for e in told}
    whole = stand.mesh.subscriptions.feed.after(PLATFORM, 0, ("opsmesh.command",), limit=1000)
    assert stand.failover.command.id in {e.event.subject for e in whole}


def test_the_command_line_lists_and_shows_the_part(stand, monkeypatch):
    def call(method, path, *, params=None, **_more):
        answer = stand.say(ACME, method, str(httpx.URL(path, params=params or {})))
        if answer.status_code == 404:
            raise NotFound("no such thing")
        return answer.json()

    monkeypatch.setattr(verbs, "call", call)
    runner = CliRunner()
    rows = json.loads(runner.invoke(cli, ["commands", "--shared", "--tenant", ACME, "--json"]).stdout)
    assert CommandId(stand.failover.command.id) in {row["id"] for row in rows}
    assert json.loads(runner.invoke(cli, ["commands", "--shared", "--tenant", BOREALIS, "--json"]).stdout) == []
    for verb in ("show", "why"):
        shown = runner.invoke(cli, [verb, stand.failover.command.id])
        assert shown.exit_code == 0, shown.output
        assert "region.failover" in shown.stdout
        assert strange(ACME, shown.stdout) == []
