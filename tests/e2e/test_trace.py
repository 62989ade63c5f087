"""One incident's whole story under one trace id: found by any id in it, and not by another tenant."""

import asyncio
from datetime import timedelta

import pytest

from domain.commands import TERMINAL, State
from domain.errors import NotFound
from domain.ids import TenantId
from domain.principals import READING_ROLES, Principal, RoleGrant
from grounding.vectors import MemoryVectors
from mesh.on_call import Approver
from mesh.simulation import Choices, open_simulated
from mesh.tracing import TracesBehind
from runtime.simulator import faults
from runtime.simulator.demo import demo_world
from runtime.simulator.twin import Twin


def reach(tenant):
    grants = (RoleGrant(role="viewer", tenant=TenantId(tenant)),)
    return Principal(id=f"person:{tenant}", kind="person", name="A", grants=grants).reach(READING_ROLES)


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    mesh = asyncio.run(live(tmp_path_factory.mktemp("mesh")))
    yield mesh
    asyncio.run(mesh.close())


async def live(home):
    choices = Choices(autonomy="act", rehearsal=Twin(), vectors=MemoryVectors(), loops=())
    simulated = await open_simulated(home, demo_world(), 7, choices)
    world, store = simulated.world, simulated.mesh.governed.commands
    await simulated.simulation.run(world.now + timedelta(minutes=5))
    faults.inject(world, faults.draw(world, "config_regression", 7))
    await simulated.simulation.run(
        world.now + timedelta(hours=1), stop=lambda: any(r.state is State.SUCCEEDED for r in store.list("*"))
    )
    await simulated.simulation.run(world.now + timedelta(minutes=1))
    return simulated.mesh


def done(mesh):
    return next(r.command for r in mesh.governed.commands.list("*") if r.state is State.SUCCEEDED)


def test_a_trace_goes_from_the_event_to_the_outcome(lived):
    view = TracesBehind(lived).find(reach("*"), done(lived).id)
    kinds = [line.kind for line in view.lines]
    order = ["event", "run", "proposal", "decision", "tool", "verification", "outcome"]
    assert sorted(order, key=kinds.index) == order
    assert [line.at for line in view.lines] == sorted(line.at for line in view.lines)


def test_every_id_in_it_leads_to_the_same_trace(lived):
    command, behind = done(lived), TracesBehind(lived)
    view = behind.find(reach("*"), command.id)
    assert behind.find(reach("*"), command.incident) == behind.find(reach("*"), view.trace) == view


@pytest.mark.parametrize("subject", ["0" * 32, "nothing"])
def test_what_is_not_there_is_not_found(lived, subject):
    with pytest.raises(NotFound):
        TracesBehind(lived).find(reach("*"), subject)


def test_another_tenant_sees_nothing_of_it(lived):
    command, behind = done(lived), TracesBehind(lived)
    trace = behind.find(reach(command.tenant), command.id).trace
    stranger = next(t for t in ("acme-retail", "borealis-media") if t != command.tenant)
    for subject in (command.id, command.incident, trace):
        with pytest.raises(NotFound):
            behind.find(reach(stranger), subject)


async def test_a_workers_trace_goes_from_its_finding_to_the_outcome(tmp_path):
    choices = Choices(
        vectors=MemoryVectors(), loops=("compliance_drift",), approver=Approver(), warm_up=timedelta(minutes=30)
    )
    simulated = await open_simulated(tmp_path, demo_world(), 7, choices)
    world, store = simulated.world, simulated.mesh.governed.commands
    await simulated.simulation.run(world.now + timedelta(minutes=1))
    faults.inject(world, faults.draw(world, "encryption_off", 7))
    await simulated.simulation.run(
        world.now + timedelta(hours=1), stop=lambda: any(r.state in TERMINAL for r in store.list("*"))
    )
    await simulated.simulation.run(world.now + timedelta(minutes=1))
    (record,) = store.list("*")
    view = TracesBehind(simulated.mesh).find(reach("*"), record.command.evidence[0])
    await simulated.mesh.close()
    kinds = [line.kind for line in view.lines]
    order = ["finding", "proposal", "decision", "tool", "verification", "outcome"]
    assert sorted(order, key=kinds.index) == order
    assert record.command.proposer == "worker:compliance_drift"
