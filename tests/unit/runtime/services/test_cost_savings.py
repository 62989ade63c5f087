"""Savings: booked when a granted command asked for less, measured against the state before at the use of after."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from domain.desired import DesiredState, EnvironmentState, NodePoolState, ServiceState
from domain.ids import PLATFORM, EnvironmentId
from domain.policies import RunHours, ScalingPolicy
from runtime.bills.ports import Price
from runtime.services.cost.books import Line
from runtime.services.cost.savings import booked, measured
from runtime.state import Version

AT = datetime(2026, 3, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
PRICES = [
    Price(sku=sku, since=AT - 9 * HOUR, usd_per_node_hour=usd, cores=4, memory_mib=1)
    for sku, usd in (("a", 0.4), ("b", 0.8))
]
FIXED = ServiceState(version="v1", replicas=8, cpu_millicores=1000, memory_mib=512)
SCALED = FIXED.model_copy(
    update={"scaling": ScalingPolicy(min_replicas=6, max_replicas=10, target_cpu_utilisation=0.6)}
)
LOWER = SCALED.model_copy(
    update={"scaling": ScalingPolicy(min_replicas=2, max_replicas=10, target_cpu_utilisation=0.6)}
)


def environment(service=FIXED, pool=None):
    return EnvironmentState(
        services={"shop": service}, node_pools={"pool": pool or NodePoolState(node_count=3, sku="a")}
    )


def version(state, number, hours=0, key="k"):
    desired = DesiredState(environment=EnvironmentId("prod"), tenant=PLATFORM, version=number, base=state)
    return Version(desired=desired, key=key and f"{key}{number}", at=AT + hours * HOUR)


def line(replicas, sku="a", resource="service/shop", cores=1.0):
    times = AT.timestamp() + 3600.0 * np.arange(len(replicas))
    ran = np.array(replicas, dtype=np.float64)
    price = {"a": 0.1, "b": 0.2}[sku]
    return Line(resource, PLATFORM, "west", "pool", sku, "compute", times, ran * cores, ran, ran * cores * price)


def test_fewer_replicas_save_what_the_others_would_have_cost():
    (one,) = booked([], environment(), version(environment(FIXED.model_copy(update={"replicas": 3})), 2))
    (saving,) = measured([one], [line([3, 3, 3, 3])], PRICES, AT + 4 * HOUR)
    assert saving.realised_usd == pytest.approx(5 * 4 * 0.1)
    assert saving.bookable_usd_per_month == pytest.approx(5 * 0.1 * 730)
    assert saving.what == "replicas: 8 -> 3"


def test_a_lower_floor_saves_only_while_the_old_one_would_have_held():
    (one,) = booked([], environment(SCALED), version(environment(LOWER), 2))
    (saving,) = measured([one], [line([2, 4, 6, 9])], PRICES, AT + 4 * HOUR)
    assert saving.realised_usd == pytest.approx((4 + 2 + 0 + 0) * 0.1)


def test_a_cheaper_machine_saves_the_difference_on_all_of_the_pool():
    dear = environment(pool=NodePoolState(node_count=3, sku="b"))
    (one,) = booked([], dear, version(environment(), 2))
    lines = [line([3, 3]), line([9, 9], resource="node_pool/pool")]
    (saving,) = measured([one], lines, PRICES, AT + 2 * HOUR)
    assert saving.realised_usd == pytest.approx(2 * 12 * 0.1)


def test_hours_of_sleep_save_what_would_have_run():
    asleep = FIXED.model_copy(update={"schedule": RunHours(on_hour_utc=2, off_hour_utc=0)})
    (one,) = booked([], environment(), version(environment(asleep), 2))
    (saving,) = measured([one], [line([0, 0, 8, 8])], PRICES, AT + 4 * HOUR)
    assert saving.realised_usd == pytest.approx(2 * 8 * 0.1)


def test_what_is_taken_back_ends_its_booking():
    less = environment(FIXED.model_copy(update={"replicas": 3}))
    (one,) = booked([], environment(), version(less, 2))
    (ended,) = booked([one], less, version(environment(), 3, hours=2))
    assert (ended.key, ended.until) == (one.key, AT + 2 * HOUR)
    (saving,) = measured([ended], [line([3, 3, 8, 8])], PRICES, AT + 4 * HOUR)
    assert (saving.realised_usd, saving.bookable_usd_per_month) == (pytest.approx(2 * 5 * 0.1), 0.0)


def test_two_changes_of_one_thing_are_not_counted_twice():
    half, least = (environment(FIXED.model_copy(update={"replicas": n})) for n in (4, 2))
    (first,) = booked([], environment(), version(half, 2))
    (second,) = booked([first], half, version(least, 3, hours=2))
    savings = measured([first, second], [line([4, 4, 2, 2])], PRICES, AT + 4 * HOUR)
    assert sum(s.realised_usd for s in savings) == pytest.approx((4 + 4 + 6 + 6) * 0.1)
    assert savings[1].realised_usd == pytest.approx(2 * 2 * 0.1)


@pytest.mark.parametrize(
    ("before", "after", "key"),
    [(FIXED, FIXED.model_copy(update={"replicas": 3}), None), (FIXED, FIXED.model_copy(update={"replicas": 9}), "k"),
     (FIXED, FIXED.model_copy(update={"version": "v2"}), "k")],
)  # fmt: skip
def test_nothing_is_booked_that_no_command_wrote_or_that_asks_for_no_less(before, after, key):
    assert booked([], environment(before), version(environment(after), 2, key=key)) == []
