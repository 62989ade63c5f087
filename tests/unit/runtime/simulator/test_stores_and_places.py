"""Faults of databases, limits, regions and networks on random worlds: what they do, and what does not help."""

from collections.abc import Callable
from copy import deepcopy
from datetime import timedelta

import numpy as np
import pytest

from domain.evidence import MetricSeries, SpanStats
from runtime.simulator import actuators, faults, readers
from runtime.simulator.faults import Answer
from runtime.simulator.faults.targets import callers_of
from runtime.simulator.gauges import Gauges, Ramp
from runtime.simulator.generator import random_world
from runtime.simulator.record import launch
from runtime.simulator.verdict import hurting
from runtime.simulator.world import World

SEEDS = (0, 3)
PLACED = ("cpu_throttle", "lock_contention", "replication_lag", "network_delay", "network_loss", "network_partition")
NETWORK = ("network_delay", "network_loss", "network_partition")


@pytest.fixture(scope="module")
def _worlds() -> dict[int, World]:
    worlds: dict[int, World] = {}
    for seed in SEEDS:
        world = launch(random_world(seed).model_copy(update={"retention_steps": 900}), seed)
        world.advance(world.now + timedelta(minutes=45))
        worlds[seed] = world
    return worlds


@pytest.fixture(params=SEEDS)
def world(request: pytest.FixtureRequest, _worlds: dict[int, World]) -> World:
    return deepcopy(_worlds[request.param])


def strike(world: World, name: str) -> tuple[faults.Draw, faults.Truth]:
    drawn = faults.draw(world, name, world.seed)
    return drawn, faults.inject(world, drawn)


def run(world: World, minutes: float) -> None:
    world.advance(world.now + timedelta(minutes=minutes))


def series(world: World, service: str, metric: str, minutes: int = 5) -> list[float]:
    rows = readers.series_window(world, world.now - timedelta(minutes=minutes), world.now)
    row: MetricSeries = next(r for r in rows if (r.entity, r.metric) == (f"service/{service}", metric))
    return [v for v in row.values if v is not None]


def ways(world: World, callee: str) -> list[SpanStats]:
    found = readers.spans(world, world.now - timedelta(minutes=30), world.now - timedelta(minutes=5), world.now)
    return [s for s in found if s.peer == f"service/{callee}"]


@pytest.mark.parametrize("name", PLACED)
def test_the_right_command_heals_and_the_same_elsewhere_does_not(
    world: World, name: str, carry_out: Callable[[World, Answer], None]
):
    _, truth = strike(world, name)
    run(world, 7)
    assert hurting(world)
    right = truth.answers[0]
    # whoever calls it can be led around a bad place as well: what is neither that nor meant must not help
    above = callers_of(world, truth.entity.partition("/")[2])
    named = {a.target for a in truth.answers} | {truth.entity} | {f"service/{s}" for s in above}
    like = [s for s in world.spec.services if not s.external and s.address not in named and len(s.regions) > 1]
    wrong = next(s for s in like if s.archetype != "database" and s.scaling is not None)
    beside, healed = deepcopy(world), world
    carry_out(beside, right.model_copy(update={"target": wrong.address}))
    carry_out(healed, right)
    run(beside, 12)
    run(healed, 12)
    assert hurting(beside)
    assert hurting(healed) == ()


def test_a_lock_leaves_the_cpu_idle_and_bounds_what_gets_through(world: World):
    drawn, _ = strike(world, "lock_contention")
    store, holder = drawn.names["service"], drawn.names["holder"]
    usual = max(series(world, store, "cpu_utilisation"))
    run(world, 6)
    assert max(series(world, store, "cpu_utilisation", 2)) < 1.2 * usual
    assert min(series(world, store, "lock_waiters", 2)) > 5.0
    assert max(series(world, holder, "oldest_transaction_s", 2)) > 240.0
    lines = readers.log_lines(world, world.now - timedelta(minutes=1), world.now, store)
    assert any("row lock" in line.text for line in lines)


def test_a_release_of_the_holder_waits_while_somebody_works_on_it(world: World):
    drawn, _ = strike(world, "lock_contention")
    assert {drawn.names["holder"], drawn.names["service"]} <= world.live.held
    faults.undo(world, drawn)
    assert not {drawn.names["holder"], drawn.names["service"]} & world.live.held


