"""Quotas and residency are read off the state a preview leads to, of every tenant that it concerns; doubt means no."""

from types import SimpleNamespace

import pytest

from analysis.quotas import usage
from domain.changes import ResourceChange
from domain.desired import DataStoreState, EnvironmentState, TenantState
from domain.policies import CacheTierPolicy, ReleasePolicy, ScalingPolicy, TrafficPolicy, TrafficStep
from domain.tenancy import Quota, RuntimeTenantBinding
from domain.topology import DataStore, Edge
from mesh.limits import quota_ok, residency_ok
from tests.support import small_runtime
from tests.support.runtime_bench import binding

STORE = DataStore(id="orders", tenant="acme", engine="postgres", region="west")
TOPOLOGY = small_runtime.TOPOLOGY.model_copy(
    update={
        "data_stores": (STORE,),
        "edges": (
            *small_runtime.TOPOLOGY.edges,
            Edge(kind="stores_in", source="service/portal", target="data_store/orders"),
        ),
    }
)
STATE = small_runtime.STATE.model_copy(
    update={"data_stores": {"orders": DataStoreState()}, "tenants": {"acme": TenantState()}}
)
BLUE_GREEN = ReleasePolicy(candidate="v2", strategy="blue_green", steps=(TrafficStep(share=1.0),))
TWICE = BLUE_GREEN.model_dump(mode="json")
POLICY = ScalingPolicy(min_replicas=1, max_replicas=10, target_cpu_utilisation=0.5)
CACHE = CacheTierPolicy(ttl_s=1, memory_mib=64)
BOUND = (binding("acme"), binding("globex"), binding("platform"))
ACME = usage("acme", STATE, TOPOLOGY)


def command(*preview, kind="service.scale", tenant="acme", affected=(), **arguments):
    said = SimpleNamespace(tenants=affected)
    return SimpleNamespace(kind=kind, arguments=arguments, preview=preview, tenant=tenant, affected=said)


def change(path, after, address="service/shop", **more):
    return ResourceChange.model_validate(
        {"address": address, "operation": "update", "path": path, "after": after} | more
    )


def granted(**quota):
    tight = RuntimeTenantBinding.model_validate({**BOUND[0].model_dump(), "quota": Quota(**quota)})
    return (tight, *BOUND[1:])


def holding(policy):
    shop = STATE.services["shop"].model_copy(update={"traffic": policy})
    return EnvironmentState.model_validate({**STATE.model_dump(), "services": {**STATE.services, "shop": shop}})


def test_use_is_counted_at_policies_ceilings_in_all_regions():
    # shop: 3 replicas; cart: policy up to 6; 500 millicores and 512 MiB each, in two regions
    assert (ACME.cpu_millicores, ACME.memory_mib) == ((3 + 6) * 500 * 2, (3 + 6) * 512 * 2)
    assert ACME.nodes == 3  # nobody else runs on the pool
    assert ACME.replicas == {"shop": 3, "cart": 6}


CPU = ACME.cpu_millicores
GROWTH = [
    ("replicas", {"max_cpu_millicores": CPU + 999}, [change("replicas", 4)]),
    ("replicas of one service", {"max_replicas_per_service": 3}, [change("replicas", 4)]),
    ("CPU", {"max_cpu_millicores": CPU + 599}, [change("cpu_millicores", 600)]),
    ("memory", {"max_memory_mib": ACME.memory_mib}, [change("memory_mib", 600)]),
    # each alone would fit: 2,000 and 3,000 millicores; together they are 7,000
    ("both at once", {"max_cpu_millicores": CPU + 6000}, [change("replicas", 5), change("cpu_millicores", 1000)]),
    ("a policy's ceiling", {"max_cpu_millicores": CPU}, [change("scaling.max_replicas", 7, "service/cart")]),
    (
        "a new policy",
        {"max_replicas_per_service": 9},
        [change("scaling", POLICY.model_dump())],
    ),
    ("a cache", {"max_memory_mib": ACME.memory_mib}, [change("cache_tier", CACHE.model_dump())]),
    ("nodes", {"max_nodes": 3}, [change("node_count", 4, "node_pool/pool")]),
    ("a second set", {"max_cpu_millicores": CPU + 100}, [change("traffic.release", TWICE)]),
]  # fmt: skip


@pytest.mark.parametrize(("quota", "preview"), [row[1:] for row in GROWTH], ids=[row[0] for row in GROWTH])
def test_what_grows_beyond_a_quota_is_too_much(quota, preview):
    assert not quota_ok(command(*preview), granted(**quota), STATE, TOPOLOGY)
    assert quota_ok(command(*preview), BOUND, STATE, TOPOLOGY)


def test_a_release_that_goes_on_or_is_kept_warm_counts_twice_and_a_finished_one_once():
    resumed = command(change("traffic.release.intent", "run"), kind="release.resume", service="shop")
    aborted = holding(TrafficPolicy(release=BLUE_GREEN.model_copy(update={"intent": "abort"})))
    assert not quota_ok(resumed, granted(max_cpu_millicores=CPU + 100), aborted, TOPOLOGY)
    canary = change("traffic.release", ReleasePolicy(candidate="v2").model_dump(mode="json"))
    assert quota_ok(command(canary), granted(max_cpu_millicores=CPU + 100), STATE, TOPOLOGY)
    finished = holding(TrafficPolicy(release=BLUE_GREEN.model_copy(update={"candidate": "v1"})))
    assert usage("acme", finished, TOPOLOGY) == ACME


