"""One suite for every plane of regions: pairs, four witnesses at least, a loss that all but the lost one's own see."""

from datetime import timedelta

import pytest

from domain.errors import NotFound
from runtime.regions.memory import MemoryRegions
from runtime.regions.simulated import SimulatedRegions
from runtime.simulator.demo import demo_world
from runtime.simulator.faults.base import Draw
from runtime.simulator.faults.regions import REGION_LOSS
from runtime.simulator.record import launch

WEST, NORTH = "westeurope", "northeurope"


class Simulated:
    def __init__(self):
        self.world = launch(demo_world(), 1)
        self.world.advance(self.world.now + timedelta(minutes=5))
        self.regions = SimulatedRegions(self.world)

    def lose(self):
        REGION_LOSS.inject(self.world, Draw(fault="region_loss", entity="region", names={"region": WEST}))
        self.world.advance(self.world.now + timedelta(minutes=1))


class Memory:
    def __init__(self):
        self.regions = MemoryRegions({WEST: NORTH, NORTH: WEST})

    def lose(self):
        self.regions.lose(WEST)


@pytest.fixture(params=[Simulated, Memory])
def place(request):
    return request.param()


async def test_regions_are_paired(place):
    assert {p.id: p.paired_with for p in await place.regions.places()} == {WEST: NORTH, NORTH: WEST}


async def test_a_region_that_is_well_is_seen_by_four_witnesses_of_two_kinds(place):
    heard = await place.regions.testimonies()
    for region in (WEST, NORTH):
        about = [t for t in heard if t.region == region]
        assert {t.says for t in about} == {"up"}
        assert len({t.witness for t in about}) == len(about) >= 4
        assert {t.witness.partition("/")[0] for t in about} == {"provider", "probe"}


async def test_a_lost_region_is_seen_gone_and_the_other_is_not(place):
    place.lose()
    heard = await place.regions.testimonies()
    assert {t.says for t in heard if t.region == WEST} == {"down"}
    assert {t.says for t in heard if t.region == NORTH} <= {"up", "silent"}
    assert sum(t.says == "up" for t in heard if t.region == NORTH) >= 3


async def test_room_is_told_of_regions_that_are_there(place):
    room = await place.regions.room(NORTH)
    assert 0.0 < room.used_cores <= room.most_cores
    with pytest.raises(NotFound):
        await place.regions.room("atlantis")
