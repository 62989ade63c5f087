"""What a worker found, told whole: the platform's event, the finding, each command of it, and how each ended.

By the finding's id, over HTTP as the command line asks for it, and by the command line itself.
"""

import asyncio
import json
from datetime import timedelta

from typer.testing import CliRunner

from cli.main import app
from domain.commands import TERMINAL, State
from domain.events import Dimensions, IncomingEvent
from domain.ids import EnvironmentId, PrincipalId, TenantId
from domain.plans import PlanState
from domain.principals import ANY, Principal, RoleGrant
from evals.services.recovery_place import opened
from grounding.vectors import MemoryVectors
from mesh.internal import MESH, platform_sender
from mesh.on_call import Approver
from mesh.serving import local_client
from mesh.simulation import Choices, open_simulated
from runtime.findings import FINDINGS, RESOLVED
from runtime.simulator import faults
from runtime.simulator.demo import demo_world

ORDER = ["event", "finding", "proposal", "decision", "tool", "verification", "outcome"]
TRACEPARENT = f"00-{'c' * 32}-{'d' * 16}-01"


WATCHER = Principal(
    id=PrincipalId("person:wanda"), kind="person", name="Wanda",
    grants=(RoleGrant(role="viewer", tenant=TenantId(ANY)),),
)  # fmt: skip


async def told(mesh, home, subject, monkeypatch):
    """Return what the API answers about the subject; each of its commands and the command line say the same."""
    token = mesh.principals.add(WATCHER, by=MESH.id).token
    async with local_client(mesh, token) as http:
        answer = (await http.get(f"/v1/traces/{subject}")).raise_for_status().json()
        refs = {line["ref"] for line in answer["lines"] if line["kind"] in {"proposal", "outcome"}}
        assert refs
        for ref in (*refs, answer["trace"]):
            assert (await http.get(f"/v1/traces/{ref}")).json() == answer
    await mesh.close()
    monkeypatch.setenv("OPSMESH_HOME", str(home))
    monkeypatch.setenv("OPSMESH_TOKEN", token)
    said = await asyncio.to_thread(CliRunner().invoke, app, ["trace", subject, "--json"])
    assert json.loads(said.output) == answer, said.output
    return answer


def stages(lines):
    kinds = [line["kind"] for line in lines]
    return sorted(set(kinds) & set(ORDER), key=kinds.index)


def records(mesh, kind):
    with mesh.parts.runtime_database.read() as connection:
        found = [d.body for store in (FINDINGS, RESOLVED) for d in store.list(connection, EnvironmentId("prod"))]
    return [record for record in found if record.finding.kind == kind]


def bill(world, service, tenant):
    """A meter's line about the service, under a trace of the platform's own."""
    data = {
        "service": service, "amount_usd": 3.0, "period_start": (world.now - timedelta(hours=1)).isoformat(),
        "period_end": world.now.isoformat(),
    }  # fmt: skip
    return IncomingEvent(
        id=f"metered-{service}", source="/runtime/billing", type="runtime.billing.recorded.v1", tenantid=tenant,
        subject=f"service/{service}", time=world.now, data=data,
        dimensions=Dimensions(environmentid=EnvironmentId("prod"), serviceid=service, traceparent=TRACEPARENT),
    )  # fmt: skip


async def test_a_costly_service_from_its_bill_to_what_it_saved(tmp_path, monkeypatch):
    choices = Choices(vectors=MemoryVectors(), loops=("cost", "cost_anomaly"), approver=Approver())
    simulated = await open_simulated(tmp_path, demo_world(), 7, choices)
    world, mesh = simulated.world, simulated.mesh
    await simulated.simulation.run(world.now + timedelta(minutes=6))
    drawn = faults.draw(world, "over_provisioned", 7)
    faults.inject(world, drawn)
    name = drawn.entity.removeprefix("service/")
    tenant = TenantId(next(s.tenant for s in world.spec.services if s.id == name))
    mesh.log.accept(platform_sender(tenant), [bill(world, name, tenant)])
    store = mesh.governed.commands
    await simulated.simulation.run(
        world.now + timedelta(hours=2),
        stop=lambda: any(r.state in TERMINAL for r in store.list("*") if r.command.target.address == drawn.entity),
    )
    await simulated.simulation.run(world.now + timedelta(minutes=1))
    done = next(r for r in store.list("*") if r.command.target.address == drawn.entity)
    view = await told(mesh, tmp_path, done.command.evidence[0], monkeypatch)
    assert done.state is State.SUCCEEDED, done.reason
    assert done.command.proposer == "worker:cost_anomaly"
    assert view["trace"] == "c" * 32
    assert stages(view["lines"]) == ORDER


async def test_a_lost_region_from_its_zones_to_the_tenants_that_went(tmp_path, monkeypatch):
    place = await opened(3, tmp_path)
    mesh = place.held.mesh
    place.region("westeurope", up=False)
    await place.live(timedelta(minutes=10), until=place.ended)
    await place.live(timedelta(minutes=1))
    (plan,) = place.plans()
    (record,) = records(mesh, "region.lost")
    view = await told(mesh, tmp_path, record.finding.id, monkeypatch)
    assert plan.standing is PlanState.SUCCEEDED
    assert stages(view["lines"]) == ORDER
    each = ["proposal", "decision", "tool", "outcome"]
    for command in (m.command for m in plan.members):
        lines = [line for line in view["lines"] if line["ref"] == command.id]
        assert [stage for stage in stages(lines) if stage != "verification"] == each
