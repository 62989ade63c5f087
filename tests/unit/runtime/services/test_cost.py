"""GET /runtime/cost: bills to the cent, restatements once, the rest estimated and said so, each tenant its part."""

from datetime import timedelta
from decimal import Decimal

import pytest

from domain.costs import CostReport
from domain.ids import PLATFORM
from runtime.bills.inbox import deliver
from runtime.bills.memory import MemoryBilling
from runtime.bills.ports import Price, UsageSeries
from runtime.bills.records import CostRecord
from runtime.planes import Planes
from runtime.targets.memory import MemoryTarget
from tests.support.runtime_bench import EXECUTOR, PROD, START, make_bench
from tests.support.small_runtime import STATE, TENANTS, TOPOLOGY

MIDNIGHT = START.replace(hour=0, minute=0, second=0, microsecond=0)
DAY = timedelta(days=1)
FIRST = MIDNIGHT - 2 * DAY
HOURS = 48
DIMENSIONS = ("tenant", "environment", "service", "region", "sku", "node_pool", "category")
# Cores requested all the time: acme 3 + 1, globex 2, platform 1; 12 of nodes.
CORES = {("shop", "acme"): 3.0, ("cart", "acme"): 1.0, ("portal", "globex"): 2.0, ("auth", "platform"): 1.0}


def series(kind, tenant, cores, service=None, hours=HOURS):
    return UsageSeries(
        kind=kind, tenant=tenant, service=service, region="west", node_pool="pool", sku="D4", start=FIRST, step_s=3600,
        core_hours=(cores,) * hours, replica_hours=(2.0,) * hours if service else (),
    )  # fmt: skip


def charge(service, tenant, day, usd, **more):
    start = FIRST + day * DAY
    month = start.replace(day=1)
    fields = {
        "account": "a", "billing_start": month, "billing_end": (month + timedelta(days=32)).replace(day=1),
        "charge_start": start, "charge_end": start + DAY, "category": "Usage", "resource": f"service/{service}",
        "tags": (("service", service), ("tenant", tenant)), "charge_id": f"{service}@{day}", "currency": "USD",
        "billed": Decimal(usd),
    }  # fmt: skip
    return CostRecord.model_validate(fields | more)


@pytest.fixture
def books():
    return MemoryBilling(
        PROD,
        metered=[
            *(series("requested", tenant, cores, name) for (name, tenant), cores in CORES.items()),
            series("capacity", PLATFORM, 12.0),
        ],
        listed=[Price(sku="D4", since=FIRST, usd_per_node_hour=0.4, cores=4, memory_mib=16384)],
    )


@pytest.fixture
async def bench(tmp_path, books):
    bench = await make_bench(
        tmp_path, lambda _clock: MemoryTarget(TOPOLOGY, STATE), TENANTS, planes=Planes(billing=books)
    )
    yield bench
    await bench.client.http.aclose()
    bench.services.database.close()


async def report(bench, token=EXECUTOR, tenant="platform", environment=PROD, **params):
    window = {"start": FIRST.isoformat(), "end": MIDNIGHT.isoformat()} if "window" not in params else {}
    async with bench.http(token) as http:
        return await http.get(
            f"/runtime/cost/{environment}", params=window | params, headers={"Opsmesh-Tenant": tenant}
        )


async def told(bench, *args, **params):
    answer = await report(bench, *args, **params)
    assert answer.status_code == 200, answer.text
    return CostReport.model_validate_json(answer.content)


async def test_without_a_bill_all_is_usage_times_price_and_said_to_be_an_estimate(bench):
    found = await told(bench)
    assert found.total_cents == round(12 * HOURS * 0.1 * 100)
    assert (found.completeness.billed_cents, found.completeness.estimated_cents) == (0, found.total_cents)
    assert (found.completeness.complete, found.completeness.estimate_error) == (False, None)


async def test_every_dimension_and_the_tenants_parts_add_up_to_the_same_cents(bench, books):
    books.exported += [charge("shop", "acme", 0, "7.333"), charge("auth", "platform", 1, "2.417")]
    await bench.services.reconcile()
    totals = {by: await told(bench, by=by) for by in DIMENSIONS}
    assert {r.total_cents for r in totals.values()} == {totals["tenant"].total_cents}
    assert all(sum(row.total_cents for row in r.rows) == r.total_cents for r in totals.values())
    parts = [await told(bench, tenant=t) for t in ("acme", "globex")]
    assert sum(p.total_cents for p in parts) == totals["tenant"].total_cents


