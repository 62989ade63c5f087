"""Deferrable work in cleaner hours: only where its owner lets it, only where the days agree."""

from datetime import timedelta

import numpy as np
import pytest

from domain.policies import RunHours
from runtime.grid.memory import MemoryGrid
from runtime.grid.ports import GridPoint
from runtime.grid.table import TableGrid
from runtime.services.carbon.around import Emitter, Surroundings
from runtime.services.carbon.energy import Amount
from runtime.services.carbon.shifting import candidates, hours_in, hours_of, shifts
from tests.support.runtime_bench import PROD, START
from tests.support.small_runtime import STATE, TOPOLOGY

EVENING, DAY = RunHours(on_hour_utc=17, off_hour_utc=21), RunHours(on_hour_utc=6, off_hour_utc=22)
JOB = TOPOLOGY.services[0].id
AMOUNT = Amount(energy_kwh=10.0, embodied_g=0.0, core_hours=48.0, read_core_hours=48.0)


def around(schedule=EVENING, deferrable=DAY):
    held = STATE.services[JOB].model_copy(update={"schedule": schedule, "deferrable": deferrable})
    return Surroundings(
        environment=PROD, at=START, topology=TOPOLOGY,
        desired=STATE.model_copy(update={"services": STATE.services | {JOB: held}}), bound=(), grids={},
        window_h=24.0, usd_per_core_hour={},
    )  # fmt: skip


def sunny(days=5, noise=0.0):
    """300 g by night, 100 g from ten to three, days that differ by `noise`."""
    rng = np.random.default_rng(7)
    profile = np.where((np.arange(24) >= 10) & (np.arange(24) < 15), 100.0, 300.0)
    return np.clip(profile + noise * rng.standard_normal((days, 24)), 1.0, None)


def advised(hours, **changed):
    emitters = [Emitter(f"service/{JOB}", region, AMOUNT) for region in hours]
    return list(shifts(around(**changed), emitters, hours))


def test_an_evening_job_is_led_to_noon():
    (one,) = advised({"west": sunny()})
    assert (one.lever, one.resource) == ("time", f"service/{JOB}")
    (patch,) = one.body.patches
    assert patch.path == ("services", JOB, "schedule")
    assert patch.value == {"on_hour_utc": 10, "off_hour_utc": 14}
    assert one.saving_g_per_month == pytest.approx(10.0 * 200.0 / 24.0 * 730.0)


def test_regions_weigh_by_the_energy_taken_there():
    (one,) = advised({"west": sunny(), "north": np.full((5, 24), 50.0)})
    assert one.saving_g_per_month == pytest.approx(20.0 * 100.0 / 24.0 * 730.0)


@pytest.mark.parametrize(
    ("changed", "hours"),
    [
        ({"deferrable": None}, {"west": sunny()}),
        ({"schedule": None}, {"west": sunny()}),
        ({"deferrable": EVENING}, {"west": sunny()}),
        ({"deferrable": RunHours(on_hour_utc=16, off_hour_utc=23)}, {"west": sunny()}),
        ({}, {"west": np.full((5, 24), 250.0)}),
        ({}, {"west": sunny(noise=2000.0)}),
        ({}, {}),
    ],
    ids=["not deferrable", "always runs", "no other hours", "no cleaner hours", "flat", "days disagree", "no hours"],
)
def test_nothing_is_said_where_it_may_not_or_would_not_help(changed, hours):
    assert advised(hours, **changed) == []


def test_runs_lie_within_the_hours_also_past_midnight():
    night = RunHours(on_hour_utc=22, off_hour_utc=4)
    assert hours_in(night) == [22, 23, 0, 1, 2, 3]
    found = candidates(EVENING, night)
    assert found == [[22, 23, 0, 1], [23, 0, 1, 2], [0, 1, 2, 3]]
    always = RunHours(on_hour_utc=0, off_hour_utc=0)
    assert len(candidates(EVENING, always)) == 24
    assert candidates(always, always) == []
    assert candidates(DAY, EVENING) == []


async def test_hours_are_read_as_far_back_as_the_grid_knows_them():
    midnight = START.replace(hour=0, minute=0, second=0, microsecond=0)
    told = [
        (midnight - timedelta(days=4) + timedelta(hours=h),
         GridPoint(region="west", location_g_per_kwh=float(h), relative_sd=0.1, source="a test", dated="an hour"))
        for h in range(96)
    ]  # fmt: skip
    grid = MemoryGrid(told)
    assert (await hours_of(grid, ["west"], around()))["west"].tolist() == [
        [float(24 * day + h) for h in range(24)] for day in (3, 2, 1, 0)
    ]
    assert await hours_of(MemoryGrid(told[48:]), ["west"], around()) == {}
    yearly = await hours_of(TableGrid(), ["westeurope"], around())
    assert yearly["westeurope"].shape == (7, 24)
    assert advised({"west": yearly["westeurope"]}) == []
