"""A mesh that has lived for a while, two tenants with every role on their own, and real things of the owner's.

Whoever tries every route of both APIs tries it here.
"""

import asyncio
import re
from datetime import timedelta

import httpx

from domain.base import digest_of
from domain.commands import Proposal
from domain.ids import PLATFORM, EnvironmentId, PrincipalId, TenantId
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
ROLES = ("viewer", "proposer", "approver", "operator", "auditor", "admin")
WHERE = "environment=prod"
EXPERIMENT = next(iter(shipped().values())).document
EXPERIMENT_BODY = {"environment": "prod", "id": "trial", "experiment": EXPERIMENT}


class Stand:
    """A mesh that has lived for a while, and what the owner has in it."""

    def __init__(self, home):
        choices = Choices(vectors=MemoryVectors(), warm_up=timedelta(minutes=30), loops=("backup", "chaos"))
        self.simulated = asyncio.run(open_simulated(home, demo_world(), 7, choices))
        self.mesh, self.world = self.simulated.mesh, self.simulated.world
        self.app = application(self.mesh)
        trusting_market(self.mesh.runtime.services.parts.home)
        self.tokens = {tenant: self.person(f"person:{tenant}", tenant) for tenant in (OWNER, STRANGER)}
        self.tokens["carl"] = self.person("person:carl", OWNER)
        self.person("person:pat", PLATFORM)
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
        return await self.submitted(self.restart(service))

    async def submitted(self, proposal):
        record = await self.mesh.submission.submit(proposal)
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
        platforms = {"tenant": PLATFORM, "proposer": PrincipalId("person:pat")}
        self.things["shared"] = await self.submitted(self.restart("checkout").model_copy(update=platforms))
        freeze = {"tenant": OWNER, "environment": "staging", "duration_s": 60, "reason": "t"}
        hook = {"tenant": OWNER, "url": "https://hooks.example.net/a"}
        points = (await self.say("GET", f"/runtime/restore-points?{WHERE}", OWNER)).json()
        packs = (await self.say("GET", "/runtime/packs", OWNER)).json()["packs"]
        await self.say("POST", "/v1/principals", OWNER, body={
            "id": f"dora@{OWNER}", "kind": "person", "name": "D", "grants": [{"role": "viewer", "tenant": OWNER}],
        })  # fmt: skip
        await self.say("POST", "/v1/sources", OWNER, body={"id": f"feed@{OWNER}", "source": "/x", "tenants": [OWNER]})
        await self.say("POST", "/runtime/experiments", OWNER, body=EXPERIMENT_BODY)
        self.things |= {"incident": self.opened(), "plan": await self.planned(), "approved_plan": await self.planned()}
        journal = Journal(node="prod", experiment=EXPERIMENT, status="completed", start=self.world.now)
        with self.mesh.parts.runtime_database.begin() as connection:
            run = Run(id="r1", experiment="trial", phase="ended", journal=journal)
            RUNS.put(connection, Place(environment=PROD, tenant=OWNER), "r1", run, at=self.world.now)
        self.things |= {
            "effect": key, "operation": effect["receipt"]["operation"], "principal": f"dora@{OWNER}",
            "source": f"feed@{OWNER}", "experiment": "trial", "pack": packs[0]["name"], "point": points[0]["id"],
            "freeze": (await self.say("POST", "/v1/freezes", OWNER, body=freeze)).json()["id"],
            "subscription": (await self.say("POST", "/v1/subscriptions", OWNER, body=hook)).json()["id"],
        }  # fmt: skip

    async def say(self, method, path, who, *, body=None, acting=None, headers=None):
        headers = {"Authorization": f"Bearer {self.tokens[who]}"} | (headers or {})
        headers |= {} if acting is None else {"Opsmesh-Tenant": acting}
        transport = httpx.ASGITransport(app=self.app)
        async with httpx.AsyncClient(transport=transport, base_url=LOCAL_URL, headers=headers) as http:
            return await http.request(method, path, json=body)

    def ask(self, case, thing, tenant):
        method, _, path = case.route.partition(" ")
        names = self.instants | {"thing": thing, "digest": self.digests.get(self.things[case.thing], "")}
        names |= {"pack": self.things["pack"], "caller": tenant}
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
