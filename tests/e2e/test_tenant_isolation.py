"""Every endpoint of both APIs tried with a crossed tenant: a stranger's answer is that for what does not exist.

One simulated mesh, two tenants with every role on their own tenant only, and real things of the owner's. A route that
has no row in the tables below fails.
"""

import asyncio
import re
from dataclasses import dataclass
from datetime import timedelta

import httpx
import pytest

from domain.base import digest_of
from domain.commands import Proposal
from domain.ids import EnvironmentId, PrincipalId, TenantId
from domain.incidents import Incident
from domain.plans import PlanWindow
from domain.principals import Principal, RoleGrant
from domain.topology import EntityRef
from evals.services.packs_place import trusting_market
from grounding.vectors import MemoryVectors
from mesh.internal import MESH
from mesh.serving import LOCAL_URL, application
from mesh.simulation import Choices, open_simulated
from runtime.documents import Place
from runtime.services.chaos.journal import Journal
from runtime.services.chaos.library import shipped
from runtime.services.chaos.records import RUNS, Run
from runtime.simulator.demo import demo_world
from storage.tables.knowledge import incidents as incident_rows

OWNER, STRANGER, PROD = TenantId("acme-retail"), TenantId("borealis-media"), EnvironmentId("prod")
MINE = ("acme", "storefront", "checkout", "basket", "orders-db")
THEIRS = ("borealis", "player-api", "transcode", "media-db")
ROLES = ("viewer", "proposer", "approver", "operator", "auditor", "admin")
ENV = "/runtime/environments/{environment}"
WHERE = "environment=prod"
EXPERIMENT = next(iter(shipped().values())).document
EXPERIMENT_BODY = {"environment": "prod", "id": "trial", "experiment": EXPERIMENT}
POLICY = {"region_weights": {"westeurope": 0.5, "northeurope": 0.5}}
CONSENT = {"faults": [], "services": [], "windows": [], "max_share": 0.0}


@dataclass(frozen=True)
class Crossed:
    """A thing named in the path, the query (`{thing}`), the body or, where `header`, as the acting tenant."""

    route: str
    thing: str
    """Key of what exists; `missing` has the same form and does not."""
    missing: str
    query: str = ""
    body: object = None
    header: bool = False


def tenant_of(route, query="", body=None):
    """The thing is the tenant itself, acted for by the header."""
    return Crossed(route, "tenant", "nobody-inc", query, body, header=True)


