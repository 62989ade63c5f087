"""The cost service and its worker: bills that reconcile, causes told in time, savings that were really made."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path

from domain.base import TimeRange
from domain.costs import CostDimension
from domain.ids import PLATFORM
from domain.topology import Topology
from evals.service_cases import Case, Check, Measured
from evals.services.cost_injections import CAUSES, EVERY_MIN, WITHIN_MIN, injected, quiet
from evals.services.cost_place import CostPlace, cost_place, lived
from runtime.bills.ports import Billing, Price, UsageSeries
from runtime.bills.records import CostRecord
from runtime.simulator import faults
from runtime.simulator.world import World
from runtime.targets.billing import SimulatedBilling

DIMENSIONS: tuple[CostDimension, ...] = ("tenant", "service", "region", "sku", "node_pool", "category", "environment")
LEAST_RECALL = 0.9


async def _told_in_time(seed: int, folder: Path, *, late: bool = False) -> Measured:
    looks, played = WITHIN_MIN // EVERY_MIN, ("runaway_job", "wrong_sku") if late else tuple(CAUSES)
    tried = [await injected(f, seed, folder / f, late=late, looks=looks) for f in played]
    found = [one for one in tried if one is not None]
    day = await quiet(seed, folder / "quiet", hours=2 if late else 8)
    wasting = max(len(found), 1)
    causes = sum(one.right_cause for one in found)
    in_time = sum(one.minutes is not None and one.minutes <= WITHIN_MIN for one in found)
    rule = sum(one.rule_minutes is not None and one.rule_minutes <= WITHIN_MIN for one in found)
    return Measured(
        checks=(
            Check(name="recall within 15 minutes", value=in_time / wasting, bound=LEAST_RECALL, at="least"),
            Check(name="right cause", value=causes / wasting, bound=LEAST_RECALL, at="least"),
            Check(name="false findings in a healthy shift", value=day.false_findings, bound=0),
        ),
        figures={"injected": len(found), "rule_recall": rule / wasting, "rule_false_alarms": day.rule_false},
        reference="alarm where the last hour cost 1.5 times the same hour yesterday",
    )  # fmt: skip


async def _late(seed: int, folder: Path) -> Measured:
    return await _told_in_time(seed, folder, late=True)


class Doubled:
    """Books in which a restatement comes under another id: the planted break."""

    def __init__(self, world: World) -> None:
        self._held = SimulatedBilling(world)
        self._environment = world.spec.environment

    async def usage(self, environment: str, start: datetime, end: datetime) -> Sequence[UsageSeries]:
        """Return usage as it is."""
        return await self._held.usage(self._environment, start, end)

    async def prices(self, environment: str) -> Sequence[Price]:
        """Return prices as they are."""
        return await self._held.prices(self._environment)

    async def charges(self, environment: str, after: int) -> Sequence[CostRecord]:
        """Return each line as a charge of its own."""
        told = await self._held.charges(self._environment, 0)
        return [r.model_copy(update={"charge_id": f"{r.charge_id}.{k}"}) for k, r in enumerate(told)][after:]


def doubled(world: World) -> Billing:
    """Return the damaged books."""
    return Doubled(world)


async def _reconciles(seed: int, folder: Path, *, broken: bool = False) -> Measured:
    place = cost_place(lived(seed, 2.5), folder, doubled if broken else SimulatedBilling)
    await place.live(0)
    faults.inject(place.world, faults.draw(place.world, "billing_restated", seed))
    await place.live(5)
    topology = await place.parts.target.topology(place.world.spec.environment)
    window = _billed_day(place)
    truth = _said_last(place, window)
    whole = await place.service.report(place.world.spec.environment, PLATFORM, topology, window, "tenant")
    tenants = sum([await _total(place, topology, window, t.tenant) for t in place.world.spec.tenants[1:]])
    sums = [
        (await place.service.report(place.world.spec.environment, PLATFORM, topology, window, by)).total_cents
        for by in DIMENSIONS
    ]
    return Measured(
        checks=(
            Check(name="cents off the last word of every bill", value=abs(whole.total_cents - truth), bound=0),
            Check(name="cents by which tenants' parts miss the whole", value=whole.total_cents - tenants, bound=0),
            Check(name="dimensions with another total", value=sum(s != sums[0] for s in sums), bound=0),
            Check(name="share billed", value=whole.completeness.billed_share, bound=0.999, at="least"),
        ),
        figures={"total_cents": whole.total_cents, "restated": whole.completeness.restated,
                 "estimate_error": whole.completeness.estimate_error or 0.0},
        reference="the provider's own sum of the day, the latest line of each charge",
    )  # fmt: skip


async def _doubled(seed: int, folder: Path) -> Measured:
    return await _reconciles(seed, folder, broken=True)


async def _total(place: CostPlace, topology: Topology, window: TimeRange, tenant: str) -> int:
    bound = next(b.tenant for b in place.world.spec.tenants if b.tenant == tenant)
    report = await place.service.report(place.world.spec.environment, bound, topology, window, "service")
    return report.total_cents


def _billed_day(place: CostPlace) -> TimeRange:
    """The last whole day whose bills have all come."""
    midnight = place.world.now.replace(hour=0, minute=0, second=0, microsecond=0)
    ends = midnight if place.world.now - midnight > timedelta(hours=8) else midnight - timedelta(days=1)
    return TimeRange(start=ends - timedelta(days=1), end=ends)


def _said_last(place: CostPlace, window: TimeRange) -> int:
    """Cents of the day by the provider's own list."""
    said: dict[str, Fraction] = {}
    arrived = [s for s in place.world.billing.sent if s.at_s <= place.world.elapsed_s]
    for sent in sorted(arrived, key=lambda s: s.at_s):
        if sent.start >= window.start and sent.end <= window.end:
            said[sent.resource] = Fraction(str(sent.amount_usd))
    return round(sum(said.values(), Fraction(0)) * 100)


