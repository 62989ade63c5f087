"""Workers meet the arbiter: what burns is left alone by those who only save money, and people are not held."""

from datetime import timedelta

import pytest

from domain.commands import Proposal, State
from domain.errors import Refused
from domain.topology import EntityRef
from grounding.vectors import MemoryVectors
from mesh.runtime_proposals import RuntimeProposals
from mesh.simulation import Choices, open_simulated
from runtime.simulator import faults
from runtime.simulator.demo import demo_world


@pytest.fixture
async def burning(tmp_path):
    """A mesh with an open incident, and the proposals' way in."""
    choices = Choices(vectors=MemoryVectors(), loops=(), autonomy="observe")
    simulated = await open_simulated(tmp_path, demo_world(), 7, choices)
    mesh, world = simulated.mesh, simulated.world
    faults.inject(world, faults.draw(world, "config_regression", 7))
    live = lambda: mesh.cases.live(world.spec.environment)  # noqa: E731
    await simulated.simulation.run(world.now + timedelta(minutes=30), stop=lambda: bool(live()))
    (incident, *_) = live()
    yield mesh, world, next(e for e in incident.entities if e.startswith("service/")).removeprefix("service/")
    await mesh.close()


def proposal(world, service, proposer):
    state = world.live.services[service]
    return Proposal(
        kind="service.resize", target=EntityRef(kind="service", id=service), tenant="platform",
        arguments={"service": service, "cpu_millicores": state.cpu_millicores, "memory_mib": state.memory_mib + 64},
        environment=world.spec.environment, proposer=proposer, rationale="cheaper",
    )  # fmt: skip


async def test_a_worker_that_saves_money_waits_until_the_incident_is_over(burning):
    mesh, world, service = burning
    ways = RuntimeProposals(mesh.cases, mesh.submission)
    with pytest.raises(Refused, match=r"incident .* is open"):
        await ways.propose(proposal(world, service, "worker:cost_anomaly"), idempotency_key="k1")
    calm = next(
        s for s in world.live.services if f"service/{s}" not in mesh.cases.live(world.spec.environment)[0].entities
    )
    assert await ways.propose(proposal(world, calm, "worker:cost_anomaly"), idempotency_key="k2")


async def test_a_person_is_not_held(burning):
    mesh, world, service = burning
    where = await RuntimeProposals(mesh.cases, mesh.submission).propose(
        proposal(world, service, "service:mesh"), idempotency_key="k3"
    )
    (record,) = [r for r in mesh.governed.commands.list("*") if r.command.id == where.rpartition("/")[2]]
    assert record.state in {State.AWAITING_APPROVAL, State.DENIED}
