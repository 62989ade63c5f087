"""Every embedded compute target: idempotent under a key, counted, and honest about what runs."""

import pytest

from domain.changes import Patch
from domain.errors import Invalid, NotFound
from domain.ids import EnvironmentId
from runtime.simulator import actuators
from runtime.simulator.demo import demo_world
from runtime.simulator.world import World
from runtime.targets.memory import MemoryTarget
from runtime.targets.simulated import SimulatedTarget
from tests.support.runtime_bench import PROD
from tests.support.small_runtime import STATE, TOPOLOGY

SPEC = demo_world().model_copy(update={"retention_steps": 60})


def memory():
    target = MemoryTarget(TOPOLOGY, STATE)

    def write(path, value):
        target.platform_writes.append(("ci", Patch(op="set", path=path, value=value)))

    return target, "shop", write


def simulated():
    world = World(SPEC, seed=1)
    return SimulatedTarget(world), "transcode", lambda path, value: actuators.write_externally(world, path, value, "ci")


@pytest.fixture(params=[memory, simulated])
def made(request):
    return request.param()


async def replicas(target, service, count):
    state = await target.live(PROD)
    changed = state.services[service].model_copy(update={"replicas": count})
    return state.model_copy(update={"services": {**state.services, service: changed}})


async def test_what_was_applied_runs(made):
    target, service, _ = made
    wanted = await replicas(target, service, 7)
    await target.apply(PROD, wanted, key="a")
    assert await target.live(PROD) == wanted
    assert (target.effects("a"), target.effects("b")) == (1, 0)


async def test_a_key_takes_effect_once(made):
    target, service, _ = made
    seven, eight = await replicas(target, service, 7), await replicas(target, service, 8)
    await target.apply(PROD, seven, key="a")
    await target.apply(PROD, eight, key="b")
    await target.apply(PROD, seven, key="a")
    assert await target.live(PROD) == eight
    assert (target.effects("a"), target.effects("b")) == (1, 1)


async def test_a_restart_takes_effect_once_and_changes_no_state(made):
    target, service, _ = made
    before = await target.live(PROD)
    await target.restart(PROD, service, key="r")
    await target.restart(PROD, service, key="r")
    assert target.effects("r") == 1
    assert await target.live(PROD) == before


async def test_platform_writes_are_handed_over_once(made):
    target, service, write = made
    write(("services", service, "version"), "v7")
    drained = await target.drain(PROD)
    assert [(actor, patch.path, patch.value) for actor, patch in drained] == [
        ("ci", ("services", service, "version"), "v7")
    ]
    assert list(await target.drain(PROD)) == []


async def test_topology_names_what_runs(made):
    target, _, _ = made
    state, topology = await target.live(PROD), await target.topology(PROD)
    assert {s.id for s in topology.services} == set(state.services)
    assert {p.id for p in topology.node_pools} == set(state.node_pools)


async def test_another_environment_is_not_there(made):
    target, service, _ = made
    elsewhere = EnvironmentId("elsewhere")
    with pytest.raises(NotFound):
        await target.live(elsewhere)
    with pytest.raises(NotFound):
        await target.restart(elsewhere, service, key="x")
    assert target.effects("x") == 0


async def test_an_unknown_service_has_no_effect(made):
    target, _, _ = made
    with pytest.raises(Invalid):
        await target.restart(PROD, "nothing", key="x")
    assert target.effects("x") == 0
