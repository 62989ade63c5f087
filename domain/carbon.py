"""What an environment emits: the report of the carbon service, by the Software Carbon Intensity standard.

SCI = (E x I + M) per R (ISO/IEC 21031:2024). Location- and market-based figures are never mixed.
"""

from typing import Literal

from domain.base import Frozen, Slug, TimeRange, UtcDatetime
from domain.ids import EnvironmentId, TenantId
from domain.runtime_api import PatchBody


class Estimate(Frozen):
    """A figure with its central interval of 90 %."""

    mean: float
    low: float
    high: float


class CarbonRow(Frozen):
    """What the caller bears of one service, or of the nodes nobody requested, in one region."""

    key: Slug | Literal["(idle nodes)"]
    region: Slug
    kind: Literal["direct", "shared", "idle"]
    energy_kwh: float
    location_g: float
    market_g: float | None
    embodied_g: float
    requests: float
    """Requests the service answered in this region's share; zero for idle nodes."""


class GridUsed(Frozen):
    """The figure that was used for a region."""

    region: Slug
    location_g_per_kwh: float
    market_g_per_kwh: float | None
    source: str
    dated: str


class CarbonWrite(Frozen):
    """A way to emit less, as a write that anybody who may propose can send to the runtime's door."""

    tenant: TenantId
    resource: str
    saving_g_per_month: float
    why: tuple[str, ...]
    method: Literal["PATCH"] = "PATCH"
    path: str
    body: PatchBody


class CarbonAdvice(CarbonWrite):
    """Less of it, or elsewhere."""

    lever: Literal["waste", "region"]


class CarbonShift(CarbonWrite):
    """At other hours. Apart from advice because version 1 promised its readers two levers."""

    lever: Literal["time"] = "time"


class CarbonReport(Frozen):
    """What the caller's part of an environment emitted in a window."""

    environment: EnvironmentId
    tenant: TenantId
    window: TimeRange
    at: UtcDatetime
    energy_kwh: Estimate
    location_g: Estimate
    """Operational, with the grids' own mix."""
    market_g: Estimate | None
    """Operational, with contracts or residual mixes; None where a region has no stated figure."""
    embodied_g: Estimate
    requests: float
    """The functional unit: requests from outside, to services nobody inside calls."""
    sci_g_per_request: Estimate | None
    """Location-based; None without requests."""
    metered_share: float
    """Share of the window that was metered."""
    read_share: float
    """Share of the requested core hours whose CPU use was read; the rest counts as half used."""
    rows: tuple[CarbonRow, ...]
    grids: tuple[GridUsed, ...]
    assumptions: tuple[str, ...]
    recommendations: tuple[CarbonAdvice, ...]
    shifts: tuple[CarbonShift, ...] = ()
