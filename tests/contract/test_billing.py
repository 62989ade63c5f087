"""Every billing plane: closed intervals on one grid, prices with their history, charges once each and in order."""

from datetime import timedelta
from decimal import Decimal

import pytest

from domain.errors import NotFound
from domain.ids import PLATFORM
from runtime.bills.memory import MemoryBilling
from runtime.bills.ports import Price, UsageSeries
from runtime.bills.records import CostRecord
from runtime.simulator import actuators
from runtime.simulator.demo import demo_world
from runtime.simulator.faults import draw, inject
from runtime.simulator.world import World
from runtime.targets.billing import SimulatedBilling
from tests.support.runtime_bench import PROD

SPEC = demo_world().model_copy(update={"retention_steps": 60, "step_s": 60})
HOURS = timedelta(hours=34)


def simulated():
    world = World(SPEC, seed=1)
    world.advance(world.now + timedelta(minutes=1))
    pool = next(iter(world.node_pools))
    held = world.environment_state()
    pools = {**held.node_pools, pool: held.node_pools[pool].model_copy(update={"sku": "E8s_v5"})}
    actuators.apply_desired(world, held.model_copy(update={"node_pools": pools}), "k")
    inject(world, draw(world, "price_change", 1))
    world.advance(world.spec.start + HOURS)
    inject(world, draw(world, "billing_restated", 1))
    return SimulatedBilling(world), world.spec.start


def memory():
    start = SPEC.start
    told = {"tenant": "acme", "region": "r", "node_pool": "p", "start": start, "step_s": 300}
    day = {
        "account": "a", "billing_start": start, "billing_end": start + timedelta(days=30), "charge_start": start,
        "charge_end": start + timedelta(days=1), "category": "Usage", "resource": "service/shop", "currency": "USD",
        "charge_id": "service/shop@1",
    }  # fmt: skip
    return MemoryBilling(
        PROD,
        metered=[
            UsageSeries(kind="requested", service="shop", sku="s", core_hours=(1.0,) * 400, **told),
            UsageSeries(
                kind="capacity", sku="s", core_hours=(2.0,) * 400, **{**told, "tenant": PLATFORM, "node_pool": "p"}
            ),
        ],
        listed=[
            Price(sku="s", since=start + timedelta(hours=h), usd_per_node_hour=1.0 + h, cores=4, memory_mib=1024)
            for h in (2, 0)
        ],
        exported=[CostRecord.model_validate({**day, "billed": Decimal(n)}) for n in ("1", "2")],
    ), start


@pytest.fixture(params=[memory, simulated], scope="module")
def made(request):
    return request.param()


async def test_a_window_gives_the_intervals_that_begin_in_it_on_one_grid(made):
    billing, start = made
    first, last = start + timedelta(hours=1), start + timedelta(hours=2)
    usage = await billing.usage(PROD, first, last)
    assert {(s.start, s.step_s, len(s.core_hours)) for s in usage} == {(first, 300, 12)}
    assert {s.kind for s in usage} == {"requested", "capacity"}


async def test_two_windows_side_by_side_add_up_to_the_one_over_both(made):
    billing, start = made
    cuts = [start + timedelta(minutes=m) for m in (0, 55, 120)]

    async def total(a, b):
        return sum(sum(s.core_hours) for s in await billing.usage(PROD, a, b))

    assert await total(cuts[0], cuts[2]) == pytest.approx(await total(cuts[0], cuts[1]) + await total(cuts[1], cuts[2]))


async def test_what_is_requested_fits_on_the_nodes(made):
    billing, start = made
    usage = await billing.usage(PROD, start, start + HOURS)
    for pool in {s.node_pool for s in usage}:
        by = {kind: sum(sum(s.core_hours) for s in usage if (s.node_pool, s.kind) == (pool, kind))
              for kind in ("requested", "capacity")}  # fmt: skip
        assert 0 <= by["requested"] <= by["capacity"]


async def test_prices_come_oldest_first_with_what_they_were(made):
    billing, _ = made
    prices = await billing.prices(PROD)
    assert [p.since for p in prices] == sorted(p.since for p in prices)
    changed = [p for p in prices if sum(q.sku == p.sku for q in prices) > 1]
    assert len({p.usd_per_node_hour for p in changed}) == 2


async def test_charges_are_read_on_from_where_one_stopped(made):
    billing, _ = made
    whole = await billing.charges(PROD, 0)
    assert len(whole) > 1
    assert [*whole[:1], *await billing.charges(PROD, 1)] == list(whole)
    assert list(await billing.charges(PROD, len(whole))) == []


async def test_a_restatement_names_the_charge_it_restates(made):
    billing, _ = made
    whole = await billing.charges(PROD, 0)
    again = [r for k, r in enumerate(whole) if any(r.identity == earlier.identity for earlier in whole[:k])]
    assert again
    assert all(r.resource and r.resource.startswith(("service/", "node_pool/")) for r in whole)


async def test_another_environment_has_no_books_here(made):
    billing, start = made
    for ask in (billing.usage("other", start, start + HOURS), billing.prices("other"), billing.charges("other", 0)):
        with pytest.raises(NotFound):
            await ask
