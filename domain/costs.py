"""What an environment costs: the report of the cost service, with what stands behind every figure in it.

Cents are whole and add up: rows to the total, the total to the bill. What is an estimate is marked as one.
"""

from typing import Literal

from pydantic import Field

from domain.base import Frozen, Slug, TimeRange, UtcDatetime
from domain.findings import Act
from domain.ids import EnvironmentId, TenantId

CostDimension = Literal["tenant", "environment", "service", "region", "sku", "node_pool", "category"]
CostCause = Literal["price", "sku", "usage", "capacity"]
"""price: the same machine costs more; sku: other machines; usage: more is requested; capacity: more nodes."""
Lever = Literal["right_sizing", "scaling", "sku", "idle", "schedule"]


class CostRow(Frozen):
    """One value of the dimension asked for, in cents."""

    key: str
    direct_cents: int
    shared_cents: int
    """Part of the platform's services, by the users' own cost."""
    idle_cents: int
    """Part of what of the nodes nobody requested, by the own cost on the pool."""
    total_cents: int


class Completeness(Frozen):
    """How much of the window has been billed; the rest is usage times the price table."""

    billed_cents: int
    estimated_cents: int
    billed_share: float = Field(ge=0, le=1)
    """Share of the window's metered cost whose bill has come."""
    metered_share: float = Field(ge=0, le=1)
    """Share of the window that was metered at all."""
    metered_until: UtcDatetime | None
    restated: int
    """Charges of the window that a later line replaced; the later amount counts, the earlier is kept."""
    estimate_error: float | None
    """Mean absolute error of the estimate against the bill on charges that were billed, relative; None: none yet."""
    complete: bool


class MonthForecast(Frozen):
    """Cost of the calendar month that runs (UTC): what it has come to, and what it will."""

    until: UtcDatetime
    so_far_usd: float
    mean_usd: float
    low_usd: float
    high_usd: float
    level: float
    basis: str
    """What the forecast rests on."""


class CostAnomaly(Frozen):
    """Money that goes another way than it used to, and which dimension it comes from."""

    cause: CostCause
    tenant: TenantId
    resource: str
    """Address of the service or node pool."""
    region: Slug
    sku: Slug
    since: UtcDatetime
    expected_usd_per_hour: float
    observed_usd_per_hour: float
    price_usd_per_hour: float
    """Part of the excess that comes from the price of a core, at the quantity of now."""
    quantity_usd_per_hour: float
    """Part that comes from the quantity, at the price of before."""
    text: str

    @property
    def excess_usd_per_hour(self) -> float:
        """What it costs more than expected."""
        return self.observed_usd_per_hour - self.expected_usd_per_hour


class Recommendation(Frozen):
    """A way to spend less, with the command that would do it."""

    lever: Lever
    tenant: TenantId
    resource: str
    saving_usd_per_month: float
    act: Act
    evidence: tuple[str, ...]


class Saving(Frozen):
    """A change that took effect, and what it has saved against what the state before would have cost since."""

    resource: str
    what: str
    at: UtcDatetime
    until: UtcDatetime | None
    """When it was taken back; None while it holds."""
    realised_usd: float
    bookable_usd_per_month: float
    """At the rate of the last day; nothing once it was taken back."""


class Savings(Frozen):
    """Three things that are easily taken for one another."""

    potential_usd_per_month: float
    """Recommended and not done."""
    bookable_usd_per_month: float
    """Done and holding: what it saves a month at the rate measured."""
    realised_usd: float
    """Measured: the counterfactual less the metered cost, summed up since each change."""


class CostReport(Frozen):
    """What one tenant's part of an environment (all of it for the platform) costs in a window."""

    environment: EnvironmentId
    tenant: TenantId
    window: TimeRange
    at: UtcDatetime
    by: CostDimension
    currency: Literal["USD"] = "USD"
    rows: tuple[CostRow, ...]
    total_cents: int
    completeness: Completeness
    forecast: MonthForecast | None
    """None while less than a day was metered."""
    anomalies: tuple[CostAnomaly, ...]
    recommendations: tuple[Recommendation, ...]
    savings: Savings
    changes: tuple[Saving, ...]