NO_ID = "0" * 26
DIGEST = {"digest": "{digest}"}
CROSSED: tuple[Crossed, ...] = (
    Crossed("GET /v1/commands/{command}", "command", NO_ID),
    Crossed("POST /v1/commands/{command}/narrow", "narrowed", NO_ID, body=DIGEST | {"arguments": {"reason": "hung"}}),
    Crossed("POST /v1/commands/{command}/reject", "rejected", NO_ID, body=DIGEST),
    Crossed("POST /v1/commands/{command}/cancel", "cancelled", NO_ID, body=DIGEST),
    Crossed("POST /v1/commands/{command}/approve", "command", NO_ID, body=DIGEST),
    Crossed(
        "POST /v1/commands", "tenant", "nobody-inc", query="dryRun=true",
        body={
            "kind": "service.restart", "arguments": {"service": "checkout"},
            "target": {"kind": "service", "id": "checkout"}, "tenant": "{thing}", "environment": "prod",
        },
    ),
    Crossed("GET /v1/incidents/{incident}", "incident", NO_ID),
    Crossed("GET /v1/plans/{plan}", "plan", NO_ID),
    Crossed("POST /v1/plans/{plan}/reject", "plan", NO_ID, body=DIGEST),
    Crossed("POST /v1/plans/{plan}/approve", "approved_plan", NO_ID, body=DIGEST),
    Crossed("GET /v1/traces/{subject}", "command", NO_ID),
    Crossed(
        "POST /v1/kill-switches", "tenant", "nobody-inc", body={"scope": "tenant", "value": "{thing}", "reason": "t"}
    ),
    Crossed("DELETE /v1/kill-switches/tenant/{value}", "tenant", "nobody-inc", query="reason=over"),
    Crossed("GET /v1/freezes", "tenant", "nobody-inc", query="tenant={thing}"),
    Crossed("POST /v1/freezes", "tenant", "nobody-inc", body={"tenant": "{thing}", "duration_s": 60, "reason": "t"}),
    Crossed("DELETE /v1/freezes/{freeze}", "freeze", NO_ID, query="tenant=acme-retail"),
    Crossed(
        "POST /v1/principals", "tenant", "nobody-inc",
        body={"id": "person:new", "kind": "person", "name": "N", "grants": [{"role": "viewer", "tenant": "{thing}"}]},
    ),
    Crossed(
        "PUT /v1/principals/{principal}/grants", "principal", "person:nobody",
        body={"grants": [{"role": "viewer", "tenant": "acme-retail"}]},
    ),
    Crossed("POST /v1/principals/{principal}/tokens", "principal", "person:nobody"),
    Crossed("DELETE /v1/principals/{principal}", "principal", "person:nobody"),
    Crossed(
        "POST /v1/sources", "tenant", "nobody-inc", body={"id": "source:new", "source": "/x", "tenants": ["{thing}"]}
    ),
    Crossed("DELETE /v1/sources/{source}", "source", "source:nobody"),
    Crossed("GET /v1/audit/verify", "tenant", "nobody-inc", query="tenant={thing}"),
    Crossed("GET /v1/subscriptions", "tenant", "nobody-inc", query="tenant={thing}"),
    Crossed(
        "POST /v1/subscriptions", "tenant", "nobody-inc",
        body={"tenant": "{thing}", "url": "https://hooks.example.net/x"},
    ),
    Crossed("GET /v1/subscriptions/{subscription}/dead-letters", "subscription", NO_ID, query="tenant=acme-retail"),
    Crossed(
        "POST /v1/subscriptions/{subscription}/replay", "subscription", NO_ID, query="tenant=acme-retail",
        body={"after": 0},
    ),
    Crossed("DELETE /v1/subscriptions/{subscription}", "subscription", NO_ID, query="tenant=acme-retail"),
    tenant_of("GET /runtime/environments"),
    tenant_of(f"GET {ENV}/bindings"),
    tenant_of(f"GET {ENV}/topology"),
    tenant_of(f"GET {ENV}/services"),
    Crossed(f"GET {ENV}/services/{{service}}/versions", "service", "nothing"),
    tenant_of(f"GET {ENV}/desired-state"),
    Crossed(
        f"PATCH {ENV}/desired-state", "service", "nothing",
        body={"patches": [{"op": "set", "path": ["services", "{thing}", "config", "limit"], "value": "1"}]},
    ),
    tenant_of(f"GET {ENV}/live-state"),
    Crossed(f"GET {ENV}/operations/{{operation}}", "operation", NO_ID),
    tenant_of(f"GET {ENV}/tickets"),
    Crossed(f"GET {ENV}/effects/{{key}}", "effect", NO_ID),
    Crossed(f"GET {ENV}/metrics", "entity", "service/nothing", query="start={a}&end={c}&entity={thing}"),
    tenant_of(f"GET {ENV}/changes", "start={a}&end={c}"),
    tenant_of(f"GET {ENV}/logs", "start={a}&split={b}&end={c}"),
    tenant_of(f"GET {ENV}/spans", "start={a}&split={b}&end={c}"),
    tenant_of("GET /runtime/findings/{environment}"),
    Crossed(
        f"POST {ENV}/operations", "service", "nothing",
        body={"kind": "service.restart", "arguments": {"service": "{thing}"}},
    ),
    tenant_of("GET /runtime/compliance/{environment}"),
    tenant_of("GET /runtime/compliance/{environment}/waivers"),
    tenant_of("GET /runtime/cost/{environment}"),
    tenant_of("GET /runtime/carbon/{environment}"),
    Crossed(
        "POST /runtime/traffic-policies", "service", "nothing", query="dryRun=true",
        body={"environment": "prod", "service": "{thing}", "policy": POLICY},
    ),
    tenant_of("GET /runtime/traffic-policies/{environment}"),
    Crossed(
        "POST /runtime/restore-points", "tenant", "nobody-inc", query="dryRun=true",
        body={"environment": "prod", "tenant": "{thing}"},
    ),
    tenant_of("GET /runtime/restore-points", WHERE),
    Crossed(
        "POST /runtime/restores", "point", NO_ID, query="dryRun=true",
        body={"environment": "prod", "restore_point": "{thing}", "tenant": "acme-retail"},
    ),
    Crossed("GET /runtime/restore-points/{point}", "point", NO_ID, query=WHERE),
    tenant_of("GET /runtime/certificates/{environment}"),
    tenant_of("POST /runtime/experiments", "dryRun=true", EXPERIMENT_BODY),
    tenant_of("GET /runtime/experiments", WHERE),
    Crossed("GET /runtime/experiments/{name}", "experiment", "nothing", query=WHERE),
    Crossed("GET /runtime/experiments/{name}/journal", "experiment", "nothing", query=WHERE),
    tenant_of("GET /runtime/chaos-consents", WHERE),
    tenant_of("PUT /runtime/chaos-consents", "dryRun=true", {"environment": "prod", "consent": CONSENT}),
    tenant_of("POST /runtime/chaos-stops", "dryRun=true", {"environment": "prod"}),
    tenant_of("GET /runtime/chaos-stops", WHERE),
    tenant_of("GET /runtime/packs"),
    tenant_of("GET /runtime/packs/{pack}"),
    tenant_of(f"POST {ENV}/packs/plan", body={"kind": "pack.install", "arguments": {"pack": "{pack}"}}),
)  # fmt: skip
OWN = (
    "GET /v1/incidents", "GET /v1/commands", "GET /v1/plans", "GET /v1/kill-switches", "GET /v1/principals",
    "GET /v1/principals/me", "GET /v1/sources", "GET /v1/lessons",
)  # fmt: skip
"""Lists that name no tenant: each caller's own, whatever else there is."""
SAME = ("GET /healthz", "GET /v1/schema", "GET /v1/subscriptions/key", "GET /runtime/finding-owners")
"""Nothing of a tenant's is in them: everybody gets the same bytes."""
ELSEWHERE = {
    "POST /events", "POST /webhooks/alertmanager", "POST /webhooks/azure-monitor",
    "POST /v1/metrics", "POST /v1/logs", "POST /v1/traces",
}  # fmt: skip
"""The tenant is the credential's; a claim of another's is quarantined as `cross_tenant`, tried where intake is."""


