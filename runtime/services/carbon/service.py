"""The carbon service: energy and emissions of what ran, who bears them, and ready-made writes that would emit less.

Quantities come from the target's meter and readings, grids from a port. Shared and idle parts are borne as their cost
is, by energy instead of money.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import sqrt

import numpy as np

from analysis.signals import Floats
from domain.base import TimeRange
from domain.carbon import CarbonReport, CarbonRow, Estimate, GridUsed
from domain.evidence import MetricSeries
from domain.ids import PLATFORM, EnvironmentId, TenantId
from domain.topology import Topology
from runtime import state
from runtime.bills.ports import Billing, UsageSeries
from runtime.grid.ports import GridPoint
from runtime.parts import RuntimeParts
from runtime.planes import offered
from runtime.services.carbon.advice import advise
from runtime.services.carbon.around import Emitter, Surroundings
from runtime.services.carbon.energy import (
    EMBODIED_SD,
    POWER_SD,
    PUE,
    PUE_SD,
    SERVER_CORES,
    Amount,
    emission_sd,
    energy_sd,
    estimate,
    idle,
    market_of,
    requested,
)
from runtime.services.carbon.shifting import hours_of, shifts
from runtime.services.cost.allocation import Borne, bear
from runtime.services.cost.books import Piece
from runtime.services.cost.service import CostService

Key = tuple[str, str, str]
"""Address, region, pool."""
ASSUMPTIONS = (
    f"power per vCPU linear from idle to full load, PUE {PUE}: Cloud Carbon Footprint, Azure",
    f"embodied: 1200 kgCO2e a server, four years, {SERVER_CORES} vCPUs: Cloud Carbon Footprint",
    f"uncertainty of power {POWER_SD:.0%}: the spread of seven processors of the same source",
    f"assumed uncertainty: PUE {PUE_SD:.0%}, embodied {EMBODIED_SD:.0%}",
    "memory, storage and network are not counted",
)


@dataclass(frozen=True, slots=True)
class CarbonService:
    """Over the runtime's parts; nothing in it is state. Raises Unavailable where target or grids say nothing."""

    parts: RuntimeParts

    async def report(
        self, environment: EnvironmentId, tenant: TenantId, topology: Topology, window: TimeRange
    ) -> CarbonReport:
        """Return what the tenant's part emitted in the window; `topology` is the whole one."""
        billing = offered(self.parts.planes.billing, "billing")
        usage = await billing.usage(environment, window.start, window.end)
        services = [f"service/{s.id}" for s in topology.services]
        series = await self.parts.target.series(environment, services, window.start, window.end)
        amounts = _amounts(usage, series)
        points = await self._grids({region for _, region, _ in amounts}, window)
        with self.parts.database.read() as connection:
            tenants = [b.tenant for b in state.bound_tenants(connection, environment)]
        borne = [b for b in bear(_pieces(usage, amounts), topology, tenants) if tenant in (b.bearer, PLATFORM)]
        entries = _entries(topology)
        rows = _rows(borne, amounts, points)
        emitters = [Emitter(address, region, amounts[address, region, pool]) for address, region, pool in amounts]
        around = await self._around(environment, topology, window, points, billing)
        advised = advise(around, emitters, CostService(self.parts).recommendations(environment, tenant))
        hours = await hours_of(offered(self.parts.planes.energy, "energy"), sorted(points), around)
        asked = sum(row.requests for row in rows if row.key in entries)
        energy, location, market, embodied = _totals(rows, points)
        return CarbonReport(
            environment=environment, tenant=tenant, window=window, at=self.parts.clock.now(),
            energy_kwh=energy, location_g=location, market_g=market, embodied_g=embodied,
            requests=asked, sci_g_per_request=_sci(rows, points, asked),
            metered_share=_metered(usage, window), read_share=_read(amounts), rows=rows,
            grids=tuple(GridUsed.model_validate(p.model_dump(exclude={"relative_sd"})) for p in points.values()),
            assumptions=ASSUMPTIONS,
            recommendations=tuple(one for one in advised if tenant in (one.tenant, PLATFORM)),
            shifts=tuple(one for one in shifts(around, emitters, hours) if tenant in (one.tenant, PLATFORM)),
        )  # fmt: skip

    async def _grids(self, regions: set[str], window: TimeRange) -> dict[str, GridPoint]:
        grid = offered(self.parts.planes.energy, "energy")
        return {region: await grid.at(region, window.start) for region in sorted(regions)}

    async def _around(
        self,
        environment: EnvironmentId,
        topology: Topology,
        window: TimeRange,
        points: Mapping[str, GridPoint],
        billing: Billing,
    ) -> Surroundings:
        """Return all that advice is checked against."""
        with self.parts.database.read() as connection:
            desired = state.current(connection, environment).effective(self.parts.clock.now())
            bound = state.bound_tenants(connection, environment)
        prices = {price.sku: price.usd_per_core_hour for price in await billing.prices(environment)}
        return Surroundings(
            environment=environment, at=window.end, topology=topology, desired=desired, bound=bound, grids=points,
            window_h=(window.end - window.start).total_seconds() / 3600.0, usd_per_core_hour=prices,
        )  # fmt: skip


