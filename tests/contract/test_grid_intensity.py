"""Every source of grid figures: its figure with origin and date, the same at any instant it holds, none made up."""

from datetime import timedelta

import pytest

from domain.errors import Unavailable
from runtime.grid.memory import MemoryGrid
from runtime.grid.ports import GridPoint
from runtime.grid.table import GRID_GCO2E_PER_KWH, TableGrid
from tests.support.runtime_bench import START


def point(region, grams):
    return GridPoint(region=region, location_g_per_kwh=grams, relative_sd=0.1, source="a test", dated="2024")


def memory():
    return MemoryGrid([(START, point(region, grams)) for region, grams in GRID_GCO2E_PER_KWH.items()])


@pytest.fixture(params=[TableGrid, memory])
def grid(request):
    return request.param()


@pytest.mark.parametrize("region", GRID_GCO2E_PER_KWH)
async def test_a_region_has_its_figure_with_source_and_date(grid, region):
    found = await grid.at(region, START)
    assert (found.region, found.location_g_per_kwh) == (region, GRID_GCO2E_PER_KWH[region])
    assert found.source
    assert found.dated
    assert 0 < found.relative_sd < 1
    assert await grid.at(region, START + timedelta(days=1)) == found


async def test_of_an_unknown_region_nothing_is_made_up(grid):
    with pytest.raises(Unavailable, match="atlantis") as raised:
        await grid.at("atlantis", START)
    assert raised.value.reason == "grid_unknown"


async def test_the_memory_tells_the_newest_figure_that_is_not_later():
    told = MemoryGrid([(START, point("west", 100.0)), (START + timedelta(hours=1), point("west", 50.0))])
    assert (await told.at("west", START + timedelta(minutes=59))).location_g_per_kwh == 100.0
    assert (await told.at("west", START + timedelta(hours=1))).location_g_per_kwh == 50.0
    with pytest.raises(Unavailable):
        await told.at("west", START - timedelta(minutes=1))