class Stand:
    """A mesh that has lived for a while, and what the owner has in it."""

    def __init__(self, home):
        choices = Choices(vectors=MemoryVectors(), warm_up=timedelta(minutes=30), loops=("backup", "chaos"))
        self.simulated = asyncio.run(open_simulated(home, demo_world(), 7, choices))
        self.mesh, self.world = self.simulated.mesh, self.simulated.world
        self.app = application(self.mesh)
        trusting_market(self.mesh.runtime.services.parts.home)
        self.tokens = {tenant: self.person(f"person:{tenant}", tenant) for tenant in (OWNER, STRANGER)}
        self.person("person:carl", OWNER)
        self.things = {"tenant": OWNER, "service": "checkout", "entity": "service/checkout"}
        self.digests = {}
        asyncio.run(self.fill())

    def person(self, name, tenant):
        grants = tuple(RoleGrant(role=role, tenant=tenant) for role in ROLES)
        who = Principal(id=PrincipalId(name), kind="person", name=name, grants=grants)
        return self.mesh.principals.add(who, by=MESH.id).token

    def restart(self, service):
        return Proposal(
            kind="service.restart", arguments={"service": service, "reason": "operator"}, tenant=OWNER,
            target=EntityRef(kind="service", id=service), environment=PROD, proposer=PrincipalId("person:carl"),
            rationale="t", trace=f"00-{'a' * 32}-{'b' * 16}-01",
        )  # fmt: skip

    async def planned(self):
        window = PlanWindow(start=self.world.now, end=self.world.now + timedelta(hours=2))
        both = [self.restart("checkout"), self.restart("basket")]
        record = await self.mesh.loop.planning.propose(both, window=window)
        self.digests[record.plan.id] = record.digest
        return record.plan.id

    def opened(self):
        now = self.world.now
        found = Incident(
            id="incident-1", tenant=OWNER, environment=PROD, title="slow", severity="warning", status="open",
            fingerprint=digest_of("slow"), opened_at=now, last_event_at=now, entities=("service/checkout",),
        )  # fmt: skip
        kept = {name: getattr(found, name) for name in set(Incident.model_fields) & set(incident_rows.c.keys())}
        with self.mesh.parts.database.begin() as connection:
            connection.execute(incident_rows.insert().values(**kept, body=found.model_dump(mode="json")))
        return found.id

    async def proposed(self, service):
        record = await self.mesh.submission.submit(self.restart(service))
        self.digests[record.command.id] = record.digest
        return record.command.id

    async def fill(self):
        await self.simulated.simulation.run(self.world.now + timedelta(minutes=2))
        done = await self.proposed("basket")
        await self.say("POST", f"/v1/commands/{done}/approve", OWNER, body={"digest": self.digests[done]})
        await self.simulated.simulation.run(self.world.now + timedelta(minutes=3))
        key = self.mesh.governed.commands.get(OWNER, done).command.idempotency_key
        effect = (await self.say("GET", f"/runtime/environments/prod/effects/{key}", OWNER)).json()
        for name in ("command", "narrowed", "rejected", "cancelled"):
            self.things[name] = await self.proposed("checkout")
        freeze = {"tenant": OWNER, "environment": "staging", "duration_s": 60, "reason": "t"}
        hook = {"tenant": OWNER, "url": "https://hooks.example.net/a"}
        points = (await self.say("GET", f"/runtime/restore-points?{WHERE}", OWNER)).json()
        packs = (await self.say("GET", "/runtime/packs", OWNER)).json()["packs"]
        await self.say("POST", "/v1/principals", OWNER, body={
            "id": "person:dora", "kind": "person", "name": "D", "grants": [{"role": "viewer", "tenant": OWNER}],
        })  # fmt: skip
        await self.say("POST", "/v1/sources", OWNER, body={"id": "source:acme", "source": "/x", "tenants": [OWNER]})
        await self.say("POST", "/runtime/experiments", OWNER, body=EXPERIMENT_BODY)
        self.things |= {"incident": self.opened(), "plan": await self.planned(), "approved_plan": await self.planned()}
        journal = Journal(node="prod", experiment=EXPERIMENT, status="completed", start=self.world.now)
        with self.mesh.parts.runtime_database.begin() as connection:
            run = Run(id="r1", experiment="trial", phase="ended", journal=journal)
            RUNS.put(connection, Place(environment=PROD, tenant=OWNER), "r1", run, at=self.world.now)
        self.things |= {
            "effect": key, "operation": effect["receipt"]["operation"], "principal": "person:dora",
            "source": "source:acme", "experiment": "trial", "pack": packs[0]["name"], "point": points[0]["id"],
            "freeze": (await self.say("POST", "/v1/freezes", OWNER, body=freeze)).json()["id"],
            "subscription": (await self.say("POST", "/v1/subscriptions", OWNER, body=hook)).json()["id"],
        }  # fmt: skip

    async def say(self, method, path, tenant, *, body=None, acting=None):
        headers = {"Authorization": f"Bearer {self.tokens[tenant]}"}
        headers |= {} if acting is None else {"Opsmesh-Tenant": acting}
        transport = httpx.ASGITransport(app=self.app)
        async with httpx.AsyncClient(transport=transport, base_url=LOCAL_URL, headers=headers) as http:
            return await http.request(method, path, json=body)

    def ask(self, case, thing, tenant):
        method, _, path = case.route.partition(" ")
        names = self.instants | {"thing": thing, "digest": self.digests.get(self.things[case.thing], "")}
        names |= {"pack": self.things["pack"]}
        for field in re.findall(r"\{(\w+)\}", path):
            fixed = {"environment": "prod", "pack": self.things["pack"]}.get(field, thing)
            path = path.replace(f"{{{field}}}", fixed)
        query = f"?{case.query.format(**names)}" if case.query else ""
        acting = thing if case.header else None
        return asyncio.run(self.say(method, path + query, tenant, body=filled(case.body, names), acting=acting))

    @property
    def instants(self):
        now = self.world.now
        ends = {"a": now - timedelta(minutes=20), "b": now - timedelta(minutes=10), "c": now}
        return {name: at.strftime("%Y-%m-%dT%H:%M:%SZ") for name, at in ends.items()}


