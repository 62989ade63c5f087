"""Faults that no objective shows: what runs differs from what shall, money buys nothing, something would go wrong."""

from collections.abc import Callable
from copy import deepcopy
from datetime import timedelta

import numpy as np
import pytest

from domain.desired import EnvironmentState
from runtime.simulator import actuators, faults, readers
from runtime.simulator.faults import FAULTS, Draw
from runtime.simulator.generator import foreign_laws, random_world
from runtime.simulator.record import launch
from runtime.simulator.verdict import hurting, slo_minutes_lost
from runtime.simulator.world import World

QUIET = [f for f in FAULTS if f.domain in {"drift", "cost", "resilience"}]
EXPOSING = [f.name for f in QUIET if f.exposed is not None]
WASTING = [f.name for f in QUIET if f.wasted_usd_per_hour is not None]
BY_HAND = [f.name for f in FAULTS if f.domain == "drift"]
BY_PIPELINE = ["over_provisioned", "wrong_sku", "slow_scaling_policy", "cap_too_low", "missing_replica", "single_zone"]
# These show in hours or days; a tenth as many steps is enough to see them.
CAPACITY = [f.name for f in FAULTS if f.domain == "capacity"]


def run(world: World, minutes: float) -> None:
    world.advance(world.now + timedelta(minutes=minutes))


def strike(world: World, name: str, seed: int = 1) -> Draw:
    drawn = faults.draw(world, name, seed)
    faults.inject(world, drawn)
    return drawn


def cost(world: World) -> float:
    """USD per hour of all services as readers tell it, over the last five minutes."""
    found = readers.series_window(world, world.now - timedelta(minutes=5), world.now)
    return sum(float(np.mean([v or 0.0 for v in s.values])) for s in found if s.metric == "cost_usd_per_hour")


def test_every_domain_has_its_faults():
    counts = {d: sum(f.domain == d for f in FAULTS) for d in ("drift", "cost", "capacity", "resilience")}
    assert counts == {"drift": 6, "cost": 6, "capacity": 4, "resilience": 3}


@pytest.mark.parametrize("name", [f.name for f in QUIET])
def test_a_quiet_fault_hurts_nobody(world: World, name: str):
    strike(world, name, seed=2)
    run(world, 25)
    assert hurting(world, last_s=1200.0) == ()


@pytest.mark.parametrize("name", EXPOSING)
def test_exposure_lasts_from_inject_to_undo(world: World, name: str):
    drawn = strike(world, name)
    run(world, 5)
    assert faults.harm(world, drawn).exposed
    faults.undo(world, drawn)
    assert not faults.harm(world, drawn).exposed


@pytest.mark.parametrize("name", WASTING)
def test_waste_is_money_spent_from_inject_to_undo(world: World, name: str):
    calm = deepcopy(world)
    drawn = next(d for seed in range(20) if _wastes(world, d := faults.draw(world, name, seed)))
    faults.inject(world, drawn)
    for one in (world, calm):
        run(one, 15)
    wasted = faults.harm(world, drawn).wasted_usd_per_hour
    assert wasted > 0.0
    if name != "idle_service":  # what runs for nothing did run before, for something
        assert cost(world) > cost(calm) * 1.005
    faults.undo(world, drawn)
    assert faults.harm(world, drawn).wasted_usd_per_hour == 0.0


def _wastes(world: World, drawn: Draw) -> bool:
    """A fleet that a person halves wastes nothing."""
    return drawn.fault != "manual_scale" or int(drawn.names["after"]) > int(drawn.names["before"])


@pytest.mark.parametrize("name", BY_HAND)
def test_what_a_person_did_is_live_and_not_in_the_document(world: World, name: str):
    desired = world.environment_state()
    world.journal.drain_external()
    drawn = strike(world, name)
    assert world.journal.drain_external() == ()
    assert world.environment_state() != desired
    told = readers.changes(world, world.now, world.now + timedelta(seconds=1))
    assert (drawn.entity, drawn.names["actor"]) in {(c.entity, c.actor) for c in told}


