"""Traffic policies take effect in the world: versions side by side, cohorts, regions that take over, limits."""

from datetime import timedelta

import pytest

from domain.desired import EnvironmentState
from domain.policies import ShapingPolicy, TrafficPolicy, VersionSplit
from runtime.simulator import faults
from runtime.simulator.actuators import apply_desired
from runtime.simulator.faults.base import Draw
from runtime.simulator.generator import random_world
from runtime.simulator.live import Traits
from runtime.simulator.readers import series_window
from runtime.simulator.world import World


@pytest.fixture
def world():
    world = World(random_world(3, services=16), 3)
    world.advance(world.now + timedelta(minutes=20))
    return world


def entry(world, regions=2):
    found = [s for s in world.spec.services if s.demand_rps > 0 and len(s.regions) == regions and not s.external]
    return max(found, key=lambda s: s.demand_rps).id


def apply(world, service, operation="op", **changed):
    held = world.live.services[service].model_copy(update=changed)
    apply_desired(world, EnvironmentState(services={service: held}), operation)


def live(world, minutes):
    world.advance(world.now + timedelta(minutes=minutes))


def rate(world, service):
    columns = world.layout.columns(service)
    return world.history.truth(
        "request_rate", world.history.rows(world.history.count - 1, world.history.count), columns
    )[0]


def failing(world, service):
    rows = world.history.rows(world.history.count - 6, world.history.count)
    return float(world.history.truth("error_share", rows, world.layout.columns(service)).mean())


def test_a_bad_candidate_harms_its_share_and_nobody_else(world):
    service = entry(world)
    world.live.traits[service, "v9"] = Traits(error_add=0.5)
    before = failing(world, service)
    apply(world, service, split=VersionSplit(version="v9", share=0.2))
    live(world, 8)
    assert failing(world, service) - before == pytest.approx(0.1, abs=0.02)
    main, beside = world.traffic.splits.kept[service][-1].served
    assert beside.failed - main.failed == pytest.approx(0.5, abs=0.05)
    assert beside.rate / (main.rate + beside.rate) == pytest.approx(0.2)


def test_a_candidate_serves_nothing_before_it_is_up(world):
    service = entry(world)
    apply(world, service, split=VersionSplit(version="v9", share=0.5))
    live(world, 1 / 6)
    assert world.live.beside[service] == ("v9", 0.0)


def test_only_the_candidate_leaks(world):
    service = entry(world)
    world.live.traits[service, "v9"] = Traits(leak_mib_per_krequest=50.0)
    apply(world, service, split=VersionSplit(version="v9", share=0.2))
    live(world, 15)
    main, beside = world.traffic.splits.kept[service][-1].served
    assert beside.memory_mib > main.memory_mib + 10.0
    columns = world.layout.columns(service)
    apply(world, service, "op2", split=None)
    live(world, 1)
    assert world.state.leaked_mib[columns].max() < 1e-6


def test_a_cohort_is_served_by_the_candidate_whole(world):
    service = entry(world)
    owner = world.spec.services[world.layout.service_index[service]].tenant
    apply(world, service, split=VersionSplit(version="v9", tenants=(owner,)))
    live(world, 8)
    own_users = world.live.beside[service][1]
    apply(world, service, "op2", split=VersionSplit(version="v9", tenants=("nobody-else",)))
    live(world, 1)
    assert own_users > 0.9
    assert world.live.beside[service][1] == 0.0


def test_versions_that_are_both_up_change_places_without_a_rollout(world):
    service, former = entry(world), None
    former = world.live.services[service].version
    apply(world, service, split=VersionSplit(version="v9"))
    live(world, 8)
    apply(world, service, "op2", version="v9", split=VersionSplit(version=former))
    assert world.live.rollouts[service].end_s == world.elapsed_s
    apply(world, service, "op3", version=former, split=None)
    assert world.live.rollouts[service].end_s == world.elapsed_s
    apply(world, service, "op4", version="v9")
    assert world.live.rollouts[service].end_s > world.elapsed_s


def test_a_region_that_is_dark_is_taken_over_for_in_the_order_named(world):
    service = entry(world)
    first, second = world.spec.services[world.layout.service_index[service]].regions
    apply(world, service, traffic=TrafficPolicy(region_failover=(first, second)))
    faults.inject(world, Draw(fault="region_loss", entity=f"region/{first}", names={"region": first}))
    live(world, 10)
    order = [world.layout.regions[int(world.layout.region_of[c])] for c in world.layout.columns(service)]
    served = dict(zip(order, rate(world, service), strict=True))
    assert served[first] == 0.0
    assert served[second] > 0.0
    faults.undo(world, Draw(fault="region_loss", entity=f"region/{first}", names={"region": first}))
    live(world, 15)
    assert rate(world, service).min() > 0.0


def test_without_a_failover_order_nobody_takes_over(world):
    service = entry(world)
    first = world.spec.services[world.layout.service_index[service]].regions[0]
    faults.inject(world, Draw(fault="region_loss", entity=f"region/{first}", names={"region": first}))
    live(world, 10)
    assert rate(world, service).min() > 0.0


def test_a_rate_limit_turns_the_rest_away_and_says_so(world):
    service = entry(world)
    most = 0.5 * float(rate(world, service).sum())
    apply(world, service, traffic=TrafficPolicy(rate_limit_rps=most))
    live(world, 5)
    assert float(rate(world, service).sum()) == pytest.approx(most, rel=0.02)
    told = series_window(world, world.now - timedelta(minutes=2), world.now, entities=(f"service/{service}",))
    assert any(s.metric == "turned_away_standard" and min(s.values) > 0.0 for s in told)


def shared(world):
    """A service that several tenants' services call, and the tenants."""
    found = []
    for spec in world.spec.services:
        edges = world.layout.edges(callee=spec.id)
        owners = {int(world.demand.tenant_of[world.plant.graph.caller[e]]) for e in edges}
        if not spec.external and len(owners) > 1:
            found.append((spec.id, [world.demand.tenants[o] for o in sorted(owners)]))
    return found[0]


def test_who_is_sheddable_goes_first_and_who_is_critical_last(world):
    service, tenants = shared(world)
    priorities = {tenants[0]: "sheddable", tenants[1]: "critical"}
    most = 0.8 * float(rate(world, service).sum())
    apply(world, service, traffic=TrafficPolicy(rate_limit_rps=most, shaping=ShapingPolicy(priorities=priorities)))
    live(world, 5)
    last = world.history.count - 1
    away = {
        p: world.history.rare[f"turned_away_{p}"][last][world.layout.columns(service)].sum()
        for p in ("critical", "sheddable")
    }
    assert away["sheddable"] > 0.0
    assert away["critical"] == 0.0


def test_a_limit_of_requests_in_work_bounds_them(world):
    service = entry(world)
    latency = world.history.truth(
        "latency_mean_ms",
        world.history.rows(world.history.count - 1, world.history.count),
        world.layout.columns(service),
    )[0]
    in_work = float((rate(world, service) * latency / 1000.0).sum())
    apply(world, service, traffic=TrafficPolicy(shaping=ShapingPolicy(max_concurrency=max(1, round(in_work / 2)))))
    live(world, 5)
    assert world.history.rare["turned_away_standard"][world.history.count - 1].sum() > 0.0
