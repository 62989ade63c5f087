"""The carbon service: how far its estimate is from what the world really took, and whether parts add up."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from domain.base import TimeRange
from domain.ids import PLATFORM
from evals.episodes.measures import usd_and_grams_per_hour
from evals.service_cases import Case, Check, Measured
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
    grids = [
        GridPoint(
            region=r.id, location_g_per_kwh=r.grid_gco2e_per_kwh, relative_sd=0.1, source="the world", dated="always"
        )
        for r in world.spec.regions
    ]
    energy = MemoryGrid([(start, point) for point in grids])
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


async def _broken(seed: int, folder: Path) -> Measured:
    return await _measured(seed, folder, broken=True)


CASES: tuple[Case, ...] = (
    Case(
        "carbon-measured", "carbon", "emissions told from meter and readings are those of the world, and parts add up",
        _measured, _broken, "every second interval of the meter counts as nothing",
    ),
)  # fmt: skip
