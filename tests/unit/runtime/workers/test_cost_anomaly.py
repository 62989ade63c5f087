"""The cost worker on worlds: the right cause in time, a safe command or a ticket, and quiet where nothing is wrong."""

from datetime import timedelta

import pytest

from domain.command_kinds import CATALOGUE
from domain.findings import OWNER_OF
from evals.services.cost_injections import WITHIN_MIN, injected
from evals.services.cost_place import cost_place, lived
from runtime.services.cost.anomalies import LEAST_USD_PER_MONTH
from runtime.simulator import actuators, faults
from runtime.workers import WORKERS

SEED, DAYS = 1, 2.5


@pytest.fixture
async def place(tmp_path):
    place = cost_place(lived(SEED, DAYS), tmp_path)
    await place.live(0)
    yield place
    place.parts.database.close()


async def after(place, minutes=15):
    """What is found, looked at every five minutes."""
    for _ in range(minutes // 5):
        await place.live(5)
    return await place.look()


async def test_a_healthy_place_is_quiet_and_a_restated_bill_is_no_usage(place):
    assert await place.look() == ()
    faults.inject(place.world, faults.draw(place.world, "billing_restated", SEED))
    assert await after(place) == ()


@pytest.mark.parametrize("fault", ["over_provisioned", "runaway_job", "wrong_sku", "price_change"])
async def test_waste_is_told_in_time_by_its_cause_with_the_right_command(tmp_path, fault):
    one = await injected(fault, SEED, tmp_path)
    assert one.minutes is not None
    assert one.minutes <= WITHIN_MIN
    assert (one.right_cause, one.right_act, one.others) == (True, True, 0)


async def test_a_meter_that_runs_late_is_not_in_time(tmp_path):
    assert (await injected("runaway_job", SEED, tmp_path, late=True)).minutes is None


async def test_a_dearer_price_is_no_usage_and_what_follows_is_no_change_of_replicas(place):
    faults.inject(place.world, faults.draw(place.world, "price_change", SEED))
    found = await after(place)
    assert {f.kind for f in found} == {"cost.price"}
    assert not {a.kind for f in found for a in f.acts} & {"service.scale", "scaling_policy.update"}
    assert all("quantity +0.000" in f.evidence[-1] for f in found)


async def test_a_raised_floor_is_written_back_as_it_was_and_the_finding_ends(place):
    drawn = faults.draw(place.world, "over_provisioned", SEED)
    name = drawn.names["name"]
    before = place.world.live.services[name].scaling
    faults.inject(place.world, drawn)
    (finding,) = [f for f in await after(place) if f.resource == drawn.entity]
    (act,) = finding.acts
    assert act.arguments == {"service": name, "policy": before.model_dump(mode="json")}
    assert (finding.tenant, finding.amount_usd >= LEAST_USD_PER_MONTH) == (_owner(place, name), True)
    await place.do(act)
    for _ in range(6):
        await place.live(15)
    assert [f for f in await place.look() if f.resource == drawn.entity] == []


async def test_what_needs_its_replicas_is_told_to_its_owner_and_not_taken_away(place):
    drawn = faults.draw(place.world, "runaway_job", SEED)
    faults.inject(place.world, drawn)
    (finding,) = [f for f in await after(place) if f.resource == drawn.entity]
    assert [a.kind for a in finding.acts] == ["ticket.open"]
    assert "usage" in finding.acts[0].arguments["cause"]


async def test_drift_is_told_and_left_to_whoever_reconciles_it(place):
    name = next(n for n, s in sorted(place.world.live.services.items()) if s.scaling is None)
    more = place.world.live.services[name].replicas * 2
    actuators.write_by_hand(place.world, ("services", name, "replicas"), more, "ops")
    found = [f for f in await after(place) if f.resource == f"service/{name}"]
    assert [(f.kind, f.acts) for f in found] == [("cost.usage", ())]


async def test_what_is_below_the_gate_is_nobodys_work(place):
    name = next(n for n, s in sorted(place.world.live.services.items()) if s.scaling is None)
    state = place.world.live.services[name]
    actuators.write_externally(place.world, ("services", name, "cpu_millicores"), state.cpu_millicores + 10, "ci")
    assert await after(place, 20) == ()


async def test_every_finding_has_an_owner_who_may_propose_its_command(place):
    for fault in ("over_provisioned", "wrong_sku"):
        faults.inject(place.world, faults.draw(place.world, fault, SEED))
    found = await after(place)
    assert len(found) >= 2
    assert all(OWNER_OF[f.kind].proposes == f.owner == place.worker.name for f in found)
    assert all(place.worker.name in CATALOGUE[a.kind].proposers for f in found for a in f.acts)


def test_it_looks_as_often_as_the_meter_closes():
    (worker,) = [w for w in WORKERS if w.name == "cost_anomaly"]
    assert worker.every == timedelta(minutes=5)


def _owner(place, name):
    return place.world.layout.services[place.world.layout.service_index[name]].tenant