@pytest.mark.parametrize("name", BY_HAND)
def test_reconciling_ends_drift(world: World, name: str):
    desired = world.environment_state()
    drawn = strike(world, name)
    run(world, 5)
    actuators.apply_desired(world, desired, "op-1")
    run(world, 5)
    assert not faults.present(world, drawn)
    assert world.environment_state() == desired


@pytest.mark.parametrize("name", BY_PIPELINE)
def test_what_a_pipeline_did_is_wanted_and_live(world: World, name: str):
    world.journal.drain_external()
    drawn = strike(world, name)
    assert [c.path[1] for c in world.journal.drain_external()] == [drawn.names["name"]]


def test_a_store_without_backups_grows_older_and_an_unsound_one_does_not(world: World):
    ages: dict[str, float] = {}
    for name in ("backup_disabled", "backup_not_restorable"):
        one = deepcopy(world)
        drawn = strike(one, name, seed=4)
        one.backups.step(one.elapsed_s + 90_000.0, one.data_stores)
        store = drawn.entity.partition("/")[2]
        ages[name] = float(one.backups.age_h(store, np.array([one.elapsed_s + 90_000.0]))[0])
    assert ages["backup_disabled"] > 25.0
    assert ages["backup_not_restorable"] < 25.0


def test_only_a_drill_tells_that_a_backup_is_worthless(world: World):
    calm = deepcopy(world)
    drawn = strike(world, "backup_not_restorable")
    for one in (world, calm):
        run(one, 10)
    window = (world.now - timedelta(minutes=10), world.now)
    assert readers.series_window(world, *window) == readers.series_window(calm, *window)
    assert world.environment_state() == calm.environment_state()
    assert not actuators.drill_restore(world, drawn.names["store"], "op-1")
    assert actuators.drill_restore(calm, drawn.names["store"], "op-1")
    said = [e.event.data for e in world.journal.drain(world.elapsed_s)]
    assert any("restore drill" in str(d) and "cannot be decrypted" in str(d) for d in said)


def test_a_restore_point_by_hand_covers_until_the_next_is_due(world: World):
    drawn = strike(world, "backup_not_restorable")
    assert actuators.create_restore_point(world, drawn.names["store"], "op-1")
    assert not actuators.create_restore_point(world, drawn.names["store"], "op-1")
    assert faults.present(world, drawn)
    assert not faults.harm(world, drawn).exposed
    assert world.backups.lost_h(drawn.names["store"], world.elapsed_s + 27 * 3600.0) > 26.0


def test_a_service_in_one_zone_falls_with_it_and_a_spread_one_does_not(world: World):
    spread = deepcopy(world)
    drawn = next(
        d
        for seed in range(20)
        if len(world.layout.columns((d := faults.draw(world, "single_zone", seed)).names["name"])) == 2
    )
    faults.inject(world, drawn)
    lost = {}
    for name, one in (("bound", world), ("spread", spread)):
        run(one, 5)
        columns = one.layout.columns(drawn.names["name"])
        before = one.cluster.ready[columns].copy()
        one.cluster.set_zone(0, 0, up=False)
        lost[name] = float(before[0] - one.cluster.ready[columns][0]) / float(before[0])
    assert lost["bound"] == 1.0
    assert lost["spread"] < 0.7


def test_a_price_change_shows_in_the_inventory_and_not_in_the_runtime(world: World):
    calm = deepcopy(world)
    drawn = strike(world, "price_change")
    pools = {p.id: p.cost_usd_per_node_hour for p in readers.topology(world).node_pools}
    was = {p.id: p.cost_usd_per_node_hour for p in readers.topology(calm).node_pools}
    dearer = {p for p in pools if pools[p] > was[p]}
    assert dearer == {drawn.entity.partition("/")[2], *(a.partition("/")[2] for a in drawn.also)}
    assert world.environment_state() == calm.environment_state()


