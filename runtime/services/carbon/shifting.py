"""Deferrable work in the hours in which its grid is cleanest: another beginning of the hours that it runs in anyway.

Only for what runs in stated hours and whose owner said in which it may run; only where the days seen agree that the
other hours are cleaner. A grid known by the year alone has no hours, and nothing is said.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import sqrt
from typing import Final

import numpy as np

from analysis.signals import Floats
from domain.carbon import CarbonShift
from domain.changes import Patch
from domain.errors import Unavailable
from domain.policies import RunHours
from domain.runtime_api import PatchBody
from domain.topology import RuntimeService
from runtime.grid.ports import GridIntensity
from runtime.services.carbon.around import Emitter, Surroundings, write_path
from runtime.services.carbon.energy import Z90, Amount
from runtime.services.cost.anomalies import MONTH_H

DAYS: Final = 7
"""A week has each weekday once."""
LEAST_DAYS: Final = 3
"""Fewer do not tell whether days agree."""
LEAST_SHARE: Final = 0.05
"""Nobody moves a job for less of its emissions."""


@dataclass(frozen=True, slots=True)
class _Job:
    """A service whose hours may be moved."""

    service: RuntimeService
    schedule: RunHours
    deferrable: RunHours
    energy_kwh: float


async def hours_of(grid: GridIntensity, regions: Sequence[str], around: Surroundings) -> dict[str, Floats]:
    """Return gCO2e per kWh by region, (days x 24), hour 0 to 23 UTC, of the last whole days that the grid knows."""
    midnight = around.at.replace(hour=0, minute=0, second=0, microsecond=0)
    found: dict[str, Floats] = {}
    for region in regions:
        days: list[list[float]] = []
        for back in range(1, DAYS + 1):
            start = midnight - timedelta(days=back)
            try:
                points = [await grid.at(region, start + timedelta(hours=h)) for h in range(24)]
            except Unavailable:
                break  # it knows no further back
            days.append([point.location_g_per_kwh for point in points])
        if len(days) >= LEAST_DAYS:
            found[region] = np.array(days)
    return found


def shifts(around: Surroundings, emitters: Sequence[Emitter], hours: Mapping[str, Floats]) -> tuple[CarbonShift, ...]:
    """Return the services that would emit less at other hours, each with the write of them, by what it saves."""
    found = _shifts(around, emitters, hours)
    return tuple(sorted(found, key=lambda one: -one.saving_g_per_month))


def _shifts(around: Surroundings, emitters: Sequence[Emitter], hours: Mapping[str, Floats]) -> Iterator[CarbonShift]:
    by: dict[str, dict[str, Amount]] = {}
    for one in emitters:
        by.setdefault(one.address, {})[one.region] = one.amount
    for service in around.topology.services:
        held, took = around.desired.services.get(service.id), by.get(f"service/{service.id}", {})
        if held is None or held.schedule is None or held.deferrable is None or not took:
            continue
        if set(took) <= set(hours):
            job = _Job(service, held.schedule, held.deferrable, sum(amount.energy_kwh for amount in took.values()))
            yield from _better(around, job, _grams_by_hour(took, hours))


def _grams_by_hour(took: Mapping[str, Amount], hours: Mapping[str, Floats]) -> Floats:
    """Return gCO2e per kWh of the service, (days x 24): its regions weighed by the energy it takes there."""
    whole = sum(amount.energy_kwh for amount in took.values()) or 1.0
    days = min(len(hours[region]) for region in took)
    return np.sum([amount.energy_kwh / whole * hours[region][:days] for region, amount in took.items()], axis=0)


def _better(around: Surroundings, job: _Job, grams: Floats) -> Iterator[CarbonShift]:
    now = hours_in(job.schedule)
    best = min(candidates(job.schedule, job.deferrable), key=lambda h: float(grams[:, h].mean()), default=now)
    daily = grams[:, now].mean(axis=1) - grams[:, best].mean(axis=1)
    mean, spread = float(daily.mean()), float(daily.std(ddof=1)) / sqrt(len(daily))
    here = float(grams[:, now].mean())
    if mean - Z90 * spread <= LEAST_SHARE * here:
        return
    name, wanted = job.service.id, RunHours(on_hour_utc=best[0], off_hour_utc=(best[-1] + 1) % 24)
    patch = Patch(op="set", path=("services", name, "schedule"), value=wanted.model_dump(mode="json"))
    yield CarbonShift(
        tenant=job.service.tenant, resource=f"service/{name}",
        saving_g_per_month=job.energy_kwh * mean / around.window_h * MONTH_H,
        why=(
            f"{here:.0f} g/kWh in its hours, {here - mean:.0f} in {_said(wanted)}, over {len(daily)} days",
            f"its owner lets it run in {_said(job.deferrable)}",
        ),
        path=write_path(around),
        body=PatchBody(patches=(patch,), rationale="The grid is cleaner in these hours."),
    )  # fmt: skip


def _said(hours: RunHours) -> str:
    return f"{hours.on_hour_utc:02}:00 to {hours.off_hour_utc:02}:00 UTC"


def hours_in(hours: RunHours) -> list[int]:
    """Return the hours of the day in order from the first; all where it always runs."""
    length = (hours.off_hour_utc - hours.on_hour_utc) % 24 or 24
    return [(hours.on_hour_utc + k) % 24 for k in range(length)]


def candidates(schedule: RunHours, deferrable: RunHours) -> list[list[int]]:
    """Return every run of as many hours as it has now that lies in those in which it may run."""
    length, allowed = len(hours_in(schedule)), hours_in(deferrable)
    around_the_clock = len(allowed) == 24
    starts = range(24) if around_the_clock else range(len(allowed) - length + 1)
    return [[(allowed[0] + k + j) % 24 for j in range(length)] for k in starts] if length < 24 else []
