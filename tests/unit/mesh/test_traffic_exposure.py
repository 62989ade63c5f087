"""Traffic and release commands are held to residency and quota, also where requests only go when a region is lost."""

from types import SimpleNamespace

import pytest

from domain.desired import EnvironmentState
from domain.policies import ReleasePolicy, TrafficPolicy, TrafficStep
from domain.tenancy import RuntimeTenantBinding
from mesh.exposure import quota_ok, residency_ok
from tests.support.small_runtime import STATE, TOPOLOGY, binding

BLUE_GREEN = ReleasePolicy(candidate="v2", strategy="blue_green", steps=(TrafficStep(share=1.0),))


def command(kind, **arguments):
    said = {"service": "shop", **arguments}
    affected = SimpleNamespace(tenants=())
    return SimpleNamespace(kind=kind, arguments=said, preview=(), tenant="acme", affected=affected)


def apply(policy):
    return command("traffic_policy.apply", policy=policy.model_dump(mode="json"))


def held(policy):
    shop = STATE.services["shop"].model_copy(update={"traffic": policy})
    return EnvironmentState(services={**STATE.services, "shop": shop})


@pytest.mark.parametrize(
    "policy",
    [TrafficPolicy(region_weights={"west": 0.5, "north": 0.5}), TrafficPolicy(region_failover=("west", "north"))],
)
def test_a_region_that_is_not_allowed_is_refused_also_as_a_failover(policy):
    assert not residency_ok(apply(policy), [binding("acme")], STATE)
    assert not residency_ok(command("release.promote"), [binding("acme")], held(policy))


def test_regions_that_are_allowed_pass():
    policy = TrafficPolicy(region_weights={"west": 1.0}, region_failover=("west",))
    assert residency_ok(apply(policy), [binding("acme")], STATE)
    assert residency_ok(command("release.promote"), [binding("acme")], held(policy))


def test_a_second_set_of_replicas_counts_for_the_quota():
    small = binding("acme")
    used = sum(s.cpu_millicores * s.replicas for k, s in STATE.services.items() if k in {"shop", "cart"})
    quota = small.quota.model_copy(update={"max_cpu_millicores": used + 100})
    tight = RuntimeTenantBinding.model_validate({**small.model_dump(), "quota": quota})
    canary = TrafficPolicy(release=ReleasePolicy(candidate="v2"))
    assert quota_ok(apply(canary), tight, STATE, TOPOLOGY)
    assert not quota_ok(apply(TrafficPolicy(release=BLUE_GREEN)), tight, STATE, TOPOLOGY)
    assert not quota_ok(command("release.resume"), tight, held(TrafficPolicy(release=BLUE_GREEN)), TOPOLOGY)
