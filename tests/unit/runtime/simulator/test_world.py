from collections.abc import Callable
from copy import deepcopy
from datetime import timedelta
from time import process_time

import numpy as np
import pytest

from domain.desired import EnvironmentState
from domain.errors import Invalid
from domain.evidence import MetricSeries
from runtime.simulator import actuators, faults, readers
from runtime.simulator.generator import random_world
from runtime.simulator.record import Record, launch, rebuild, record
from runtime.simulator.spec import WorldSpec
from runtime.simulator.verdict import hurting
from runtime.simulator.world import World


def everything(world: World) -> tuple[MetricSeries, ...]:
    return readers.series_window(world, world.spec.start, world.now, step_s=world.spec.step_s)


def test_the_same_seed_lives_the_same_life(demo_spec: WorldSpec):
    lives = []
    for _ in range(2):
        world = launch(demo_spec, seed=5)
        world.advance(world.now + timedelta(minutes=30))
        lives.append((everything(world), world.journal.drain(world.elapsed_s), readers.topology(world)))
    assert lives[0] == lives[1]


def test_another_seed_lives_another(demo_spec: WorldSpec):
    series = []
    for seed in (5, 6):
        world = launch(demo_spec, seed)
        world.advance(world.now + timedelta(minutes=5))
        series.append(everything(world))
    assert series[0] != series[1]


def test_a_fault_does_not_shift_the_noise_of_anything_else(world: World):
    other = deepcopy(world)
    faults.inject(other, faults.draw(other, "deploy_latency", 1))
    for one in (world, other):
        one.advance(one.now + timedelta(minutes=20))
    quiet = [w for w, s in enumerate(world.layout.rows) if s.demand_rps > 0.0]
    steps = world.history.rows(360, world.history.count)
    assert np.array_equal(
        world.history.truth("request_rate", steps, quiet), other.history.truth("request_rate", steps, quiet)
    )


def test_a_record_rebuilds_the_same_world(world: World, changed: Callable[..., EnvironmentState]):
    faults.inject(world, faults.draw(world, "traffic_surge", 3))
    world.advance(world.now + timedelta(minutes=3))
    actuators.restart(world, "pricing", "op-1")
    world.advance(world.now + timedelta(minutes=1))
    actuators.apply_desired(world, changed(world, "pricing", cpu_millicores=700), "op-2")
    world.advance(world.now + timedelta(minutes=5))
    again = rebuild(Record.model_validate_json(record(world).model_dump_json()))
    assert everything(again) == everything(world)
    assert readers.changes(again, again.spec.start, again.now) == readers.changes(world, world.spec.start, world.now)
    assert again.effects == world.effects
    assert record(again) == record(world)


def test_a_healthy_day_stays_within_its_objectives(demo_spec: WorldSpec):
    world = launch(demo_spec, seed=11)
    worst = []
    for _ in range(24):
        world.advance(world.now + timedelta(hours=1))
        worst += hurting(world, last_s=3600.0)
    kinds = {e.event.type for e in world.journal.drain(world.elapsed_s)}
    assert worst == []
    assert {"runtime.health.degraded.v1", "runtime.deployment.changed.v1", "runtime.scaling.changed.v1"} <= kinds


def test_the_bus_repeats_and_delays(demo_spec: WorldSpec):
    world = launch(demo_spec, seed=2)
    arrived = []
    for _ in range(6 * 10):
        world.advance(world.now + timedelta(minutes=10))
        arrived += [(world.now, e.event) for e in world.journal.drain(world.elapsed_s)]
    ids = [(e.source, e.id) for _, e in arrived]
    assert len(ids) > len(set(ids))
    assert any(at - e.time > timedelta(minutes=10) for at, e in arrived)


def test_desired_state_is_applied_once_per_operation_and_only_where_it_differs(
    world: World, changed: Callable[..., EnvironmentState]
):
    state = world.environment_state()
    assert actuators.apply_desired(world, state, "op-0") == 0
    goal = changed(world, "pricing", version="v0.9.0")
    assert actuators.apply_desired(world, goal, "op-1") == 1
    assert actuators.apply_desired(world, goal, "op-1") == 0
    assert actuators.apply_desired(world, goal, "op-2") == 0
    assert world.effects == {"op-0": 1, "op-1": 1, "op-2": 1}
    assert world.environment_state() == goal


def test_a_restart_happens_once_per_operation(world: World):
    assert actuators.restart(world, "pricing", "op-1")
    assert not actuators.restart(world, "pricing", "op-1")
    assert len([c for c in world.journal.changes if c.after == "restart"]) == 1


def test_scaling_takes_its_start_up_time(world: World, changed: Callable[..., EnvironmentState]):
    columns = world.layout.columns("transcode")
    before = world.cluster.ready[columns].sum()
    actuators.apply_desired(world, changed(world, "transcode", replicas=5), "op-1")
    world.step()
    assert world.cluster.ready[columns].sum() == before
    world.advance(world.now + timedelta(seconds=60))
    assert world.cluster.ready[columns].sum() == 10


def test_what_others_write_is_told_to_the_document(world: World):
    world.journal.drain_external()
    drawn = faults.draw(world, "deploy_errors", 1)
    faults.inject(world, drawn)
    told = world.journal.drain_external()
    assert [(c.path, c.before, c.after) for c in told] == [
        (("services", drawn.names["service"], "version"), drawn.names["before"], drawn.names["after"])
    ]
    assert world.journal.drain_external() == ()


def test_an_unknown_service_is_refused_before_anything_happens(world: World):
    state = world.environment_state()
    foreign = state.model_copy(update={"services": {**state.services, "ghost": state.services["pricing"]}})
    with pytest.raises(Invalid, match="ghost"):
        actuators.apply_desired(world, foreign, "op-1")
    assert world.effects == {}


def test_random_worlds_differ_and_are_healthy():
    specs = [random_world(seed, services=20).model_copy(update={"retention_steps": 400}) for seed in (1, 2, 3)]
    assert len({tuple(s.id for s in spec.services) for spec in specs}) == 3
    for spec in specs:
        world = launch(spec, seed=4)
        world.advance(world.now + timedelta(minutes=40))
        assert hurting(world, last_s=1200.0) == ()


@pytest.mark.parametrize("name", [f.name for f in faults.FAULTS])
def test_every_fault_finds_a_target_in_a_random_world(name: str, random_launched: World):
    assert faults.draw(random_launched, name, 1).entity


@pytest.fixture(scope="module")
def random_launched() -> World:
    world = launch(random_world(7, services=20).model_copy(update={"retention_steps": 400}), seed=4)
    world.advance(world.now + timedelta(minutes=5))
    return world


def test_time_grows_slower_than_the_world():
    """Vectorised over services: eight times the services must cost well under eight times the time."""
    costs = []
    for size in (40, 320):
        world = launch(random_world(3, services=size, paired=False).model_copy(update={"retention_steps": 100}), seed=1)
        world.advance(world.now + timedelta(minutes=5))
        began = process_time()
        world.advance(world.now + timedelta(minutes=30))
        costs.append(process_time() - began)
    assert costs[1] < 5.0 * costs[0]


def test_an_operation_that_was_carried_out_is_not_carried_out_again(
    world: World, changed: Callable[..., EnvironmentState]
):
    before, goal = world.environment_state(), changed(world, "pricing", version="v0.9.0")
    actuators.apply_desired(world, goal, "op-1")
    actuators.apply_desired(world, before, "op-2")
    assert actuators.apply_desired(world, goal, "op-1") == 0
    assert world.environment_state() == before