def filled(body, names):
    """Return the body with the names in it."""
    if isinstance(body, dict):
        return {key: filled(value, names) for key, value in body.items()}
    if isinstance(body, list):
        return [filled(one, names) for one in body]
    return body.format(**names) if isinstance(body, str) and re.fullmatch(r"\{\w+\}", body) else body


@pytest.fixture(scope="module")
def stand(tmp_path_factory):
    made = Stand(tmp_path_factory.mktemp("mesh"))
    yield made
    asyncio.run(made.mesh.close())


def seen(answer):
    headers = {name: value for name, value in answer.headers.items() if name != "date"}
    return answer.status_code, headers, answer.content


def test_every_route_has_a_row(stand):
    routes = {
        f"{method.upper()} {path}"
        for app in (stand.app, stand.mesh.runtime.app)
        for path, methods in app.openapi()["paths"].items()
        for method in methods
    }
    tried = {case.route.replace("/tenant/{value}", "/{scope}/{value}") for case in CROSSED}
    assert routes == tried | set(OWN) | set(SAME) | ELSEWHERE


@pytest.mark.parametrize("case", CROSSED, ids=lambda case: case.route)
def test_a_strangers_answer_is_that_for_what_is_missing(stand, case):
    thing = stand.things[case.thing]
    strangers, missing = stand.ask(case, thing, STRANGER), stand.ask(case, case.missing, STRANGER)
    assert seen(strangers) == seen(missing)
    owners = stand.ask(case, thing, OWNER)
    assert 200 <= owners.status_code < 300, owners.text