def test_a_stopped_service_looks_modest_to_its_autoscaler(world: World):
    drawn, _ = strike(world, "cpu_throttle")
    service = drawn.names["service"]
    replicas = max(series(world, service, "replicas_desired"))
    run(world, 8)
    assert min(series(world, service, "cpu_periods_throttled", 2)) > 0.5
    assert max(series(world, service, "cpu_utilisation", 2)) < 0.6
    assert max(series(world, service, "replicas_desired", 2)) <= replicas


def test_a_full_disk_refuses_writes_and_a_larger_replica_changes_nothing(world: World):
    drawn, _ = strike(world, "disk_full")
    store = drawn.names["service"]
    run(world, 10)
    assert min(series(world, store, "disk_used", 2)) > 0.95
    assert min(series(world, store, "error_rate", 2)) > 0.1
    actuators.restart(world, store, "op-1")
    run(world, 10)
    assert hurting(world)


def test_a_replica_that_lags_fails_readers_in_its_region_only(world: World):
    drawn, _ = strike(world, "replication_lag")
    run(world, 8)
    columns = world.layout.columns(drawn.names["service"])
    failed = world.history.recent("own_failed", columns)
    assert failed[1] > 0.1
    assert failed[0] < 0.01
    assert min(series(world, drawn.names["service"], "replica_lag_s", 2)) > 100.0


@pytest.mark.parametrize("name", NETWORK)
def test_a_bad_way_is_its_callers_trouble_and_traces_say_where(world: World, name: str):
    drawn, _ = strike(world, name)
    service, region = drawn.names["service"], drawn.names["region"]
    assert ways(world, service) == []
    usual = max(series(world, service, "latency_p95_ms"))
    run(world, 6)
    bad = [s for s in ways(world, service) if max(s.current_self_ms) > 50.0]
    assert bad
    assert {s.peer_region for s in bad} == {region}
    assert min(series(world, service, "latency_p95_ms", 2)) < 1.3 * usual
    resent = [max(series(world, s.entity.partition("/")[2], "tcp_retransmits", 2)) for s in bad]
    assert (max(resent) > 0.01) == (name != "network_delay")


def test_a_refused_pool_leaves_replicas_waiting_and_says_so(world: World):
    drawn, _ = strike(world, "quota_hit")
    service, pool = drawn.names["service"], drawn.names["pool"]
    run(world, 14)
    assert min(series(world, service, "replicas_desired", 2)) > max(series(world, service, "replicas_ready", 2))
    told = [c for c in readers.changes(world, world.spec.start, world.now) if c.entity == f"node_pool/{pool}"]
    assert told
    assert all(isinstance(c.after, dict) and c.after["refused_replicas"] for c in told)
    sent = [s.event for s in world.journal.drain(world.elapsed_s) if s.event.source.endswith("/scheduler")]
    assert sent


def test_users_led_out_of_a_dark_region_are_served(world: World, carry_out: Callable[[World, Answer, str], None]):
    _, truth = strike(world, "region_loss")
    run(world, 5)
    alone = deepcopy(world)
    carry_out(alone, truth.answers[0], "op-0")
    for nth, answer in enumerate(truth.answers):
        carry_out(world, answer, f"op-{nth}")
    run(alone, 15)
    run(world, 15)
    assert any(h.errors > 1.0 for h in hurting(alone))
    left = {h.service for h in hurting(world)}
    assert left <= {s.id for s in world.spec.services if s.scaling is None}


def test_a_gauge_follows_its_ramps_and_costs_nothing_before():
    gauges = Gauges()
    gauges.tell("disk", 0, Ramp(10, 0.5, per_step=0.1, most=0.8))
    gauges.tell("disk", 0, Ramp(20, 0.2))
    steps = np.array([0, 10, 12, 19, 20, 30])
    assert gauges.read("disk", 0, steps, 0.4).tolist() == pytest.approx([0.4, 0.5, 0.7, 0.8, 0.2, 0.2])
    assert gauges.read("disk", 1, steps, 0.4).tolist() == [0.4] * 6
