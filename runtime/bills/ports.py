"""What the cost service asks of a target: what was metered, what machines cost, and the bills as they come."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, Protocol

from pydantic import Field

from domain.base import Frozen, Slug, UtcDatetime
from domain.ids import EnvironmentId, TenantId
from runtime.bills.records import CostRecord


class UsageSeries(Frozen):
    """Core hours of one thing on one machine type, in equal intervals; zero where it ran on another type."""

    kind: Literal["requested", "capacity"]
    """requested by a service's replicas, or there as nodes of a pool."""
    tenant: TenantId
    service: Slug | None = None
    """None for capacity."""
    region: Slug
    node_pool: Slug
    sku: Slug
    start: UtcDatetime
    step_s: int = Field(gt=0)
    core_hours: tuple[float, ...]
    replica_hours: tuple[float, ...] = ()

    @property
    def step(self) -> timedelta:
        """Length of an interval."""
        return timedelta(seconds=self.step_s)


class Price(Frozen):
    """What a machine type costs from an instant on."""

    sku: Slug
    since: UtcDatetime
    usd_per_node_hour: float
    cores: float
    memory_mib: int

    @property
    def usd_per_core_hour(self) -> float:
        """The node's price shared out by cores."""
        return self.usd_per_node_hour / self.cores


class Billing(Protocol):
    """The provider's books. Bills come late and are restated; the meter runs minutes behind."""

    async def usage(self, environment: EnvironmentId, start: datetime, end: datetime) -> Sequence[UsageSeries]:
        """Return what was metered in closed intervals that begin in [start, end); all series share one grid."""
        ...

    async def prices(self, environment: EnvironmentId) -> Sequence[Price]:
        """Return the price table with its history, oldest first."""
        ...

    async def charges(self, environment: EnvironmentId, after: int) -> Sequence[CostRecord]:
        """Return the lines exported by now, in the order of arrival, without the first `after`.

        A line with the charge id and period of an earlier one restates it. `ResourceId` is an address: `service/x`, or
        `node_pool/y` for the part of its nodes that nobody requested.
        """
        ...