@pytest.mark.parametrize("route", OWN)
def test_a_list_holds_only_the_callers_own(stand, route):
    method, _, path = route.partition(" ")
    mine, theirs = (asyncio.run(stand.say(method, path, tenant)) for tenant in (OWNER, STRANGER))
    assert (mine.status_code, theirs.status_code) == (200, 200)
    assert [name for name in THEIRS if name in mine.text] == []
    assert [name for name in MINE if name in theirs.text] == []


@pytest.mark.parametrize("route", [case.route for case in CROSSED if case.header and case.route.startswith("GET")])
def test_a_part_of_the_runtime_names_no_other_tenant(stand, route):
    case = next(case for case in CROSSED if case.route == route)
    mine, theirs = stand.ask(case, OWNER, OWNER), stand.ask(case, STRANGER, STRANGER)
    assert (mine.status_code, theirs.status_code) == (200, 200)
    assert [name for name in THEIRS if name in mine.text] == []
    assert [name for name in MINE if name in theirs.text] == []


@pytest.mark.parametrize("route", SAME)
def test_what_is_nobodys_is_the_same_for_everybody(stand, route):
    method, _, path = route.partition(" ")
    mine, theirs = (asyncio.run(stand.say(method, path, tenant)) for tenant in (OWNER, STRANGER))
    assert (mine.status_code, mine.content) == (200, theirs.content)
