"""The carbon service: metering and sharing out, whether its intervals hold what machines took, and hours moved.

The world's own account follows the estimator's power model, so it shows metering alone. How sure the watts are is
tried on machines of other makes: each site has a processor generation and a PUE that the estimator is not told.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from domain.base import TimeRange
from domain.ids import PLATFORM
from evals.episodes.measures import usd_and_grams_per_hour
from evals.service_cases import Case, Check, Measured
from evals.services.carbon_hours import SHIFTING
from evals.services.cost_place import cost_place, lived
from runtime.bills.ports import UsageSeries
from runtime.grid.memory import MemoryGrid
from runtime.grid.ports import GridPoint
from runtime.services.carbon.service import CarbonService
from runtime.simulator.world import World
from runtime.targets.billing import SimulatedBilling

WINDOW = timedelta(hours=12)
CLOSE = 0.05
"""The meter and readings with noise of 2 % against the truth of every step."""


class HalfRead(SimulatedBilling):
    """A meter that has lost every second interval's quantity: the planted break."""

    async def usage(self, environment: str, start: datetime, end: datetime) -> Sequence[UsageSeries]:
        """Return usage with gaps that count as nothing."""
        held = await super().usage(self._world.spec.environment, start, end)
        return [u.model_copy(update={"core_hours": _every_second(u.core_hours)}) for u in held]


def _every_second(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(v * (k % 2) for k, v in enumerate(values))


async def _measured(seed: int, folder: Path, *, broken: bool = False) -> Measured:
    place = cost_place(lived(seed, 2.5), folder, HalfRead if broken else SimulatedBilling)
    world = place.world
    start = world.spec.start
    energy = MemoryGrid([(start, point) for point in _flat(world)])
    parts = replace(place.parts, planes=replace(place.parts.planes, energy=energy))
    service, environment = CarbonService(parts), world.spec.environment
    topology = await parts.target.topology(environment)
    window = TimeRange(start=world.now - WINDOW, end=world.now)
    whole = await service.report(environment, PLATFORM, topology, window)
    tenants = [await service.report(environment, b.tenant, topology, window) for b in world.spec.tenants[1:]]
    told = sum(row.location_g for row in whole.rows if row.key != "(idle nodes)")
    truth = _truth_g_per_hour(world) * WINDOW / timedelta(hours=1)
    missed = abs(told / truth - 1.0)
    off = abs(sum(t.location_g.mean for t in tenants) / whole.location_g.mean - 1.0)
    return Measured(
        checks=(
            Check(name="error against the world's own emissions", value=missed, bound=CLOSE, at="most"),
            Check(name="share by which tenants' parts miss the whole", value=off, bound=1e-9, at="most"),
            Check(name="share of core hours with a reading", value=whole.read_share, bound=0.9, at="least"),
        ),
        figures={"told_g": told, "true_g": truth, "with_idle_nodes_g": whole.location_g.mean,
                 "embodied_g": whole.embodied_g.mean, "advice": len(whole.recommendations)},
        reference="power of every step in the world, integrated",
    )  # fmt: skip


def _truth_g_per_hour(world: World) -> float:
    """The world's own rule over the same hours."""
    count = int(WINDOW.total_seconds() / world.spec.step_s)
    steps = world.history.rows(world.history.count - count, world.history.count)
    return usd_and_grams_per_hour(world, steps)[1]


PROCESSORS = (
    (1.90, 5.99), (0.71, 3.54), (0.64, 4.05), (0.64, 3.80), (0.82, 2.55), (0.47, 1.64), (0.45, 1.87),
)  # fmt: skip
"""Watts per vCPU, idle and full: Haswell, Broadwell, Skylake, Cascade Lake, Zen 1, 2 and 3 (Cloud Carbon Footprint)."""
CONCAVE = (0.6, 1.0)
"""Exponents of use, assumed: servers take more at low use than a line says (Fan et al. 2007 fit 2u - u^1.4)."""
PUES = (1.1, 1.4)
SITES = 40
"""Draws of makes per world."""


async def _covered(seed: int, folder: Path, *, narrow: float = 1.0) -> Measured:
    """Hold the interval of energy against machines of drawn makes under the same work."""
    place = cost_place(lived(seed, 2.5), folder)
    world = place.world
    energy = MemoryGrid([(world.spec.start, point) for point in _flat(world)])
    parts = replace(place.parts, planes=replace(place.parts.planes, energy=energy))
    topology = await parts.target.topology(world.spec.environment)
    window = TimeRange(start=world.now - WINDOW, end=world.now)
    told = await CarbonService(parts).report(world.spec.environment, PLATFORM, topology, window)
    requested = sum(row.energy_kwh for row in told.rows if row.key != "(idle nodes)")
    whole = told.energy_kwh
    share = requested / whole.mean
    low, high = ((end - whole.mean) * narrow * share + requested for end in (whole.low, whole.high))
    rng = np.random.default_rng((seed, SITES))
    took = [_took_kwh(world, rng) for _ in range(SITES)]
    held = sum(low <= kwh <= high for kwh in took) / SITES
    return Measured(
        checks=(Check(name="share of drawn makes within the interval of 90 %", value=held, bound=0.8, at="least"),),
        figures={
            "told_kwh": requested, "low_kwh": low, "high_kwh": high,
            "median_error": float(np.median([abs(requested / kwh - 1.0) for kwh in took])),
        },
        reference="seven processor generations, concave power, PUE 1.1 to 1.4, none of it told to the estimator",
    )  # fmt: skip


def _took_kwh(world: World, rng: np.random.Generator) -> float:
    """Energy of the requested cores over the window, each region's machines of one drawn make."""
    count = int(WINDOW.total_seconds() / world.spec.step_s)
    steps = world.history.rows(world.history.count - count, world.history.count)
    own = [w for w, s in enumerate(world.layout.rows) if not s.external]
    cores = world.history.truth("replicas_desired", steps, own) * world.plant.cores[own]
    use = np.clip(world.history.truth("cpu_cores", steps, own) / np.maximum(cores, 1e-9), 0.0, 1.0)
    regions = world.layout.region_of[own]
    watts = 0.0
    for region in np.unique(regions):
        idle, full = PROCESSORS[int(rng.integers(len(PROCESSORS)))]
        exponent, pue, mine = rng.uniform(*CONCAVE), rng.uniform(*PUES), regions == region
        watts += float((cores[:, mine] * (idle + (full - idle) * use[:, mine] ** exponent)).sum(axis=1).mean()) * pue
    return watts / 1000.0 * WINDOW / timedelta(hours=1)


def _flat(world: World) -> list[GridPoint]:
    return [
        GridPoint(
            region=r.id, location_g_per_kwh=r.grid_gco2e_per_kwh, relative_sd=0.1, source="the world", dated="always"
        )
        for r in world.spec.regions
    ]


async def _narrow(seed: int, folder: Path) -> Measured:
    return await _covered(seed, folder, narrow=1 / 3)


async def _broken(seed: int, folder: Path) -> Measured:
    return await _measured(seed, folder, broken=True)


CASES: tuple[Case, ...] = (
    Case(
        "carbon-measured", "carbon", "emissions told from meter and readings are those of the world, and parts add up",
        _measured, _broken, "every second interval of the meter counts as nothing",
    ),
    Case(
        "carbon-sure", "carbon", "the interval of energy holds what machines of other makes would have taken",
        _covered, _narrow, "intervals a third as wide, as they were when power was assumed known to 15 %",
    ),
    *SHIFTING,
)  # fmt: skip