def test_restated_bills_are_put_right_by_the_next_run(world: World):
    world.journal.drain(world.elapsed_s)
    drawn = strike(world, "billing_restated")
    run(world, 60)
    first = _restated(world)
    run(world, 6 * 60)
    second = _restated(world)
    assert len(first) == len(second) == 2
    assert all(a > 1.4 * b for a, b in zip(first, second, strict=True))
    assert not faults.present(world, drawn)


def _restated(world: World) -> list[float]:
    sent = {e.event.id: e.event for e in world.journal.drain(world.elapsed_s) if "billing" in e.event.type}
    return [float(str(e.data["amount_usd"])) for e in sent.values() if e.data["restated"]]


def test_days_are_billed_late_and_as_metered(demo_spec):
    world = launch(demo_spec.model_copy(update={"step_s": 60, "chatter": False}), seed=3)
    run(world, 60 * 26)
    bills = [e for e in world.journal.drain(world.elapsed_s) if e.event.type == "runtime.billing.recorded.v1"]
    assert len(bills) == len(world.live.services)
    hours = 15.0
    total = sum(float(str(e.event.data["amount_usd"])) for e in bills)
    assert total == pytest.approx(cost(world) * hours, rel=0.3)


@pytest.fixture(scope="module")
def coarse() -> World:
    """A random world in minutes, an hour after it began."""
    spec = random_world(5, services=16, laws=foreign_laws(5))
    world = launch(spec.model_copy(update={"step_s": 60, "retention_steps": 4000}), seed=5)
    run(world, 60)
    return world


@pytest.mark.parametrize("name", CAPACITY)
def test_capacity_faults_hurt_at_a_peak_to_come(coarse: World, name: str):
    world, calm = deepcopy(coarse), deepcopy(coarse)
    drawn = strike(world, name)
    days = 3 if name == "organic_growth" else 1
    for one in (world, calm):
        run(one, days * 24 * 60)
    began = coarse.elapsed_s
    assert slo_minutes_lost(calm, began) == 0.0
    assert slo_minutes_lost(world, began) > 30.0
    assert faults.present(world, drawn)


@pytest.mark.parametrize("name", CAPACITY)
def test_a_better_policy_in_time_spares_the_peak(coarse: World, name: str, changed: Callable[..., EnvironmentState]):
    world = deepcopy(coarse)
    usual = {s: state.scaling for s, state in world.live.services.items()}
    service = strike(world, name).entity.partition("/")[2]
    policy = usual[service]
    assert policy is not None
    more = policy.model_copy(update={"max_replicas": 3 * policy.max_replicas})
    actuators.apply_desired(world, changed(world, service, scaling=more), "op-1")
    run(world, 30 * 60)
    assert slo_minutes_lost(world, coarse.elapsed_s) == 0.0


@pytest.mark.parametrize("name", [f.name for f in FAULTS if f.domain != "sre"])
@pytest.mark.parametrize("seed", range(3))
def test_every_random_world_offers_a_target(fleet: list[World], seed: int, name: str):
    drawn = faults.draw(fleet[seed], name, seed)
    assert faults.draw(fleet[seed], name, seed) == drawn


@pytest.fixture(scope="module")
def fleet() -> list[World]:
    worlds = []
    for seed in range(3):
        worlds.append(launch(random_world(seed, services=14, laws=foreign_laws(seed)), seed=seed))
        run(worlds[-1], 10)
    return worlds


def test_the_document_form_of_a_hand_change_is_one_field(world: World, changed: Callable[..., EnvironmentState]):
    before = world.environment_state()
    drawn = strike(world, "manual_image")
    goal = changed(world, drawn.names["name"], version=before.services[drawn.names["name"]].version)
    assert goal == before