class HalfMeter(Doubled):
    """Books that lost the meter of a region: the planted break."""

    async def usage(self, environment: str, start: datetime, end: datetime) -> Sequence[UsageSeries]:
        """Return usage of one region."""
        held = await super().usage(environment, start, end)
        return [series for series in held if series.region == held[0].region]


def half_meter(world: World) -> Billing:
    """Return the damaged books."""
    return HalfMeter(world)


async def _realised(seed: int, folder: Path, *, broken: bool = False) -> Measured:
    """Correct a waste, live for half a day, and compare with a world in which nobody did."""
    place = cost_place(lived(seed, 2.5), folder, half_meter if broken else SimulatedBilling)
    await place.live(0)
    drawn = faults.draw(place.world, "over_provisioned", seed)
    faults.inject(place.world, drawn)
    await place.live(20)
    left = cost_place(place.world, folder / "left")
    acts = [a for f in await place.look() if f.resource == drawn.entity for a in f.acts]
    for act in acts:
        await place.do(act)
    for one in (place, left):
        for _ in range(4):
            await one.live(180)
    environment = place.world.spec.environment
    topology = await place.parts.target.topology(environment)
    changes = await place.service.changes(environment, PLATFORM, topology)
    saved, name = sum(c.realised_usd for c in changes), drawn.entity.removeprefix("service/")
    truth = _spent(left.world, name) - _spent(place.world, name)
    ratio = saved / truth if truth else 0.0
    return Measured(
        checks=(
            Check(name="booked changes", value=len(changes), bound=1),
            Check(name="realised over really saved, least", value=ratio, bound=0.9, at="least"),
            Check(name="realised over really saved, most", value=ratio, bound=1.1, at="most"),
        ),
        figures={"realised_usd": saved, "really_saved_usd": truth},
        reference="the same world, in which nobody acted",
    )  # fmt: skip


async def _half(seed: int, folder: Path) -> Measured:
    return await _realised(seed, folder, broken=True)


def _spent(world: World, service: str) -> float:
    columns = world.layout.columns(service)
    return float(sum(i.requested[columns].sum() for i in world.meter.closed)) * _usd_per_core(world)


def _usd_per_core(world: World) -> float:
    prices: Mapping[str, float] = world.billing.prices
    return prices["D8s_v5"] / 8.0


CASES: tuple[Case, ...] = (
    Case(
        "cost-anomalies", "cost_anomaly", "faults that waste money are told within 15 minutes with their cause",
        _told_in_time, _late, "the meter runs an hour behind",
    ),
    Case(
        "cost-reconciles", "cost", "a billed day adds up to the cent in every dimension, restated bills counted once",
        _reconciles, _doubled, "a restatement comes as a charge of its own",
    ),
    Case(
        "cost-realised", "cost", "booked savings are what a world without the change would have cost more",
        _realised, _half, "the meter of a region is lost",
    ),
)  # fmt: skip
