"""A worker's finding is evidence like any other: its age counts, whose it is counts, and who told it counts."""

from datetime import timedelta

import pytest

from domain.events import Dimensions, IncomingEvent
from domain.ids import PrincipalId, TenantId
from domain.principals import EventSourceKey
from grounding.vectors import MemoryVectors
from mesh.simulation import Choices, open_simulated
from runtime.simulator.demo import demo_world

ACME, FINDING = TenantId("acme-retail"), "finding-1"


@pytest.fixture
async def simulated(tmp_path):
    choices = Choices(vectors=MemoryVectors(), warm_up=timedelta(minutes=10), loops=())
    simulated = await open_simulated(tmp_path, demo_world(), 7, choices)
    yield simulated
    await simulated.mesh.close()


def raised(at, name=FINDING):
    return IncomingEvent(
        id=f"{name}:{at.isoformat()}", source="/runtime/workers", type="runtime.finding.raised.v1", time=at,
        dimensions=Dimensions(correlationid=name),
        data={"finding": name, "owner": "cost_anomaly", "kind": "cost.idle", "resource": "service/x", "summary": "s"},
    )  # fmt: skip


async def test_the_newest_raising_counts(simulated):
    mesh, now = simulated.mesh, simulated.clock.now()
    tell = mesh.runtime.services.parts.tell
    tell.tell(ACME, raised(now - timedelta(hours=1)))
    tell.tell(ACME, raised(now - timedelta(minutes=2)))
    assert mesh.cases.found_at(ACME, [FINDING]) == now - timedelta(minutes=2)


async def test_another_tenants_finding_is_no_evidence(simulated):
    mesh = simulated.mesh
    mesh.runtime.services.parts.tell.tell(TenantId("borealis-media"), raised(simulated.clock.now()))
    assert mesh.cases.found_at(ACME, [FINDING]) is None
    assert mesh.cases.found_at(ACME, ["finding-2"]) is None


async def test_a_sender_from_outside_cannot_vouch(simulated):
    mesh = simulated.mesh
    outside = EventSourceKey(id=PrincipalId("key"), source="/runtime/workers", tenants=(ACME,), trust="untrusted")
    assert mesh.log.accept(outside, [raised(simulated.clock.now())]).accepted == 0
    elsewhere = outside.model_copy(update={"source": "/monitor"})
    told = raised(simulated.clock.now()).model_copy(update={"source": "/monitor"})
    assert mesh.log.accept(elsewhere, [told]).accepted == 1
    assert mesh.cases.found_at(ACME, [FINDING]) is None
