"""Advice: another floor and never replicas for what scales itself, no churn for little, memory and kills respected."""

from datetime import UTC, datetime

import numpy as np
import pytest

from domain.desired import EnvironmentState, NodePoolState, ServiceState
from domain.ids import PLATFORM, EnvironmentId, TenantId
from domain.policies import ScalingPolicy
from domain.topology import Edge, NodePool, RuntimeService, Topology
from runtime.bills.ports import Price
from runtime.services.cost.advice import Estate, Use, advise
from runtime.services.cost.books import Line

AT = datetime(2026, 3, 10, tzinfo=UTC)
DAY = 1440
POLICY = ScalingPolicy(min_replicas=20, max_replicas=30, target_cpu_utilisation=0.6)


def use(utilisation, replicas=20.0, rate=100.0, days=1.5, **changed):
    length = int(days * DAY)
    fields = {
        "utilisation": np.full(length, utilisation), "replicas": np.full(length, replicas),
        "rate": np.full(length, rate), "memory_mib": np.full(length, 700.0), "restarts": np.zeros(length),
    } | changed  # fmt: skip
    return Use(60, **fields)


def estate(used, *, scaling=POLICY, archetype="api", replicas=20, prices=((0.4, "D4"),), memory_mib=512, **state):
    service = RuntimeService(
        id="shop", tenant=TenantId("acme"), environment=EnvironmentId("prod"), compute_target="t", owner_team="team",
        archetype=archetype, regions=("west",),
    )  # fmt: skip
    pool = NodePool(
        id="pool", compute_target="t", region="west", sku="D4", node_count=10, cpu_millicores_per_node=4000,
        memory_mib_per_node=16384, cost_usd_per_node_hour=0.4,
    )  # fmt: skip
    held = ServiceState(
        version="v1", replicas=replicas, cpu_millicores=1000, memory_mib=memory_mib, scaling=scaling, **state
    )
    times = AT.timestamp() + 300.0 * np.arange(24)
    ran = np.full(24, used.replicas[-1] / 12)
    return Estate(
        topology=Topology(
            environment="prod", services=(service,), node_pools=(pool,),
            edges=(Edge(kind="runs_on", source="service/shop", target="node_pool/pool"),),
        ),
        state=EnvironmentState(services={"shop": held}, node_pools={"pool": NodePoolState(node_count=10, sku="D4")}),
        lines=[Line("service/shop", PLATFORM, "west", "pool", "D4", "compute", times, ran, ran, ran * 0.1)],
        prices=[Price(sku=n, since=AT, usd_per_node_hour=u, cores=4, memory_mib=16384) for u, n in prices],
        use={"shop": used},
    )  # fmt: skip


def test_a_service_that_scales_itself_gets_another_floor_and_never_replicas():
    (one,) = advise(estate(use(0.15)))
    assert (one.lever, one.act.kind) == ("scaling", "scaling_policy.update")
    assert one.act.arguments["policy"]["min_replicas"] == 2
    # 0.15 x 20 / 0.6 = 5 replicas are needed: 15 of 20 are held by the floor, at 0.1 USD a core hour.
    assert one.saving_usd_per_month == pytest.approx(15 * 0.1 * 730, rel=0.01)


def test_one_that_nobody_scales_is_sized_by_its_use_and_keeps_its_memory_peak():
    (one,) = advise(estate(use(0.1), scaling=None))
    assert (one.lever, one.act.kind) == ("right_sizing", "service.resize")
    assert 100 / 0.4 <= one.act.arguments["cpu_millicores"] <= 1.3 * 100 / 0.4
    assert one.act.arguments["memory_mib"] == 700


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (estate(use(0.31), scaling=None), "at a third of its request at the peak it has room and no waste"),
        (estate(use(0.1, restarts=np.ones(DAY))), "it is being killed"),
        (estate(use(0.1), archetype="database", scaling=None), "stores are not scaled in a hurry"),
        (estate(use(0.1, days=0.5), scaling=None), "half a day has no peak"),
        (estate(use(0.1, replicas=0.4), scaling=None), "it saves less than a dollar a day"),
        (estate(use(0.6)), "the floor does not bind"),
    ],
)
def test_what_is_left_alone(found, why):
    assert advise(found) == (), why


def test_what_was_given_up_goes_to_one_replica_and_what_is_hardly_used_keeps_two():
    rate = np.full(int(1.5 * DAY), 100.0)
    rate[-150:] = 0.2
    (given_up,) = advise(estate(use(0.001, rate=rate)))
    assert (given_up.lever, given_up.act.arguments["policy"]["min_replicas"]) == ("idle", 1)
    (hardly,) = advise(estate(use(0.01)))
    assert (hardly.lever, hardly.act.arguments["policy"]["min_replicas"]) == ("idle", 2)
    (fixed,) = advise(estate(use(0.01), scaling=None))
    assert (fixed.act.kind, fixed.act.arguments["replicas"]) == ("service.scale", 2)


def test_hours_that_nobody_uses_on_any_day_become_a_schedule():
    hour = np.arange(3 * DAY) // 60 % 24
    rate = np.where((hour >= 2) & (hour < 10), 0.0, 100.0)
    ended = estate(use(0.55, rate=rate, days=3.0, replicas=20.0))
    # The newest interval of the lines says which hour the samples end in.
    (one,) = advise(ended)
    assert (one.lever, one.act.kind) == ("schedule", "service.schedule")
    assert (one.act.arguments["on_hour_utc"] - one.act.arguments["off_hour_utc"]) % 24 == 8


def test_dearer_machines_are_exchanged_for_equal_ones_but_not_for_little_or_for_too_small_ones():
    pool = [a for a in advise(estate(use(0.6), prices=((0.4, "D4"), (0.3, "D4as")))) if a.lever == "sku"]
    assert [(a.resource, a.act.arguments["sku"]) for a in pool] == [("node_pool/pool", "D4as")]
    assert pool[0].saving_usd_per_month == pytest.approx(0.1 * 10 * 730)
    assert advise(estate(use(0.6), prices=((0.4, "D4"), (0.36, "D4as")))) == ()
    assert advise(estate(use(0.6), prices=((0.4, "D4"), (0.3, "D4as")), memory_mib=8192)) == ()
