"""The simulated provider's books: a billing plane over the world's meter, price table and cost export."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal

import numpy as np

from domain.errors import NotFound
from domain.ids import PLATFORM, EnvironmentId, TenantId
from runtime.bills.ports import Price, UsageSeries
from runtime.bills.records import CostRecord
from runtime.simulator.billing import DAY, Sent
from runtime.simulator.metering import INTERVAL_S, Interval
from runtime.simulator.pricing import SKUS
from runtime.simulator.queueing import Floats
from runtime.simulator.world import World


class SimulatedBilling:
    """A `Billing` over one world."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def usage(self, environment: EnvironmentId, start: datetime, end: datetime) -> Sequence[UsageSeries]:
        """Return closed intervals of the meter."""
        world = self._of(environment)
        first_s, last_s = ((at - world.spec.start).total_seconds() for at in (start, end))
        kept = [interval for interval in world.meter.closed if first_s <= interval.start_s < last_s]
        return [*_requested(world, kept), *_capacity(world, kept)] if kept else []

    async def prices(self, environment: EnvironmentId) -> Sequence[Price]:
        """Return the provider's table."""
        world = self._of(environment)
        return [
            Price(
                sku=row.sku, since=world.instant(row.since_s), usd_per_node_hour=row.usd_per_node_hour,
                cores=SKUS[row.sku].cores, memory_mib=SKUS[row.sku].memory_mib,
            )
            for row in world.billing.listed
        ]  # fmt: skip

    async def charges(self, environment: EnvironmentId, after: int) -> Sequence[CostRecord]:
        """Return the lines that have arrived, as FOCUS."""
        world = self._of(environment)
        arrived = sorted((s for s in world.billing.sent if s.at_s <= world.elapsed_s), key=lambda sent: sent.at_s)
        return [_record(environment, sent) for sent in arrived[after:]]

    def _of(self, environment: EnvironmentId) -> World:
        if environment != self._world.spec.environment:
            raise NotFound("no such environment")
        return self._world


def _requested(world: World, kept: Sequence[Interval]) -> Iterator[UsageSeries]:
    layout = world.layout
    cores, replicas = np.stack([i.requested for i in kept]), np.stack([i.replicas for i in kept])
    for column, service in enumerate(layout.rows):
        if service.external:
            continue
        pool = int(layout.pool_of[column])
        for sku, on in _types(kept, pool):
            yield UsageSeries(
                kind="requested", tenant=TenantId(service.tenant), service=service.id,
                region=layout.regions[int(layout.region_of[column])], node_pool=layout.pools[pool], sku=sku,
                start=world.instant(kept[0].start_s), step_s=int(INTERVAL_S),
                core_hours=_told(cores[:, column] * on), replica_hours=_told(replicas[:, column] * on),
            )  # fmt: skip


def _capacity(world: World, kept: Sequence[Interval]) -> Iterator[UsageSeries]:
    capacity = np.stack([i.capacity for i in kept])
    for index, pool in enumerate(world.spec.node_pools):
        for sku, on in _types(kept, index):
            yield UsageSeries(
                kind="capacity", tenant=PLATFORM, region=pool.region, node_pool=pool.id, sku=sku,
                start=world.instant(kept[0].start_s), step_s=int(INTERVAL_S), core_hours=_told(capacity[:, index] * on),
            )  # fmt: skip


def _types(kept: Sequence[Interval], pool: int) -> list[tuple[str, Floats]]:
    """Return each machine type the pool had, with 1 in the intervals in which it had it."""
    held = [interval.skus[pool] for interval in kept]
    return [(sku, np.array([float(h == sku) for h in held])) for sku in dict.fromkeys(held)]


def _told(values: Floats) -> tuple[float, ...]:
    return tuple(round(float(v), 6) for v in values)


def _record(environment: EnvironmentId, sent: Sent) -> CostRecord:
    month = sent.start.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    next_month = (month + 32 * DAY).replace(day=1)
    kind, _, name = sent.resource.partition("/")
    tags = (("environment", environment), ("tenant", sent.tenant), *((("service", name),) if kind == "service" else ()))
    return CostRecord.model_validate({
        "account": environment, "billing_start": month, "billing_end": next_month, "charge_start": sent.start,
        "charge_end": sent.end, "category": "Usage", "resource": sent.resource, "tags": tuple(sorted(tags)),
        "charge_id": f"{sent.resource}@{sent.start:%Y-%m-%dT%H}", "currency": "USD",
        "billed": Decimal(str(sent.amount_usd)), "effective": Decimal(str(sent.amount_usd)),
    })  # fmt: skip
