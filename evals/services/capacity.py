"""The capacity worker: room before it is needed, beside an autoscaler alone and half more of everything throughout."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import numpy as np

from analysis.capacity import Peak, peaks, unbroken
from analysis.signals import Floats
from evals.service_cases import Case, Check, Measured
from evals.services.capacity_place import Half, Happens, half_a_day
from evals.services.recovery_place import patched
from runtime.capacity import outlook

LOST, SPENT = 0.05, 0.9
"""Of what the autoscaler alone loses, and of what half more of everything wastes."""
FULL_MIN: dict[Happens, float] = {"growth": 1.0, "launch": 30.0}
"""Service minutes: noise takes single ones there, and a launch is full until the autoscaler has followed it."""
PROPOSALS = 6
"""In half a day: one that makes room, one that follows growth that went on, and the same for two services behind it."""


@dataclass(frozen=True, slots=True)
class _Break:
    """One name of a module, held at something else."""

    module: ModuleType
    name: str
    value: object


def _last_value(histories: Mapping[str, Floats], horizon: int, season: int) -> dict[str, Peak]:
    """Say that all stays as it was in the last quarter hour: the planted break."""
    del horizon, season
    held = {name: unbroken(values) for name, values in histories.items()}
    return {name: Peak(float(v[-1]), float(v[-1]), 1, len(v)) for name, v in held.items() if np.size(v)}


def _far_too_high(histories: Mapping[str, Floats], horizon: int, season: int) -> dict[str, Peak]:
    """Say that demand may be twice as high as the forecast's bound: the planted break."""
    return {name: replace(p, upper=2.0 * p.upper) for name, p in peaks(histories, horizon, season).items()}


async def _ahead(seed: int, folder: Path, happens: Happens, broken: _Break | None = None) -> Measured:
    alone = await half_a_day(seed, folder / "alone", "reactive", happens)
    if broken is None:
        worker = await half_a_day(seed, folder / "ahead", "ahead", happens)
    else:
        with patched(broken.module, broken.name, broken.value):
            worker = await half_a_day(seed, folder / "ahead", "ahead", happens)
    more = await half_a_day(seed, folder / "more", "half_more", happens)
    proposals = sum(len(f.acts) for f in worker.findings)
    return Measured(
        checks=(
            Check(name="SLO minutes lost, of those an autoscaler alone loses", bound=LOST, at="most",
                  value=round(worker.slo_minutes / max(alone.slo_minutes, 1e-9), 4)),
            Check(name="service minutes above full use", value=worker.full_minutes, bound=FULL_MIN[happens], at="most"),
            Check(name="spare replica hours (USD), of those of half more of everything", bound=SPENT, at="most",
                  value=round(worker.spare_usd / max(more.spare_usd, 1e-9), 3)),
            Check(name="found what outgrows its room", bound=1,
                  value=float(alone.outgrown in {f.resource for f in worker.findings})),
            Check(name="proposals in half a day", value=proposals, bound=PROPOSALS, at="most"),
        ),
        figures={**_figures("alone", alone), **_figures("ahead", worker), **_figures("half_more", more)},
        reference="the same half day with the autoscaler alone, and with half more than yesterday's peak of everything",
    )  # fmt: skip


def _figures(name: str, half: Half) -> dict[str, float]:
    return {
        f"{name}_slo_minutes": half.slo_minutes, f"{name}_full_minutes": half.full_minutes,
        f"{name}_spare_usd": round(half.spare_usd, 2),
    }  # fmt: skip


async def _growth(seed: int, folder: Path) -> Measured:
    return await _ahead(seed, folder, "growth")


async def _launch(seed: int, folder: Path) -> Measured:
    return await _ahead(seed, folder, "launch")


async def _no_lead(seed: int, folder: Path) -> Measured:
    full = _Break(outlook, "LEAD", timedelta(0))
    return await _ahead(seed, folder, "growth", full)


async def _blind(seed: int, folder: Path) -> Measured:
    return await _ahead(seed, folder, "launch", _Break(outlook, "peaks", _last_value))


async def _usual(seed: int, folder: Path, broken: _Break | None = None) -> Measured:
    if broken is None:
        day = await half_a_day(seed, folder, "ahead", "nothing")
    else:
        with patched(broken.module, broken.name, broken.value):
            day = await half_a_day(seed, folder, "ahead", "nothing")
    return Measured(
        checks=(Check(name="findings in a usual half day", value=len(day.findings), bound=0),),
        figures=_figures("ahead", day), reference="nothing outgrows anything",
    )  # fmt: skip


async def _wary(seed: int, folder: Path) -> Measured:
    return await _usual(seed, folder, _Break(outlook, "peaks", _far_too_high))


CASES: tuple[Case, ...] = (
    Case(
        "capacity-growth", "capacity_forecast", "an entry that outgrows its policy's ceiling by the afternoon",
        _growth, _no_lead, "the forecast looks a quarter hour ahead, as if everything were there at once",
    ),
    Case(
        "capacity-launch", "capacity_forecast", "a daily launch that fits until demand has grown before it",
        _launch, _blind, "the forecast is the last value",
    ),
    Case(
        "capacity-usual", "capacity_forecast", "a usual half day, from night to peak, finds nothing",
        _usual, _wary, "the bound of the forecast is put twice as high",
    ),
)  # fmt: skip
