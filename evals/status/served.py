"""Rows that are shown by asking the runtime over HTTP: the owner is answered, a stranger learns nothing."""

from datetime import timedelta
from pathlib import Path

import httpx

from domain.ids import EnvironmentId, PrincipalId, TenantId
from domain.principals import Principal, RoleGrant
from evals.service_cases import Case, Check, Measured
from evals.status.door import embedded
from grounding.vectors import MemoryVectors
from mesh.simulation import Choices, open_simulated
from runtime.simulator.demo import demo_world

OWNER, STRANGER, ADMIN = TenantId("acme-retail"), TenantId("borealis-media"), PrincipalId("service:evals")
PLACES = ("cost/{}", "compliance/{}", "traffic-policies/{}", "certificates/{}", "environments/{}/desired-state")


async def _asked(home: Path, paths: tuple[str, ...], *, closed: str = "", open_to_all: bool = False) -> tuple[int, int]:
    """Return how many paths answer the owner, and how many tell a stranger more than that there is nothing."""
    choices = Choices(vectors=MemoryVectors(), loops=(), warm_up=timedelta(minutes=30))
    simulated = await open_simulated(home, demo_world(), 7, choices)
    mesh = simulated.mesh
    try:
        await simulated.simulation.run(simulated.world.now + timedelta(minutes=2))
        app, tenants = embedded(mesh).app, (OWNER, STRANGER) if open_to_all else (OWNER,)
        if closed:
            app.router.routes[:] = [r for r in app.router.routes if closed not in str(getattr(r, "path", closed))]
        grants = tuple(RoleGrant(role="viewer", tenant=t, environment=EnvironmentId("prod")) for t in tenants)
        person = Principal(id=PrincipalId("person:e"), kind="person", name="E", grants=grants)
        headers = {"Authorization": f"Bearer {mesh.principals.add(person, by=ADMIN).token}"}
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://runtime", headers=headers) as http:
            told = answered = 0
            for path in paths:
                asked = [
                    await http.get(f"/runtime/{path.format(where)}", headers={"Opsmesh-Tenant": tenant})
                    for where, tenant in (("prod", OWNER), ("prod", STRANGER), ("nowhere", OWNER))
                ]
                answered += asked[0].status_code == 200
                told += asked[1].content != asked[2].content
            return answered, told
    finally:
        await mesh.close()


def answered(name: str, path: str) -> Case:
    """Return the case that a path answers whom it concerns."""

    async def measured(home: Path, closed: str) -> Measured:
        owner, told = await _asked(home, (path,), closed=closed)
        checks = (
            Check(name="answers to the owner", value=owner, bound=1),
            Check(name="answers to a stranger", value=told, bound=0),
        )
        return Measured(checks=checks, figures={})

    async def run(_seed: int, home: Path) -> Measured:
        return await measured(home, "")

    async def damaged(_seed: int, home: Path) -> Measured:
        return await measured(home, path.split("/", maxsplit=1)[0])

    return Case(name, "status", "answers to the owner", run, damaged, "the runtime lacks the route")


async def _safe(_seed: int, home: Path, *, open_to_all: bool = False) -> Measured:
    owner, told = await _asked(home, PLACES, open_to_all=open_to_all)
    checks = (
        Check(name="answers to a stranger", value=told, bound=0),
        Check(name="answers to the owner", value=owner, bound=len(PLACES)),
    )
    return Measured(checks=checks, figures={})


async def _open(seed: int, home: Path) -> Measured:
    return await _safe(seed, home, open_to_all=True)


SAFE = Case("tenant-safe", "status", "a stranger learns nothing", _safe, _open, "a role leaks to another tenant")
