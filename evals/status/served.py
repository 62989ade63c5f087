"""Rows that are shown by asking the runtime over HTTP: the owner is answered, a stranger learns nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from pydantic import JsonValue

from domain.ids import EnvironmentId, PrincipalId, TenantId
from domain.principals import Principal, RoleGrant
from domain.tenancy import Quota
from evals.service_cases import Case, Check, Measured
from evals.status.door import OWNER, SERVICE, Desk, desk, embedded
from grounding.vectors import MemoryVectors
from mesh.simulation import Choices, open_simulated
from runtime.simulator.demo import demo_world

STRANGER, ADMIN = TenantId("borealis-media"), PrincipalId("service:evals")
QUOTA = Quota().max_replicas_per_service


@dataclass(frozen=True, slots=True)
class Answers:
    """How many paths were asked, answered the owner, and told a stranger more than that there is nothing."""

    paths: int
    owner: int
    stranger: int


def _readable(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Return every path that reads one environment and needs to be told nothing else."""
    found: list[str] = []
    for path, methods in document["paths"].items():
        asked = [p for p in methods.get("get", {}).get("parameters", ()) if p["required"]]
        if [p["name"] for p in asked] == ["environment"]:
            place = path.removeprefix("/runtime/")
            found.append(place.format(environment="{}") if "{" in place else f"{place}?environment={{}}")
    return tuple(found)


async def _asked(home: Path, only: tuple[str, ...] = (), *, closed: str = "", open_to_all: bool = False) -> Answers:
    """Return how many paths (all that read one environment without `only`) answer the owner, and tell a stranger."""
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
            paths = only or _readable(app.openapi())
            for path in paths:
                asked = [
                    await http.get(f"/runtime/{path.format(where)}", headers={"Opsmesh-Tenant": tenant})
                    for where, tenant in (("prod", OWNER), ("prod", STRANGER), ("nowhere", OWNER))
                ]
                answered += asked[0].status_code == 200
                told += asked[1].content != asked[2].content
            return Answers(len(paths), answered, told)
    finally:
        await mesh.close()


def answered(name: str, path: str) -> Case:
    """Return the case that a path answers whom it concerns."""

    async def measured(home: Path, closed: str) -> Measured:
        found = await _asked(home, (path,), closed=closed)
        checks = (
            Check(name="answers to the owner", value=found.owner, bound=1),
            Check(name="answers to a stranger", value=found.stranger, bound=0),
        )
        return Measured(checks=checks, figures={})

    async def run(_seed: int, home: Path) -> Measured:
        return await measured(home, "")

    async def damaged(_seed: int, home: Path) -> Measured:
        return await measured(home, path.split("/", maxsplit=1)[0])

    return Case(name, "status", "answers to the owner", run, damaged, "the runtime lacks the route")


async def _safe(_seed: int, home: Path, *, open_to_all: bool = False) -> Measured:
    found = await _asked(_room(home, "places"), open_to_all=open_to_all)
    async with desk(_room(home, "desk")) as at:
        within, beyond = [await _decision(at, count) for count in (QUOTA, QUOTA + 1)]
    checks = (
        Check(name="answers to a stranger", value=found.stranger, bound=0),
        Check(name="answers to the owner", value=found.owner, bound=found.paths),
        Check(name="commands beyond the quota denied for it", value=_by_quota(beyond), bound=1),
        Check(name="commands within the quota denied for it", value=_by_quota(within), bound=0),
    )
    return Measured(checks=checks, figures={"paths": found.paths})


def _room(home: Path, name: str) -> Path:
    """Make a folder of its own for one of several meshes."""
    (home / name).mkdir()
    return home / name


async def _decision(at: Desk, count: int) -> dict[str, JsonValue]:
    """Return what policy says of a command that lets a service grow to so many replicas."""
    policy: dict[str, JsonValue] = {"min_replicas": 2, "max_replicas": count, "target_cpu_utilisation": 0.6}
    body: dict[str, JsonValue] = {
        "kind": "scaling_policy.update", "arguments": {"service": SERVICE, "policy": policy}, "tenant": OWNER,
        "environment": "prod", "target": {"kind": "service", "id": SERVICE},
    }  # fmt: skip
    decision: dict[str, JsonValue] = (await at.ask("pat", "POST", "/v1/commands?dryRun=true", body)).json()["decision"]
    return decision


def _by_quota(decision: dict[str, JsonValue]) -> bool:
    return decision["effect"] == "deny" and "[quota]" in str(decision["reasons"])


async def _open(seed: int, home: Path) -> Measured:
    return await _safe(seed, home, open_to_all=True)


SAFE = Case("tenant-safe", "status", "a stranger learns nothing", _safe, _open, "a role leaks to another tenant")
