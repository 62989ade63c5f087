"""GET /runtime/carbon: each tenant its part, parts that add up, strangers told nothing, unknown grids not made up."""

from datetime import timedelta

import pytest

from domain.carbon import CarbonReport
from domain.evidence import MetricSeries
from domain.ids import PLATFORM
from runtime.bills.memory import MemoryBilling
from runtime.bills.ports import Price, UsageSeries
from runtime.grid.memory import MemoryGrid
from runtime.grid.ports import GridPoint
from runtime.planes import Planes
from runtime.targets.memory import MemoryTarget
from tests.support.runtime_bench import EXECUTOR, PROD, START, make_bench
from tests.support.small_runtime import STATE, TENANTS, TOPOLOGY

FIRST = START - timedelta(days=1)
HOURS = 24
# Cores requested all the time; 12 of nodes, so five idle.
CORES = {("shop", "acme"): 3.0, ("cart", "acme"): 1.0, ("portal", "globex"): 2.0, ("auth", "platform"): 1.0}
IDLE_W, FULL_W, PUE, GRAMS = 0.78, 3.76, 1.185, 300.0


def usage(kind, tenant, cores, service=None):
    return UsageSeries(
        kind=kind, tenant=tenant, service=service, region="west", node_pool="pool", sku="D4", start=FIRST, step_s=3600,
        core_hours=(cores,) * HOURS, replica_hours=(2.0,) * HOURS if service else (),
    )  # fmt: skip


def read(service, metric, value):
    return MetricSeries(
        evidence=f"{service}-{metric}", entity=f"service/{service}", metric=metric, kind="other", start=FIRST,
        step_s=3600, values=(value,) * HOURS,
    )  # fmt: skip


@pytest.fixture
def grid():
    point = GridPoint(region="west", location_g_per_kwh=GRAMS, relative_sd=0.1, source="a test", dated="2024")
    return MemoryGrid([(FIRST, point)])


@pytest.fixture
async def bench(tmp_path, grid):
    books = MemoryBilling(
        PROD,
        metered=[
            *(usage("requested", tenant, cores, name) for (name, tenant), cores in CORES.items()),
            usage("capacity", PLATFORM, 12.0),
        ],
        listed=[Price(sku="D4", since=FIRST, usd_per_node_hour=0.4, cores=4, memory_mib=16384)],
    )
    target = MemoryTarget(TOPOLOGY, STATE)
    target.metrics = [
        *(read(name, "cpu_utilisation", 0.25) for name, _ in CORES),
        *(read(name, "request_rate", 2.0) for name, _ in CORES),
    ]
    bench = await make_bench(tmp_path, lambda _clock: target, TENANTS, planes=Planes(billing=books, energy=grid))
    yield bench
    await bench.client.http.aclose()
    bench.services.database.close()


async def answer(bench, token=EXECUTOR, tenant="platform", environment=PROD):
    async with bench.http(token) as http:
        return await http.get(f"/runtime/carbon/{environment}", headers={"Opsmesh-Tenant": tenant})


async def told(bench, *args):
    found = await answer(bench, *args)
    assert found.status_code == 200, found.text
    return CarbonReport.model_validate_json(found.content)


async def test_the_whole_is_power_times_hours_times_grid(bench):
    found = await told(bench)
    watts = (7 * (IDLE_W + 0.25 * (FULL_W - IDLE_W)) + 5 * IDLE_W) * PUE
    assert found.energy_kwh.mean == pytest.approx(watts * HOURS / 1000)
    assert found.location_g.mean == pytest.approx(watts * HOURS / 1000 * GRAMS)
    assert found.location_g.low < found.location_g.mean < found.location_g.high
    assert (found.metered_share, found.read_share, found.market_g) == (1.0, 1.0, None)
    # shop and portal are called by nobody inside
    assert found.requests == pytest.approx(2 * 2.0 * HOURS * 3600)
    assert found.sci_g_per_request.mean == pytest.approx(
        (found.location_g.mean + found.embodied_g.mean) / found.requests
    )
    assert any("assumed" in line for line in found.assumptions)


async def test_the_tenants_parts_add_up_to_the_whole(bench):
    whole = await told(bench)
    parts = [await told(bench, token, name) for token, name in (("person-token", "acme"), ("globex-token", "globex"))]
    assert all(0 < part.location_g.mean < whole.location_g.mean for part in parts)
    for figure in ("energy_kwh", "location_g", "embodied_g"):
        assert sum(getattr(p, figure).mean for p in parts) == pytest.approx(getattr(whole, figure).mean, rel=1e-12)
    assert sum(p.requests for p in parts) == pytest.approx(whole.requests)


async def test_a_tenant_sees_its_own_part_only(bench):
    found = await told(bench, "person-token", "acme")
    assert {row.key for row in found.rows} == {"shop", "cart", "auth", "(idle nodes)"}
    assert "globex" not in found.model_dump_json()
    assert "portal" not in found.model_dump_json()


async def test_a_stranger_is_told_what_is_told_of_a_missing_environment(bench):
    crossed = await answer(bench, "person-token", "globex")
    missing = await answer(bench, "person-token", "globex", "nowhere")
    assert crossed.status_code >= 400
    assert (crossed.status_code, crossed.content) == (missing.status_code, missing.content)


async def test_a_region_without_a_figure_is_unavailable_and_not_missing(bench, grid):
    grid.told.clear()
    found = await answer(bench)
    assert (found.status_code, found.json()["reason"]) == (503, "grid_unknown")
    assert "west" in found.json()["detail"]
