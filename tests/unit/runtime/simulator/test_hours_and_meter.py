"""Hours a service runs in, and the meter: what sleeps has no replicas and costs nothing, and comes back as it was."""

from datetime import timedelta

import numpy as np
import pytest

from domain.policies import RunHours
from runtime.simulator import actuators
from runtime.simulator.demo import demo_world
from runtime.simulator.world import World

SPEC = demo_world().model_copy(update={"retention_steps": 60, "step_s": 60})


@pytest.fixture
def world():
    world = World(SPEC, seed=1)
    world.advance(world.now + timedelta(minutes=20))
    return world


def hours(world, service, wanted):
    state = world.environment_state()
    changed = state.services[service].model_copy(update={"schedule": wanted})
    actuators.apply_desired(
        world, state.model_copy(update={"services": {**state.services, service: changed}}), f"k{world.elapsed_s}"
    )


@pytest.mark.parametrize("service", ["transcode", "player-api"])
def test_out_of_its_hours_nothing_runs_and_in_them_it_is_back(world, service):
    columns, now = world.layout.columns(service), world.now.hour
    ran = world.cluster.ready[columns].copy()
    hours(world, service, RunHours(on_hour_utc=(now + 2) % 24, off_hour_utc=(now + 1) % 24))
    world.advance(world.now.replace(minute=0) + timedelta(minutes=90))
    assert world.cluster.ready[columns].sum() == 0
    assert world.meter.closed[-1].requested[columns].sum() == 0
    world.advance(world.now + timedelta(minutes=60))
    assert (world.cluster.ready[columns] >= np.minimum(ran, 2)).all()


def test_taking_the_hours_back_wakes_it(world):
    columns, now = world.layout.columns("transcode"), world.now.hour
    hours(world, "transcode", RunHours(on_hour_utc=(now + 3) % 24, off_hour_utc=now))
    world.advance(world.now + timedelta(minutes=5))
    assert world.cluster.ready[columns].sum() == 0
    hours(world, "transcode", None)
    world.advance(world.now + timedelta(minutes=10))
    assert (world.cluster.ready[columns] == world.live.services["transcode"].replicas).all()


def test_hours_go_past_midnight_and_equal_hours_mean_always(world):
    night = RunHours(on_hour_utc=22, off_hour_utc=4)
    at = world.now.replace(hour=0)
    assert [night.runs_at(at.replace(hour=h)) for h in (21, 22, 23, 0, 3, 4)] == [False, True, True, True, True, False]
    assert RunHours(on_hour_utc=5, off_hour_utc=5).runs_at(at)


def test_the_days_bill_is_the_meter_times_the_price_to_the_cent(world):
    world.advance(world.spec.start + timedelta(hours=48))
    day = next(b for b in world.billing.bills if b.service == "transcode" and b.start.hour == 0)
    first = (day.start - world.spec.start).total_seconds()
    columns = world.layout.columns("transcode")
    metered = sum(i.requested[columns].sum() for i in world.meter.closed if first <= i.start_s < first + 86_400)
    pool = world.layout.pools[int(world.layout.pool_of[columns[0]])]
    price = world.billing.prices[world.node_pools[pool].sku] / 8.0
    assert metered * price == pytest.approx(day.amount_usd, abs=0.01)
