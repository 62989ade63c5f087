"""`GET /runtime/cost/{environment}`: cost by dimension and window, forecast, anomalies, advice and savings."""

# ruff: noqa: FAST003  # the environment in the path is read by the `access` dependency

from datetime import timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Query

from domain.base import TimeRange, UtcDatetime
from domain.costs import CostDimension, CostReport
from domain.errors import Invalid
from runtime.api.caller import Here, Services
from runtime.services.cost.service import CostService

router = APIRouter(prefix="/runtime/cost", tags=["cost"])
Window = Literal["hour", "day", "week", "month"]
LENGTHS: dict[Window, timedelta] = {
    "hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7), "month": timedelta(days=30),
}  # fmt: skip
LONGEST = timedelta(days=31)
"""A calendar month: what the meter keeps."""
Instant = Annotated[UtcDatetime | None, Query()]


@router.get("/{environment}")
async def cost(
    runtime: Services,
    here: Here,
    by: Annotated[CostDimension, Query()] = "service",
    window: Annotated[Window, Query()] = "day",
    start: Instant = None,
    end: Instant = None,
) -> CostReport:
    """Return what the caller's part of the environment costs; `start` and `end` together replace `window`."""
    now = runtime.clock.now()
    if (start is None) != (end is None):
        raise Invalid("give both start and end, or a window", reason="window_invalid")
    asked = TimeRange(start=start or now - LENGTHS[window], end=min(end, now) if end else now)
    if not asked.start < asked.end <= asked.start + LONGEST:
        raise Invalid("the window must end after it starts, within 31 days", reason="window_invalid")
    topology = await runtime.target.topology(here.environment)
    return await CostService(runtime.parts).report(here.environment, here.tenant, topology, asked, by)
