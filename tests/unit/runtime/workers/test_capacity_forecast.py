"""The capacity worker on worlds: quiet where there is room, in time where there will not be, within the quota."""

from copy import deepcopy
from datetime import timedelta

import numpy as np
import pytest

from domain.base import TimeRange
from domain.command_kinds import CATALOGUE
from domain.findings import OWNER_OF, Act
from domain.ids import PLATFORM
from domain.topology import EntityRef
from evals.services.cost_place import cost_place, lived
from runtime.capacity import usage
from runtime.capacity.outlook import outlook
from runtime.capacity.usage import Use
from runtime.simulator import readers
from runtime.simulator.demand import Trend
from runtime.simulator.outages import Outage
from runtime.workers import WORKERS
from runtime.workers.capacity_forecast import CapacityForecastWorker

SEED, DAYS = 0, 2.5


@pytest.fixture
async def place(tmp_path):
    place = cost_place(lived(SEED, DAYS), tmp_path)
    yield place
    place.parts.database.close()


WORKER = CapacityForecastWorker()


async def looks(place, hours, *, until=lambda found: False):
    """What each look finds, a quarter of an hour apart."""
    seen = []
    for _ in range(int(hours * 4)):
        place.world.advance(place.world.now + WORKER.every)
        place.clock.move_to(place.world.now)
        await place.convergence.reconcile()
        seen.append(await WORKER.look(place.parts, place.world.spec.environment))
        if until(seen[-1]):
            break
    return seen


def grow(place, name, per_day):
    columns = tuple(place.world.layout.columns(name))
    place.world.demand.trends["growth"] = Trend(columns=columns, since=place.world.now, growth_per_day=per_day)


def entry(place, *, scaled):
    return next(s for s in place.world.spec.services if s.demand_rps > 0 and (s.scaling is not None) is scaled)


async def test_a_healthy_place_is_quiet(place):
    assert set(await looks(place, 6)) == {()}


@pytest.mark.parametrize(("scaled", "kind"), [(True, "scaling_policy.update"), (False, "service.scale")])
async def test_growth_is_found_before_it_needs_the_room_and_the_narrowest_change_makes_it(place, scaled, kind):
    service = entry(place, scaled=scaled)
    grow(place, service.id, 6.0)
    found = next(f for f in (await looks(place, 12, until=bool))[-1] if f.resource == service.address)
    assert (found.kind, found.tenant) == ("capacity.service", service.tenant)
    assert found.severity == "warning"
    (act,) = found.acts
    assert act.kind == kind
    await place.do(act)
    assert service.address not in {f.resource for f in (await looks(place, 0.25))[-1]}


async def test_a_pool_that_its_services_outgrow_gets_nodes_in_whole_zones(place):
    pool, zones = "own-uksouth", 3
    few = Act(
        kind="node_pool.scale", arguments={"node_pool": pool, "node_count": 5},
        target=EntityRef(kind="node_pool", id=pool), rationale="too few", confidence=1.0,
    )  # fmt: skip
    await place.do(few)
    (found,) = (await looks(place, 6, until=bool))[-1]
    assert (found.kind, found.resource) == ("capacity.node_pool", f"node_pool/{pool}")
    (act,) = found.acts
    assert act.kind == "node_pool.scale"
    assert 5 < act.arguments["node_count"] <= 12
    assert act.arguments["node_count"] % zones == 0
    await place.do(act)
    assert (await looks(place, 0.25))[-1] == ()


def test_no_proposal_more_than_doubles_what_there_may_be(place):
    topology = readers.topology(place.world)
    service = entry(place, scaled=True)
    start = place.world.now - timedelta(days=3)
    steep = tuple(float(v) for v in np.concatenate([np.full(280, 1.0), np.geomspace(1.0, 80.0, 8)]))
    needs = outlook(
        topology, place.world.environment_state(), {service.id: Use(start=start, cores=steep)}, WORKER.every
    )
    need = next(n for n in needs if n.resource == service.address)
    assert need.wanted == 2 * service.scaling.max_replicas


async def test_one_finding_while_it_stands_and_rest_when_it_is_over(place):
    service = entry(place, scaled=True)
    grow(place, service.id, 6.0)
    first = (await looks(place, 12, until=bool))[-1]
    again = await looks(place, 2)
    assert {f.id for f in first} <= {f.id for f in again[-1]}
    place.world.demand.trends["growth"] = Trend(columns=tuple(place.world.layout.columns(service.id)),
                                                since=place.world.now, level=0.3)  # fmt: skip
    assert (await looks(place, 6, until=lambda found: not found))[-1] == ()


async def test_a_quota_is_the_limit_and_nothing_is_proposed(tmp_path):
    world = deepcopy(lived(SEED, DAYS))
    narrow = [
        b.model_copy(update={"quota": b.quota.model_copy(update={"max_replicas_per_service": 1})})
        for b in world.spec.tenants
    ]
    world.spec = world.spec.model_copy(update={"tenants": tuple(narrow)})
    place = cost_place(world, tmp_path)
    service = entry(place, scaled=True)
    grow(place, service.id, 6.0)
    found = next(f for f in (await looks(place, 12, until=bool))[-1] if f.resource == service.address)
    assert found.acts == ()
    assert "quota" in found.summary
    place.parts.database.close()


async def test_without_telemetry_nothing_is_found_and_what_stood_stays(place):
    service = entry(place, scaled=True)
    grow(place, service.id, 6.0)
    first = (await looks(place, 12, until=bool))[-1]
    place.world.outages.append(
        Outage(signal="metrics", during=TimeRange(start=place.world.now, end=place.world.now + timedelta(hours=2)))
    )
    blind = (await looks(place, 1))[-1]
    assert {f.id for f in blind} == {f.id for f in first}


async def test_a_young_place_says_nothing(tmp_path):
    place = cost_place(lived(SEED, 0.5), tmp_path)
    grow(place, entry(place, scaled=True).id, 20.0)
    assert set(await looks(place, 4)) == {()}
    place.parts.database.close()


async def test_use_outlives_what_monitoring_keeps_and_a_look_adds_only_what_is_new(place):
    await looks(place, 0.5)
    with place.parts.database.read() as connection:
        kept = {d.id: d for d in usage.USE.list(connection, place.world.spec.environment)}
    one = kept[entry(place, scaled=True).id]
    assert one.place.tenant != PLATFORM
    assert one.body.end <= place.clock.now() < one.body.end + usage.SAMPLE
    assert len(one.body.cores) >= DAYS * usage.DAY - 2
    assert None not in one.body.cores


def test_it_is_in_the_tables():
    worker = next(w for w in WORKERS if w.name == "capacity_forecast")
    assert worker.every == timedelta(minutes=15)
    assert {k for k, row in OWNER_OF.items() if row.detects == worker.name} == {
        "capacity.service", "capacity.node_pool",
    }  # fmt: skip
    for kind in ("scaling_policy.update", "service.scale", "node_pool.scale"):
        assert worker.name in CATALOGUE[kind].proposers
