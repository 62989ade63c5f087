"""What a traffic plane promises, held against the simulated one and the one in memory."""

from datetime import timedelta

import pytest

from domain.desired import EnvironmentState
from domain.errors import NotFound
from domain.ids import EnvironmentId
from domain.policies import VersionSplit
from domain.releases import VersionReading
from runtime.simulator.actuators import apply_desired
from runtime.simulator.demo import ENVIRONMENT, demo_world
from runtime.simulator.world import World
from runtime.targets.traffic import InMemoryTraffic, SimulatedTraffic

SERVICE, OLD, NEW = "storefront", "v1.0.0", "v9.0.0"


def _simulated():
    world = World(demo_world(), 0)
    service = next(s.id for s in world.spec.services if s.demand_rps > 0 and not s.external)
    held = world.live.services[service]
    split = held.model_copy(update={"split": VersionSplit(version=NEW, share=0.25)})
    apply_desired(world, EnvironmentState(services={service: split}), "op")
    world.advance(world.now + timedelta(minutes=5))
    start = world.now
    world.advance(world.now + timedelta(minutes=5))
    return SimulatedTraffic(world), service, held.version, start, world.now


def _in_memory():
    plane, world = InMemoryTraffic(ENVIRONMENT), World(demo_world(), 0)
    start = world.now
    for minute in range(5):
        for version, requests in ((OLD, 750), (NEW, 250)):
            reading = VersionReading(
                version=version,
                requests=requests,
                failed=1,
                latency_ms=(10.0,) * 20,
                memory_mib=(300.0,),
                cpu_ms=(2.0,),
            )
            plane.put(SERVICE, start + timedelta(minutes=minute), reading)
    return plane, SERVICE, OLD, start, start + timedelta(minutes=5)


@pytest.fixture(params=[_simulated, _in_memory], ids=["simulated", "in_memory"])
def place(request):
    return request.param()


async def test_both_versions_are_told_with_their_requests_in_the_share_they_are_split(place):
    plane, service, former, start, end = place
    read = {r.version: r for r in await plane.versions(ENVIRONMENT, service, start, end)}
    assert set(read) == {former, NEW}
    total = sum(r.requests for r in read.values())
    assert read[NEW].requests / total == pytest.approx(0.25, abs=0.02)
    for reading in read.values():
        assert 0 <= reading.failed <= reading.requests
        assert len(reading.latency_ms) <= reading.requests
        assert min(len(reading.latency_ms), len(reading.memory_mib), len(reading.cpu_ms)) > 0


async def test_the_same_window_reads_the_same_twice_and_windows_add_up(place):
    plane, service, _, start, end = place
    whole = await plane.versions(ENVIRONMENT, service, start, end)
    assert await plane.versions(ENVIRONMENT, service, start, end) == whole
    middle = start + timedelta(minutes=2)
    parts = [
        r
        for a, b in ((start, middle), (middle, end))
        for r in await plane.versions(ENVIRONMENT, service, a, b)
        if r.version == NEW
    ]
    assert sum(r.requests for r in parts) == next(r.requests for r in whole if r.version == NEW)


async def test_a_service_without_a_second_version_has_nothing_to_compare(place):
    plane, _, _, start, end = place
    assert await plane.versions(ENVIRONMENT, "nobody", start, end) == ()


async def test_a_service_as_a_whole_is_all_its_versions(place):
    plane, service, _, start, end = place
    whole = await plane.served(ENVIRONMENT, service, start, end)
    parts = await plane.versions(ENVIRONMENT, service, start, end)
    assert whole.requests == pytest.approx(sum(r.requests for r in parts), rel=0.05)
    assert 0 <= whole.failed <= whole.requests
    assert 0 < len(whole.latency_ms) <= whole.requests
    assert await plane.served(ENVIRONMENT, service, start, end) == whole
    middle = start + timedelta(minutes=2)
    halves = [await plane.served(ENVIRONMENT, service, a, b) for a, b in ((start, middle), (middle, end))]
    assert sum(h.requests for h in halves) == whole.requests
    assert (await plane.served(ENVIRONMENT, "nobody", start, end)).requests == 0


async def test_another_environment_is_not_there(place):
    plane, service, _, start, end = place
    with pytest.raises(NotFound):
        await plane.versions(EnvironmentId("elsewhere"), service, start, end)
    with pytest.raises(NotFound):
        await plane.served(EnvironmentId("elsewhere"), service, start, end)
