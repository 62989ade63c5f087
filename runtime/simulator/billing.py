"""What runs is metered by the second and billed by the day, late, and now and then restated: as clouds bill.

A service costs its requested cores times the price of a core on its node pool: the node price shared out by requests.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from domain.catalogue import BillingRecorded
from domain.desired import NodePoolState
from runtime.simulator.journal import Journal
from runtime.simulator.layout import Layout
from runtime.simulator.pricing import SKUS
from runtime.simulator.queueing import Floats
from runtime.simulator.streams import stream

SOURCE = "/runtime/billing"
# Cost exports arrive some hours after the day is over (Azure Cost Management: 8 to 24 h; hours here, days are short).
LATE_S = (2.0 * 3600.0, 8.0 * 3600.0)
# Share of bills that are corrected later, after how long, and by how much either way (order of practice).
RESTATED, RESTATED_AFTER_S, RESTATED_BY = 0.05, (12.0 * 3600.0, 36.0 * 3600.0), 0.03
DAY = timedelta(days=1)
SHARED_BY_ALL = "platform"


@dataclass(slots=True, frozen=True)
class Bill:
    """One service's day."""

    service: str
    tenant: str
    start: datetime
    end: datetime
    amount_usd: float


@dataclass(slots=True, frozen=True)
class Sent:
    """One line of a cost export, on its way until `at_s`. A later line about the same resource and day replaces it."""

    at_s: float
    resource: str
    """Address: a service, or a node pool for what of its nodes nobody requested."""
    tenant: str
    start: datetime
    end: datetime
    amount_usd: float


@dataclass(slots=True, frozen=True)
class Listed:
    """A price from an instant on, in seconds after the start."""

    since_s: float
    sku: str
    usd_per_node_hour: float


class Billing:
    """Prices of today, the running meter, and the bills that were written."""

    def __init__(self, layout: Layout, start: datetime, seed: int) -> None:
        self.prices = {sku.name: sku.cost_usd_per_hour for sku in SKUS.values()}
        """USD per node hour by SKU."""
        self.bills: list[Bill] = []
        self.sent: list[Sent] = []
        """Everything exported, in the order of writing."""
        self.listed = [Listed(0.0, sku, price) for sku, price in self.prices.items()]
        """The price table with its history, oldest first."""
        self._known = dict(self.prices)
        self._own = np.array([not s.external for s in layout.rows], dtype=np.float64)
        self._idle = np.zeros(len(layout.pools))
        self._nodes = np.zeros(len(layout.pools))
        self._layout, self._rng = layout, stream(seed, "billing")
        self._spent = np.zeros(layout.size)
        self._since = start
        self._next_s = (_midnight(start) - start).total_seconds()
        self._per_core = np.zeros(layout.size)

    def price(self, pools: dict[str, NodePoolState]) -> None:
        """Take note of the pools' machines and of today's prices."""
        held = [pools[p] for p in self._layout.pools]
        cores = [self.prices[p.sku] / SKUS[p.sku].cores for p in held]
        self._per_core = np.array(cores)[self._layout.pool_of]
        self._nodes = np.array([self.prices[p.sku] * p.node_count for p in held])

    def rate(self, replicas: Floats, cores: Floats) -> Floats:
        """USD per hour of each workload."""
        return replicas * cores * self._per_core

    def meter(self, rate: Floats, now_s: float, dt_s: float, journal: Journal) -> None:
        """Count one step; at midnight (UTC) write everybody's bill."""
        self._spent += rate * (dt_s / 3600.0)
        requested = np.bincount(self._layout.pool_of, rate * self._own, len(self._layout.pools))
        self._idle += (self._nodes - requested) * (dt_s / 3600.0)
        self._list(now_s - dt_s)
        if now_s >= self._next_s:
            self._close(now_s, journal)

    def _list(self, now_s: float) -> None:
        if self.prices != self._known:
            changed = [(sku, price) for sku, price in self.prices.items() if self._known[sku] != price]
            self.listed += [Listed(now_s, sku, price) for sku, price in changed]
            self._known = dict(self.prices)

    def _close(self, now_s: float, journal: Journal) -> None:
        end = _midnight(self._since)
        spent = np.bincount(self._layout.service_of, self._spent, len(self._layout.services))
        for service, amount in zip(self._layout.services, spent, strict=True):
            late, chance, after, by = self._rng.random(4)
            if not service.external:
                bill = Bill(service.id, service.tenant, self._since, end, round(float(amount), 2))
                self.bills.append(bill)
                sent_s = now_s + _between(LATE_S, late)
                self.tell(bill, bill.amount_usd, sent_s, journal, restated=False)
                if chance < RESTATED:
                    again = bill.amount_usd * (1.0 + RESTATED_BY * (2.0 * by - 1.0))
                    self.tell(bill, again, sent_s + _between(RESTATED_AFTER_S, after), journal, restated=True)
        for pool, amount in zip(self._layout.pools, self._idle, strict=True):
            usd = round(float(amount), 2)
            self.sent.append(Sent(now_s + LATE_S[1], f"node_pool/{pool}", SHARED_BY_ALL, self._since, end, usd))
        self._spent[:] = 0.0
        self._idle[:] = 0.0
        self._since, self._next_s = end, self._next_s + DAY.total_seconds()

    def tell(self, bill: Bill, amount_usd: float, at_s: float, journal: Journal, *, restated: bool) -> None:
        """Send a bill, or what it is now said to have been; it arrives `at_s` seconds after the start."""
        told_usd = round(amount_usd, 2)
        self.sent.append(Sent(at_s, f"service/{bill.service}", bill.tenant, bill.start, bill.end, told_usd))
        journal.emit(
            tenant=bill.tenant, source=SOURCE, kind="runtime.billing.recorded.v1", subject=f"service/{bill.service}",
            at=bill.end, deliver_s=at_s,
            data=BillingRecorded(
                service=bill.service, amount_usd=told_usd, period_start=bill.start, period_end=bill.end,
                restated=restated,
            ),
        )  # fmt: skip


def _midnight(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0) + DAY


def _between(bounds: tuple[float, float], share: float) -> float:
    return bounds[0] + share * (bounds[1] - bounds[0])