def test_what_is_above_its_quota_already_may_shrink():
    assert quota_ok(command(change("replicas", 2)), granted(max_cpu_millicores=1), STATE, TOPOLOGY)
    assert quota_ok(command(change("config.timeout_ms", "1")), granted(max_cpu_millicores=1), STATE, TOPOLOGY)


def test_the_owners_quota_counts_whoever_proposes():
    one = command(change("replicas", 4), tenant="platform", affected=("acme",))
    assert not quota_ok(one, granted(max_cpu_millicores=CPU), STATE, TOPOLOGY)
    assert not quota_ok(one.__class__(**{**vars(one), "affected": SimpleNamespace(tenants=())}),
                        granted(max_cpu_millicores=CPU), STATE, TOPOLOGY)  # fmt: skip


@pytest.mark.parametrize("check", [quota_ok, residency_ok])
def test_doubt_means_no(check):
    harmless = change("config.timeout_ms", "1")
    assert check(command(harmless), BOUND, STATE, TOPOLOGY)
    assert check(command(harmless.model_copy(update={"secret": True})), BOUND, STATE, TOPOLOGY)
    doubts = {
        "no binding of who asks": command(harmless, tenant="stranger"),
        "no binding of who is affected": command(harmless, affected=("acme", "stranger")),
        "nobody's service": command(change("replicas", 1, "service/ghost")),
        "masked": command(change("replicas", None, secret=True)),
        "known later": command(change("traffic", None, unknown=True)),
    }
    assert [name for name, one in doubts.items() if check(one, BOUND, STATE, TOPOLOGY)] == []
    assert not check(command(harmless), BOUND[1:], STATE, TOPOLOGY)


WEIGHTS = {"west": 0.5, "north": 0.5}
ABROAD = {
    "weights": command(change("traffic.region_weights", WEIGHTS)),
    "one weight": command(
        change("traffic.region_weights.north", 0.5), change("traffic.region_weights.west", 0.5)
    ),
    "where requests go when a region is lost": command(change("traffic.region_failover", ["west", "north"])),
    "another's service that leads its own": command(
        change("traffic.region_weights", WEIGHTS, "service/portal"), tenant="globex", affected=("acme", "globex")
    ),
    "a tenant's users": command(change("primary_region", "north", "tenant/acme")),
    "a tenant's logs": command(change("logs_region", "north", "tenant/acme")),
    "a standby": command(change("replica_region", "north", "data_store/orders")),
    "backups": command(change("backup_region", "north", "data_store/orders")),
    "a copy outside the documents": command(change("region", "north", "restore_point/one")),
    "a named region": command(kind="restore_point.create", region="north"),
    "a failover of the tenant": command(
        change("failover", None, "tenant/acme", operation="run"), kind="region.failover", tenant="platform",
        from_region="west", to_region="north",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ABROAD)
def test_what_leads_abroad_is_not_allowed(case):
    assert not residency_ok(ABROAD[case], BOUND, STATE, TOPOLOGY)
    wide = BOUND[0].residency.model_copy(update={"allowed_regions": ("west", "north")})
    anywhere = [b.model_copy(update={"residency": wide}) for b in BOUND]
    assert residency_ok(ABROAD[case], anywhere, STATE, TOPOLOGY)


def test_a_release_step_is_held_against_the_regions_that_its_policy_leads_to():
    step = command(change("traffic.release.intent", "promote"), kind="release.promote", service="shop")
    abroad = TrafficPolicy(region_failover=("west", "north"), release=BLUE_GREEN)
    assert not residency_ok(step, BOUND, holding(abroad), TOPOLOGY)
    assert residency_ok(step, BOUND, holding(abroad.model_copy(update={"region_failover": ("west",)})), TOPOLOGY)


def test_a_store_may_go_only_where_everybody_whose_rows_it_holds_may_be():
    north = binding("acme").residency.model_copy(update={"allowed_regions": ("west", "north")})
    wider = (BOUND[0].model_copy(update={"residency": north}), *BOUND[1:])
    assert not residency_ok(command(change("replica_region", "north", "data_store/orders")), wider, STATE, TOPOLOGY)


def test_a_failover_asks_only_whom_it_takes_along_and_a_drill_nobody():
    held = command(change("failover", None, "tenant/globex", operation="run"), kind="region.failover",
                   tenant="platform", affected=("acme", "globex"), from_region="north", to_region="west")  # fmt: skip
    narrow = BOUND[0].residency.model_copy(update={"allowed_regions": ("north",)})
    assert residency_ok(held, (BOUND[0].model_copy(update={"residency": narrow}), *BOUND[1:]), STATE, TOPOLOGY)
    drill = command(kind="failover.drill", tenant="platform", from_region="west", to_region="north")
    assert residency_ok(drill, BOUND, STATE, TOPOLOGY)


def test_weights_taken_off_lead_to_the_nearest_of_all_regions():
    home = holding(TrafficPolicy(region_weights={"west": 1.0}))
    off = command(change("traffic.region_weights.west", None))
    assert not residency_ok(off, BOUND, home, TOPOLOGY)
    assert residency_ok(command(change("traffic.rate_limit_rps", 5.0)), BOUND, STATE, TOPOLOGY)  # none before either