def _amounts(usage: Sequence[UsageSeries], series: Sequence[MetricSeries]) -> dict[Key, Amount]:
    """Return what each service took per region and pool, and what of each pool nobody requested."""
    read = {(s.entity, s.metric): s for s in series}
    cores = _totals_of(usage)
    found: dict[Key, Amount] = {}
    on_pool: dict[str, float] = defaultdict(float)
    for (kind, _, _, pool), values in cores.items():
        if kind == "requested":
            on_pool[pool] += float(values.sum())
    everywhere = {a: sum(float(v.sum()) for k, v in cores.items() if k[1] == a) for _, a, _, _ in cores}
    times = _times(usage)
    for (kind, address, region, pool), values in cores.items():
        if kind == "capacity":
            found[address, region, pool] = idle(max(float(values.sum()) - on_pool[pool], 0.0))
            continue
        share = float(values.sum()) / everywhere[address] if everywhere[address] > 0 else 0.0
        use = _sampled(read.get((address, "cpu_utilisation")), times)
        found[address, region, pool] = requested(values, use, share * _count(read.get((address, "request_rate"))))
    return found


def _totals_of(usage: Sequence[UsageSeries]) -> dict[tuple[str, str, str, str], Floats]:
    found: dict[tuple[str, str, str, str], Floats] = {}
    for one in usage:
        address = f"service/{one.service}" if one.service else f"node_pool/{one.node_pool}"
        key, values = (one.kind, address, one.region, one.node_pool), np.array(one.core_hours)
        found[key] = found[key] + values if key in found else values
    return found


def _times(usage: Sequence[UsageSeries]) -> tuple[Floats, int]:
    """Return where the meter's intervals begin, in Unix seconds, and their length."""
    if not usage:
        return np.zeros(0), 300
    one = usage[0]
    return one.start.timestamp() + one.step_s * np.arange(len(one.core_hours), dtype=np.float64), one.step_s


