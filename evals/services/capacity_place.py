"""Half a day in which one entry outgrows its room, lived three times: as it is, with the worker, with half more of all.

Growth: demand rises from the morning on, beyond what the largest allowed fleet serves. Launch: every day at nine it
doubles nearly, which fits, until one morning demand has grown before.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from math import ceil
from pathlib import Path
from typing import Literal

import numpy as np

from domain.findings import Act, Finding
from evals.services.cost_place import STEP_S, CostPlace, cost_place
from runtime.capacity.outlook import FULL, HELD
from runtime.simulator import faults
from runtime.simulator.demand import Trend, daily_shape
from runtime.simulator.generator import foreign_laws, random_world
from runtime.simulator.pricing import SKUS
from runtime.simulator.queueing import Floats
from runtime.simulator.spec import ServiceSpec
from runtime.simulator.verdict import slo_minutes_lost
from runtime.simulator.world import World
from runtime.workers.capacity_forecast import CapacityForecastWorker

Happens = Literal["growth", "launch", "nothing"]
Provided = Literal["reactive", "ahead", "half_more"]
HISTORY = timedelta(days=2.5)
LASTS = timedelta(hours=12)
MORNING_H, LAUNCH_H, PEAK_H = 6, 9, 14
LAUNCH, LAUNCH_LASTS = 1.6, timedelta(hours=2)
OUTGROWN = 1.15
"""Demand at its highest against what the largest allowed fleet serves at full CPU."""
ANSWER = timedelta(minutes=30)
"""Until somebody has approved what is proposed."""
HALF_MORE = 1.5


@dataclass(slots=True)
class Half:
    """What half a day came to."""

    slo_minutes: float
    """Service minutes beyond the objective's gates."""
    full_minutes: float
    """Service minutes above the use that is called full."""
    spare_usd: float
    """Replica hours beyond what the services' own targets ask for, at list price."""
    findings: tuple[Finding, ...]
    outgrown: str
    """Address of the entry."""


