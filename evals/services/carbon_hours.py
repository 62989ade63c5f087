"""Deferrable work moved to cleaner hours: what a day really emitted, beside leaving it, and beside knowing that day.

The grid of each hour is drawn per day (sun and wind, weather of its own): advice sees days gone by, the day that counts
is another one.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from domain.base import TimeRange
from domain.changes import Patch
from domain.desired import apply_patches
from domain.ids import PLATFORM, CommandId, PrincipalId
from domain.policies import RunHours
from domain.topology import Topology
from evals.service_cases import Case, Check, Measured
from evals.services.cost_place import CostPlace, cost_place, lived
from runtime import state
from runtime.grid.memory import MemoryGrid
from runtime.grid.ports import GridPoint
from runtime.services.carbon.service import CarbonService
from runtime.services.carbon.shifting import candidates, hours_in

KNOWN_DAYS, WEATHER = 6, 0.15
NOW, WITHIN = RunHours(on_hour_utc=17, off_hour_utc=22), RunHours(on_hour_utc=6, off_hour_utc=23)
"""An evening job that may run from six to eleven at night."""
GAINED = 0.5
"""Of what knowing the day would have gained, days gone by must give so much."""


def _hourly(mean: float, rng: np.random.Generator) -> list[float]:
    """One day's intensity by hour: low around noon as clouds let it, high in the evening, wind whenever it blows."""
    hours = np.arange(24)
    sun = -0.35 * np.exp(-((hours - 12.5) ** 2) / 12.0) * rng.uniform(0.3, 1.0)
    evening = 0.2 * np.exp(-((hours - 19.0) ** 2) / 6.0)
    wind = -0.25 * np.exp(-((hours - rng.uniform(0.0, 24.0)) ** 2) / 18.0)
    return [float(v) for v in mean * (1.0 + sun + evening + wind) * np.exp(WEATHER * rng.standard_normal())]


def _feed(place: CostPlace, seed: int, *, inverted: bool) -> tuple[MemoryGrid, dict[str, list[float]]]:
    """Return what was told of the days before, and the hours of the day to come."""
    rng, told, coming = np.random.default_rng((seed, 24)), list[tuple[datetime, GridPoint]](), dict[str, list[float]]()
    midnight = place.world.now.replace(hour=0, minute=0, second=0, microsecond=0)
    for region in place.world.spec.regions:
        mean = region.grid_gco2e_per_kwh
        for back in range(KNOWN_DAYS, -1, -1):
            for hour, grams in enumerate(_hourly(mean, rng)):
                said = max(2.0 * mean - grams, 0.0) if inverted else grams
                point = GridPoint(
                    region=region.id, location_g_per_kwh=said, relative_sd=0.1, source="a feed", dated="an hour"
                )
                told.append((midnight - timedelta(days=back) + timedelta(hours=hour), point))
        coming[region.id] = _hourly(mean, rng)
    return MemoryGrid(sorted(told, key=lambda one: one[0])), coming


async def _write(place: CostPlace, patches: tuple[Patch, ...], key: str) -> None:
    environment, at = place.world.spec.environment, place.clock.now()
    await place.convergence.absorb(environment)
    with place.parts.database.begin() as connection:
        before = state.current(connection, environment)
        after = apply_patches(before, patches, command=CommandId(key), at=at)
        state.append(connection, after, actor=PrincipalId("executor"), key=key, at=at)
    await place.convergence.follow(environment)


def _hours(service: str, **said: RunHours) -> tuple[Patch, ...]:
    return tuple(
        Patch(op="set", path=("services", service, key), value=hours.model_dump(mode="json"))
        for key, hours in said.items()
    )


async def _shifted(seed: int, folder: Path, *, inverted: bool = False) -> Measured:
    left = cost_place(lived(seed, 2.5), folder / "left")
    moved = cost_place(lived(seed, 2.5), folder / "moved")
    job = min(s.id for s in left.world.spec.services if s.archetype == "worker" and not s.external)
    grid, coming = _feed(moved, seed, inverted=inverted)
    parts = replace(moved.parts, planes=replace(moved.parts.planes, energy=grid))
    for place in (left, moved):
        await _write(place, _hours(job, schedule=NOW, deferrable=WITHIN), "as-it-was")
        await place.live(24 * 60)
    environment, now = moved.world.spec.environment, moved.world.now
    topology: Topology = await parts.target.topology(environment)
    window = TimeRange(start=now - timedelta(days=1), end=now)
    report = await CarbonService(parts).report(environment, PLATFORM, topology, window)
    advised = [one for one in report.shifts if one.resource == f"service/{job}"]
    if advised:
        await _write(moved, advised[0].body.patches, "advised")
    for place in (left, moved):
        await place.live(24 * 60)
    was, now_g = (_emitted_g(place, job, coming) for place in (left, moved))
    best = was * min(_mean(coming, run) for run in candidates(NOW, WITHIN)) / _mean(coming, hours_in(NOW))
    outside = _ran_outside(moved, job)
    return Measured(
        checks=(
            Check(name="share of what knowing the day gains", value=(was - now_g) / (was - best), bound=GAINED,
                  at="least"),
            Check(name="core hours outside the hours it may run in", value=outside, bound=0.0),
            Check(name="services moved that nobody called deferrable",
                  value=float(len(report.shifts) - len(advised)), bound=0.0),
        ),
        figures={"left_g": was, "moved_g": now_g, "knowing_g": best, "saved_share": 1.0 - now_g / was},
        reference="the same day left as it was, and the best hours of that very day",
    )  # fmt: skip


def _cores(place: CostPlace, job: str) -> tuple[np.ndarray, list[int]]:
    """Return requested cores of the job per step and region over the last day, and the hour of each step."""
    world = place.world
    count = round(86_400 / world.spec.step_s)
    steps = world.history.rows(world.history.count - count, world.history.count)
    columns = world.layout.columns(job)
    first = world.now - timedelta(days=1)
    hours = [(first + timedelta(seconds=k * world.spec.step_s)).hour for k in range(count)]
    return world.history.truth("replicas_desired", steps, columns) * world.plant.cores[columns], hours


def _emitted_g(place: CostPlace, job: str, coming: dict[str, list[float]]) -> float:
    """Power of every step times what its region's grid emitted in that hour."""
    cores, hours = _cores(place, job)
    regions = [
        place.world.spec.regions[int(r)].id for r in place.world.layout.region_of[place.world.layout.columns(job)]
    ]
    grams = np.array([[coming[region][hour] for region in regions] for hour in hours])
    return float((cores * grams).sum()) * place.world.spec.step_s / 3600.0


def _ran_outside(place: CostPlace, job: str) -> float:
    cores, hours = _cores(place, job)
    allowed = set(hours_in(WITHIN))
    out = np.array([hour not in allowed for hour in hours])
    return float(cores[out].sum()) * place.world.spec.step_s / 3600.0


def _mean(coming: dict[str, list[float]], run: list[int]) -> float:
    return float(np.mean([[hours[h] for h in run] for hours in coming.values()]))


async def _inverted(seed: int, folder: Path) -> Measured:
    return await _shifted(seed, folder, inverted=True)


SHIFTING: tuple[Case, ...] = (
    Case(
        "carbon-time-shift", "carbon", "an evening job is led to the hours in which its grid is cleanest, never outside"
        " those it may run in", _shifted, _inverted, "the feed tells clean hours for dirty ones",
    ),
)  # fmt: skip