async def test_shared_cost_goes_by_the_users_own_and_idle_by_the_own_on_the_pool(bench):
    rows = {row.key: row for row in (await told(bench, by="tenant")).rows}
    shared, idle = round(1 * HOURS * 0.1 * 100), round(5 * HOURS * 0.1 * 100)
    assert rows["acme"].shared_cents == pytest.approx(shared * 4 / 6, abs=1)
    assert rows["globex"].idle_cents == pytest.approx(idle * 2 / 6, abs=1)
    assert sum(r.shared_cents for r in rows.values()) == shared
    assert sum(r.idle_cents for r in rows.values()) == idle


async def test_a_bill_replaces_the_estimate_and_a_late_restatement_the_bill(bench, books):
    estimate = (await told(bench, by="service")).total_cents
    books.exported.append(charge("shop", "acme", 0, "8.00"))
    await bench.services.reconcile()
    billed = await told(bench, by="service")
    assert billed.total_cents == estimate - 720 + 800
    assert (billed.completeness.billed_cents, billed.completeness.restated) == (800, 0)
    assert billed.completeness.estimate_error == pytest.approx(0.1)
    books.exported.append(charge("shop", "acme", 0, "9.50"))
    await bench.services.reconcile()
    await bench.services.reconcile()
    again = await told(bench, by="service")
    assert again.total_cents == estimate - 720 + 950
    assert again.completeness.restated == 1


async def test_several_charges_for_one_resource_and_day_all_count(bench, books):
    estimate = (await told(bench, by="service")).total_cents
    for name, usd in (("cores", "8.00"), ("licence", "2.50"), ("credit", "-0.50")):
        books.exported.append(charge("shop", "acme", 0, usd, charge_id=name))
    await bench.services.reconcile()
    billed = await told(bench, by="service")
    assert billed.total_cents == estimate - 720 + 1000
    assert billed.completeness.billed_cents == 1000
    assert billed.completeness.estimate_error == pytest.approx(0.28)
    half = await told(bench, start=FIRST.isoformat(), end=(FIRST + DAY / 2).isoformat())
    assert {row.key: row.direct_cents for row in half.rows}["shop"] == 500


async def test_half_a_billed_day_is_half_its_bill(bench, books):
    books.exported.append(charge("shop", "acme", 0, "8.00"))
    await bench.services.reconcile()
    half = await told(bench, start=FIRST.isoformat(), end=(FIRST + DAY / 2).isoformat())
    assert {row.key: row.direct_cents for row in half.rows}["shop"] == 400


async def test_a_delivered_file_is_taken_in_once(bench, tmp_path):
    file = tmp_path / "late.csv"
    file.write_text(
        "BillingAccountId,BillingPeriodStart,BillingPeriodEnd,ChargePeriodStart,ChargePeriodEnd,ChargeCategory,"
        "BillingCurrency,BilledCost,ServiceName,ResourceId,Tags\n"
        f"a,{FIRST.replace(day=1):%Y-%m-%dT%H:%M:%SZ},{MIDNIGHT + 31 * DAY:%Y-%m-%dT%H:%M:%SZ},"
        f"{FIRST:%Y-%m-%dT%H:%M:%SZ},{FIRST + DAY:%Y-%m-%dT%H:%M:%SZ},Usage,USD,12.34,Logs,logs-1,"
        '"{""tenant"": ""globex"", ""service"": ""logs""}"\n'
    )
    before = (await told(bench)).total_cents
    for _ in range(2):
        deliver(file, bench.services.parts.home, PROD)
        await bench.services.reconcile()
    rows = {row.key: row for row in (await told(bench)).rows}
    assert rows["logs"].direct_cents == 1234
    assert sum(row.total_cents for row in rows.values()) == before + 1234


async def test_a_tenant_sees_its_own_part_and_no_name_of_another(bench):
    answer = await report(bench, "globex-token", "globex")
    assert answer.status_code == 200
    assert not {"shop", "cart", "acme"} & {row["key"] for row in answer.json()["rows"]}
    assert b"acme" not in answer.content
    assert b"shop" not in answer.content


async def test_a_stranger_is_answered_as_for_a_place_that_is_missing(bench):
    crossed = await report(bench, "globex-token", "acme")
    missing = await report(bench, "globex-token", "acme", environment="nowhere")
    assert crossed.status_code == missing.status_code == 404
    assert crossed.content == missing.content


@pytest.mark.parametrize(
    "params", [{"window": "year"}, {"start": FIRST.isoformat(), "end": FIRST.isoformat()}, {"by": "colour"}]
)
async def test_what_cannot_be_asked_is_a_problem(bench, params):
    assert (await report(bench, **params)).status_code == 422


async def test_a_target_without_books_says_so(tmp_path):
    bench = await make_bench(tmp_path, lambda _clock: MemoryTarget(TOPOLOGY, STATE), TENANTS)
    answer = await report(bench)
    assert (answer.status_code, answer.json()["reason"]) == (503, "plane_missing")
    await bench.services.reconcile()
    await bench.client.http.aclose()
    bench.services.database.close()
