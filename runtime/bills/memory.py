"""Books in memory: a billing plane that holds what it was given. Ships for tests and as the smallest example."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from domain.errors import NotFound
from domain.ids import EnvironmentId
from runtime.bills.ports import Price, UsageSeries
from runtime.bills.records import CostRecord


@dataclass(slots=True)
class MemoryBilling:
    """A `Billing` over lists. Append to them as time goes on."""

    environment: EnvironmentId
    metered: list[UsageSeries] = field(default_factory=list[UsageSeries])
    listed: list[Price] = field(default_factory=list[Price])
    exported: list[CostRecord] = field(default_factory=list[CostRecord])

    async def usage(self, environment: EnvironmentId, start: datetime, end: datetime) -> Sequence[UsageSeries]:
        """Return the intervals that begin in the window."""
        self._check(environment)
        return [cut for series in self.metered if (cut := _cut(series, start, end)).core_hours]

    async def prices(self, environment: EnvironmentId) -> Sequence[Price]:
        """Return the table."""
        self._check(environment)
        return sorted(self.listed, key=lambda price: price.since)

    async def charges(self, environment: EnvironmentId, after: int) -> Sequence[CostRecord]:
        """Return what was exported after that many lines."""
        self._check(environment)
        return self.exported[after:]

    def _check(self, environment: EnvironmentId) -> None:
        if environment != self.environment:
            raise NotFound("no such environment")


def _cut(series: UsageSeries, start: datetime, end: datetime) -> UsageSeries:
    first, last = (int(np.ceil((at - series.start) / series.step)) for at in (start, end))
    kept = slice(max(first, 0), max(last, 0))
    return series.model_copy(
        update={
            "start": series.start + max(first, 0) * series.step,
            "core_hours": series.core_hours[kept],
            "replica_hours": series.replica_hours[kept],
        }
    )
