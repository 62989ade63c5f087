"""One suite for everything that lets faults happen on purpose: in memory, in the simulated world, on loopback."""

from datetime import timedelta

import pytest

from domain.errors import Conflict, Invalid
from runtime.injection.memory import MemoryFaults
from runtime.injection.ports import InjectFault
from runtime.injection.proxy import ProxyFaults
from runtime.simulator.demo import demo_world
from runtime.simulator.record import launch, rebuild, record
from runtime.targets.simulated_faults import SimulatedFaults

PROD = "prod"


def fault(name="network_delay", target="service/pricing", **changed):
    return InjectFault(type="opsmesh.fault", fault=name, target=target, **changed)


@pytest.fixture(scope="module")
def lived():
    world = launch(demo_world(), 5)
    world.advance(world.now + timedelta(minutes=10))
    return record(world)


@pytest.fixture(params=["memory", "simulated", "proxy"])
def injector(request, tmp_path, lived):
    targets = frozenset({"service/pricing"})
    match request.param:
        case "memory":
            return MemoryFaults(targets)
        case "simulated":
            return SimulatedFaults(rebuild(lived))
        case _:
            return ProxyFaults(tmp_path / "delays.db", targets)


async def test_to_prepare_hurts_nobody(injector):
    recipe = await injector.prepare(PROD, fault())
    assert not await injector.active(PROD, "h", recipe)
    assert await injector.prepare(PROD, fault()) == recipe


async def test_in_and_back_each_once_however_often(injector):
    recipe = await injector.prepare(PROD, fault())
    for _ in range(2):
        await injector.inject(PROD, "h", recipe)
        assert await injector.active(PROD, "h", recipe)
    for _ in range(2):
        await injector.revert(PROD, "h", recipe)
        assert not await injector.active(PROD, "h", recipe)


async def test_what_is_there_is_not_prepared_again(injector):
    await injector.inject(PROD, "h", await injector.prepare(PROD, fault()))
    with pytest.raises(Conflict):
        await injector.prepare(PROD, fault())


async def test_a_target_that_does_not_fit_is_invalid(injector):
    with pytest.raises(Invalid):
        await injector.prepare(PROD, fault(target="service/nothing"))


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("deploy_latency", "service/checkout"),
        ("deploy_errors", "service/checkout"),
        ("deploy_leak", "service/checkout"),
        ("traffic_surge", "service/storefront"),
        ("dependency_slow", "external/payments-provider"),
        ("dependency_failing", "external/payments-provider"),
        ("network_delay", "service/pricing"),
        ("network_loss", "service/pricing"),
        ("node_loss", "node/acme-westeurope-1-0"),
        ("zone_loss", "zone/westeurope-1"),
        ("pool_exhaustion", "service/checkout"),
        ("cache_flush", "service/identity"),
    ],
)
async def test_every_fault_of_the_list_comes_and_goes_in_the_world_also_after_a_restart(lived, name, target):
    world = rebuild(lived)
    injector = SimulatedFaults(world)
    small, large = [await injector.prepare(PROD, fault(name, target, size=size)) for size in (0.05, 1.0)]
    assert small["draw"]["entity"] == large["draw"]["entity"] == target
    await injector.inject(PROD, "h", large)
    world.advance(world.now + timedelta(seconds=20))
    assert await injector.active(PROD, "h", large)
    again = SimulatedFaults(rebuild(record(world)))
    assert await again.active(PROD, "h", large)
    await again.revert(PROD, "h", large)
    assert not await again.active(PROD, "h", large)