def _sampled(series: MetricSeries | None, times: tuple[Floats, int]) -> Floats:
    """Return the mean of what was read in each interval, NaN where nothing was."""
    begins, step_s = times
    if series is None or len(begins) == 0:
        return np.full(len(begins), np.nan)
    values = np.array([np.nan if v is None else v for v in series.values])
    at = series.start.timestamp() + series.step_s * np.arange(len(values))
    known = np.isfinite(values)
    slot = ((at[known] - begins[0]) // step_s).astype(np.intp)
    inside = (slot >= 0) & (slot < len(begins))
    counts = np.bincount(slot[inside], minlength=len(begins))
    sums = np.bincount(slot[inside], weights=values[known][inside], minlength=len(begins))
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _count(series: MetricSeries | None) -> float:
    return 0.0 if series is None else sum(v for v in series.values if v is not None) * series.step_s


def _pieces(usage: Sequence[UsageSeries], amounts: Mapping[Key, Amount]) -> list[Piece]:
    """Return what is to be borne, weighed by energy."""
    tenants = {f"service/{u.service}": u.tenant for u in usage if u.service}
    return [
        Piece(address, tenants.get(address, PLATFORM), region, pool, "", "", Fraction(0), Fraction(amount.energy_kwh))
        for (address, region, pool), amount in amounts.items()
    ]


def _rows(
    borne: Sequence[Borne], amounts: Mapping[Key, Amount], points: Mapping[str, GridPoint]
) -> tuple[CarbonRow, ...]:
    market = market_of(list(points.values()))
    sums: dict[tuple[str, str, str], list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for part in borne:
        piece, share = part.piece, float(part.share)
        amount = amounts[piece.resource, piece.region, piece.node_pool]
        key = "(idle nodes)" if part.kind == "idle" else piece.resource.removeprefix("service/")
        held = sums[key, piece.region, part.kind]
        for index, value in enumerate((amount.energy_kwh, amount.embodied_g, amount.requests)):
            held[index] += share * value
    rows = [
        CarbonRow.model_validate({
            "key": key, "region": region, "kind": kind, "energy_kwh": kwh, "embodied_g": embodied, "requests": requests,
            "location_g": kwh * points[region].location_g_per_kwh,
            "market_g": None if market is None else kwh * market[region],
        })
        for (key, region, kind), (kwh, embodied, requests) in sums.items()
    ]  # fmt: skip
    return tuple(sorted(rows, key=lambda row: (-row.location_g, row.key, row.region)))


def _by_region(rows: Sequence[CarbonRow]) -> dict[str, float]:
    found: dict[str, float] = defaultdict(float)
    for row in rows:
        found[row.region] += row.energy_kwh
    return found


def _totals(
    rows: Sequence[CarbonRow], points: Mapping[str, GridPoint]
) -> tuple[Estimate, Estimate, Estimate | None, Estimate]:
    """Return energy, location-based, market-based and embodied."""
    kwh, regions = sum(row.energy_kwh for row in rows), _by_region(rows)
    sds = {p.region: p.relative_sd for p in points.values()}
    grams = {p.region: p.location_g_per_kwh for p in points.values()}
    contracted, embodied = market_of(list(points.values())), sum(row.embodied_g for row in rows)
    location = estimate(sum(row.location_g for row in rows), emission_sd(regions, grams, sds))
    market = None
    if contracted is not None:
        market = estimate(sum(row.market_g or 0.0 for row in rows), emission_sd(regions, contracted, sds))
    return estimate(kwh, energy_sd(kwh)), location, market, estimate(embodied, embodied * EMBODIED_SD)


def _sci(rows: Sequence[CarbonRow], points: Mapping[str, GridPoint], asked: float) -> Estimate | None:
    if asked <= 0:
        return None
    sds = {p.region: p.relative_sd for p in points.values()}
    grams = {p.region: p.location_g_per_kwh for p in points.values()}
    embodied = sum(row.embodied_g for row in rows)
    sd = sqrt(emission_sd(_by_region(rows), grams, sds) ** 2 + (embodied * EMBODIED_SD) ** 2)
    return estimate((sum(row.location_g for row in rows) + embodied) / asked, sd / asked)


def _entries(topology: Topology) -> set[str]:
    """Services that nobody inside calls."""
    called = {edge.target for edge in topology.edges if edge.kind == "calls"}
    return {s.id for s in topology.services if f"service/{s.id}" not in called}


def _metered(usage: Sequence[UsageSeries], window: TimeRange) -> float:
    begins, step_s = _times(usage)
    return min(len(begins) * step_s / (window.end - window.start).total_seconds(), 1.0)


def _read(amounts: Mapping[Key, Amount]) -> float:
    whole = sum(a.core_hours for a in amounts.values())
    return sum(a.read_core_hours for a in amounts.values()) / whole if whole > 0 else 0.0
