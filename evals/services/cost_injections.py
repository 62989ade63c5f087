"""Injections for the cost worker: a fault that wastes money in a world it was not tuned to, looked at as it happens.

Beside the worker stands a rule that many use: alarm where the last hour cost half as much again as yesterday's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from domain.base import Frozen
from domain.findings import Finding
from evals.services.cost_place import CostPlace, cost_place, lived
from runtime.bills.ports import Billing, Price, UsageSeries
from runtime.bills.records import CostRecord
from runtime.services.cost.anomalies import LEAST_USD_PER_MONTH, MONTH_H
from runtime.services.cost.books import lines_of
from runtime.simulator import faults
from runtime.simulator.world import World
from runtime.targets.billing import SimulatedBilling

CAUSES = {
    "over_provisioned": "usage",
    "runaway_job": "usage",
    "manual_scale": "usage",
    "wrong_sku": "sku",
    "price_change": "price",
}
DAYS = 2.5
LOOKS, EVERY_MIN = 6, 5
WITHIN_MIN = 15
"""What the roadmap asks for: a quarter of an hour after the meter has it."""
RULE = 1.5


class Injection(Frozen):
    """One fault in one world, and who noticed it after how many minutes (None: not within half an hour)."""

    fault: str
    seed: int
    usd_per_month: float
    minutes: int | None
    right_cause: bool
    right_act: bool
    others: int
    """Findings about anything else meanwhile."""
    rule_minutes: int | None


class Quiet(Frozen):
    """A day of a healthy world, its bills restated towards the end: whatever is found is false."""

    seed: int
    looks: int
    false_findings: int
    rule_false: int


@dataclass(frozen=True, slots=True)
class LateMeter:
    """Books whose meter runs an hour behind: the planted break."""

    world: World

    async def usage(self, environment: str, start: datetime, end: datetime) -> Sequence[UsageSeries]:
        """Return what was metered an hour ago."""
        held = SimulatedBilling(self.world)
        return await held.usage(self.world.spec.environment, start, min(end, self.world.now - timedelta(hours=1)))

    async def prices(self, environment: str) -> Sequence[Price]:
        """Return the table of an hour ago."""
        listed = await SimulatedBilling(self.world).prices(self.world.spec.environment)
        return [price for price in listed if price.since <= self.world.now - timedelta(hours=1)]

    async def charges(self, environment: str, after: int) -> Sequence[CostRecord]:
        """Return bills as they come."""
        return await SimulatedBilling(self.world).charges(self.world.spec.environment, after)


def late_meter(world: World) -> Billing:
    """Return the damaged books."""
    return LateMeter(world)


async def injected(fault: str, seed: int, folder: Path, *, late: bool = False, looks: int = LOOKS) -> Injection | None:
    """Inject one fault and look every five minutes; None where this draw wastes less than the gate."""
    place = cost_place(lived(seed, DAYS), folder, late_meter if late else SimulatedBilling)
    await place.live(0)
    drawn = faults.draw(place.world, fault, seed)
    truth = faults.inject(place.world, drawn)
    entities = {truth.entity, *truth.also}
    at: int | None = None
    rule_at: int | None = None
    cause = act = False
    others: set[str] = set()
    for look in range(1, looks + 1):
        await place.live(EVERY_MIN)
        found = await place.look()
        ours = [f for f in found if f.resource in entities and f.kind.startswith("cost.")]
        others |= {f.id for f in found if f.resource not in entities and not _spread(f, fault)}
        if ours and at is None:
            at = look * EVERY_MIN
            cause = any(f.kind == f"cost.{CAUSES[fault]}" for f in ours)
            # Drift is its own agent's to reconcile: there the right act is none.
            drift, asked = truth.domain == "drift", [a.kind for f in ours for a in f.acts]
            act = not asked if drift else any(kind in {x.kind for x in truth.answers} for kind in asked)
        if rule_at is None and await _rule(place):
            rule_at = look * EVERY_MIN
    usd = faults.harm(place.world, drawn).wasted_usd_per_hour * MONTH_H
    if usd < LEAST_USD_PER_MONTH:
        return None
    return Injection(
        fault=fault, seed=seed, usd_per_month=round(usd, 1), minutes=at, right_cause=cause, right_act=act,
        others=len(others), rule_minutes=rule_at,
    )  # fmt: skip


def _spread(finding: Finding, fault: str) -> bool:
    """A price is the same in every pool with that machine, and makes others worth having."""
    return fault == "price_change" and finding.kind in {"cost.price", "cost.sku"}


async def quiet(seed: int, folder: Path, *, hours: int = 24, every_min: int = 30) -> Quiet:
    """Live through a healthy day with a bill restated in its middle."""
    place = cost_place(lived(seed, DAYS), folder)
    false: set[str] = set()
    rule_false = looks = 0
    for step in range(hours * 60 // every_min):
        if step == hours * 60 // every_min // 2:
            faults.inject(place.world, faults.draw(place.world, "billing_restated", seed))
        await place.live(every_min)
        false |= {f.id for f in await place.look()}
        looks += 1
        if step % 2:  # the rule looks at hours
            rule_false += await _rule(place)
    return Quiet(seed=seed, looks=looks, false_findings=len(false), rule_false=rule_false)


async def _rule(place: CostPlace) -> int:
    """Return how many services cost half as much again in the last hour as in the same hour yesterday."""
    now = place.world.now
    alarms: dict[str, list[float]] = {}
    for k, ago in enumerate((timedelta(0), timedelta(days=1))):
        start = now - ago - timedelta(hours=1)
        for line in await lines_of(place.service.billing, place.world.spec.environment, start, now - ago):
            if line.resource.startswith("service/"):
                alarms.setdefault(line.resource, [0.0, 0.0])[k] += float(np.sum(line.usd))
    return sum(last > RULE * before for last, before in alarms.values())