@dataclass(slots=True)
class _Day:
    place: CostPlace
    entry: ServiceSpec
    began: datetime
    worker: CapacityForecastWorker = field(default_factory=CapacityForecastWorker)
    findings: dict[str, Finding] = field(default_factory=dict[str, Finding])
    answers: list[tuple[datetime, Act]] = field(default_factory=list[tuple[datetime, Act]])

    async def live(self, provided: Provided, happens: Happens) -> None:
        """Live through it in quarter hours."""
        world = self.place.world
        for _ in range(LASTS // self.worker.every):
            if happens == "launch" and world.now == self.began + timedelta(hours=LAUNCH_H - MORNING_H):
                _launch(world, self.entry, 1.0)
            world.advance(world.now + self.worker.every)
            self.place.clock.move_to(world.now)
            if provided == "ahead":
                await self._look()

    async def _look(self) -> None:
        now = self.place.world.now
        await self.place.convergence.reconcile()
        for due, act in self.answers:
            if due == now:
                await self.place.do(act)
        for finding in await self.worker.look(self.place.parts, self.place.world.spec.environment):
            if finding.id not in self.findings:
                self.answers += [(now + ANSWER, act) for act in finding.acts]
            self.findings.setdefault(finding.id, finding)


async def half_a_day(seed: int, folder: Path, provided: Provided, happens: Happens) -> Half:
    """Live through half a day and say what it came to."""
    world = morning(seed, launches=happens == "launch")
    place = cost_place(world, folder)
    world, entry = place.world, outgrown(world, seed)
    began = world.now
    _begin(world, entry, happens)
    if provided == "half_more":
        await _half_more(place)
    day = _Day(place, entry, began)
    await day.live(provided, happens)
    since_s = (began - world.spec.start).total_seconds()
    full, spare = _fullness(world, since_s)
    place.parts.database.close()
    return Half(slo_minutes_lost(world, since_s), full, spare, tuple(day.findings.values()), entry.address)


def outgrown(world: World, seed: int) -> ServiceSpec:
    """Return the entry that is its own narrowest part."""
    name = faults.draw(world, "organic_growth", seed).names["service"]
    return next(s for s in world.spec.services if s.id == name)


@lru_cache(maxsize=2)
def morning(seed: int, *, launches: bool) -> World:
    """Return a world under foreign laws at six in the morning of its fourth day; copy it before changing it."""
    spec = random_world(seed, laws=foreign_laws(seed)).model_copy(
        update={"step_s": STEP_S, "retention_steps": int(5 * 86_400 / STEP_S)}
    )
    world = World(spec, seed)
    ends = _at_hour(world, spec.start + HISTORY, MORNING_H)
    while launches and (noon := _at_hour(world, world.now, LAUNCH_H)) < ends:
        world.advance(noon)
        _launch(world, outgrown(world, seed), 1.0)
        world.advance(noon + LAUNCH_LASTS)
    world.advance(ends)
    return world


def _at_hour(world: World, after: datetime, hour: int) -> datetime:
    """Return the next instant at which it is that hour where the users are."""
    utc = timedelta(hours=(hour - world.spec.regions[0].utc_offset_h) % 24)
    day = after.replace(hour=0, minute=0, second=0, microsecond=0) + utc
    return day if day > after else day + timedelta(days=1)


def _launch(world: World, entry: ServiceSpec, level: float) -> None:
    columns = tuple(world.layout.columns(entry.id))
    world.demand.trends["launch"] = Trend(
        columns, since=world.now, level=LAUNCH * level, ends=world.now + LAUNCH_LASTS
    )  # fmt: skip


def _begin(world: World, entry: ServiceSpec, happens: Happens) -> None:
    """Let demand outgrow the entry's room by two in the afternoon, or at the launch."""
    if happens == "nothing" or entry.scaling is None:
        return
    columns = tuple(world.layout.columns(entry.id))
    fleet_rps = entry.scaling.max_replicas * len(columns) * entry.cpu_millicores / entry.cpu_ms
    hour = PEAK_H if happens == "growth" else LAUNCH_H
    shape = daily_shape(world.now + timedelta(hours=hour - MORNING_H), world.spec.regions[0].utc_offset_h)
    factor = OUTGROWN * fleet_rps / (entry.demand_rps * shape * (LAUNCH if happens == "launch" else 1.0))
    grows = timedelta(hours=PEAK_H - MORNING_H if happens == "growth" else 2.5)
    world.demand.trends["growth"] = Trend(
        columns, since=world.now, growth_per_day=factor ** (timedelta(days=1) / grows) - 1.0, grown_at=world.now + grows
    )


async def _half_more(place: CostPlace) -> None:
    """Hold half more than yesterday's peak needed, always, of all that can be scaled."""
    world = place.world
    for service in _scalable(world):
        busy, _ = _busy_and_ready(world, service, world.history.count - 86_400 // STEP_S)
        target = service.scaling.target_cpu_utilisation if service.scaling else 0.6
        most = ceil(HALF_MORE * float(np.quantile(busy, 0.999)) / target / len(service.regions))
        if service.scaling is not None:
            policy = service.scaling.model_copy(update={"min_replicas": most, "max_replicas": most})
            act = {"kind": "scaling_policy.update", "arguments": {"service": service.id, "policy": policy.model_dump()}}
        else:
            act = {
                "kind": "service.scale",
                "arguments": {"service": service.id, "replicas": max(most, service.replicas)},
            }
        target_of = {"kind": "service", "id": service.id}
        await place.do(Act.model_validate({**act, "target": target_of, "rationale": "half more", "confidence": 1.0}))


def _scalable(world: World) -> list[ServiceSpec]:
    return [s for s in world.spec.services if not s.external and s.archetype not in HELD]


def _busy_and_ready(world: World, service: ServiceSpec, first: int) -> tuple[Floats, Floats]:
    """Return busy and ready replicas over all regions per step: the world's own truth."""
    rows, columns = world.history.rows(first, world.history.count), world.layout.columns(service.id)
    ready = world.history.truth("replicas_ready", rows, columns)
    return (world.history.truth("cpu_utilisation", rows, columns) * ready).sum(axis=1), ready.sum(axis=1)


def _fullness(world: World, since_s: float) -> tuple[float, float]:
    """Return service minutes above the full use, and USD for replicas that their targets did not ask for."""
    core_usd = world.billing.prices["D8s_v5"] / SKUS["D8s_v5"].cores
    full = spare = 0.0
    for service in _scalable(world):
        busy, ready = _busy_and_ready(world, service, round(since_s / STEP_S))
        target = service.scaling.target_cpu_utilisation if service.scaling else 0.6
        asked = np.ceil(busy / target / len(service.regions)) * len(service.regions)
        full += float((busy > FULL * ready).sum()) * STEP_S / 60.0
        spare += (
            float(np.maximum(ready - asked, 0.0).sum()) * STEP_S / 3600.0 * service.cpu_millicores / 1000.0 * core_usd
        )
    return full, spare
