"""Advice on carbon: a cleaner region only where every tenant that is served may be, and only where it is surely so."""

import pytest

from domain.desired import DesiredState, EnvironmentState, apply_patches
from domain.ids import PLATFORM, CommandId
from domain.policies import ScalingPolicy
from domain.tenancy import Residency
from runtime.grid.ports import GridPoint
from runtime.services.carbon.advice import advise
from runtime.services.carbon.around import Emitter, Surroundings
from runtime.services.carbon.energy import Amount
from tests.support.runtime_bench import PROD, START, binding
from tests.support.small_runtime import STATE, TOPOLOGY

BOTH = ("west", "north")
SCALED = ScalingPolicy(min_replicas=2, max_replicas=60, target_cpu_utilisation=0.6)
DESIRED = EnvironmentState(
    services={name: held.model_copy(update={"scaling": SCALED}) for name, held in STATE.services.items()},
    node_pools=STATE.node_pools,
)
EMITTERS = [
    Emitter(f"service/{s.id}", region, Amount(10.0, 100.0, 48.0, 48.0, 1000.0))
    for s in TOPOLOGY.services
    for region in BOTH
]


def bound(tenant, *regions):
    return binding(tenant).model_copy(update={"residency": Residency(allowed_regions=regions)})


def advice(*tenants, north=50.0, relative_sd=0.1, desired=DESIRED):
    grids = {
        region: GridPoint(
            region=region, location_g_per_kwh=grams, relative_sd=relative_sd, source="a test", dated="2024"
        )
        for region, grams in (("west", 400.0), ("north", north))
    }
    around = Surroundings(
        environment=PROD, at=START, topology=TOPOLOGY, desired=desired, bound=tenants, grids=grids, window_h=24.0,
        usd_per_core_hour={},
    )  # fmt: skip
    return advise(around, EMITTERS, ())


def services(*tenants, **changed):
    return {one.resource.removeprefix("service/") for one in advice(*tenants, **changed)}


def test_where_everybody_may_be_requests_are_led_to_the_cleaner_region():
    found = advice(bound("acme", *BOTH), bound("globex", *BOTH))
    assert {one.resource for one in found} == {f"service/{s.id}" for s in TOPOLOGY.services}
    document = DesiredState(environment=PROD, tenant=PLATFORM, version=1, base=DESIRED)
    patches = [patch for one in found for patch in one.body.patches]
    after = apply_patches(document, patches, command=CommandId("c"), at=START).effective(START)
    for held in after.services.values():
        assert held.traffic.region_weights == pytest.approx({"north": 0.7, "west": 0.3})
    # 10 kWh in 24 h, two fifths of it moved, 350 g less each, over the month's 730 h
    assert all(one.saving_g_per_month == pytest.approx(10 * 0.4 * 350 / 24 * 730) for one in found)


def test_a_region_that_a_tenant_may_not_be_in_is_never_recommended():
    """Neither for its own services nor for the shared one that serves it, however clean the grid is."""
    assert services(bound("acme", "west"), bound("globex", *BOTH)) == {"portal"}
    assert services(bound("acme", *BOTH), bound("globex", "west")) == {"shop", "cart"}
    assert services(bound("acme", "west"), bound("globex", "west")) == set()


def test_no_region_is_recommended_that_is_not_surely_cleaner_or_has_no_room():
    free = (bound("acme", *BOTH), bound("globex", *BOTH))
    assert services(*free, north=390.0) == set()
    assert services(*free, north=200.0, relative_sd=0.5) == set()
    # six replicas of half a core hold cart's two cores and a fifth of its four; the others do not scale
    assert services(*free, desired=STATE) == {"cart"}
    tight = STATE.services["cart"].model_copy(update={"scaling": SCALED.model_copy(update={"max_replicas": 5})})
    assert services(*free, desired=STATE.model_copy(update={"services": {**STATE.services, "cart": tight}})) == set()
