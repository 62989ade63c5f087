"""Reads of signals over a bounded window: metrics in bulk, what changed, log patterns, span statistics."""

# the environment in every path is read by the `access` dependency

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query

from domain.base import UtcDatetime
from domain.errors import Invalid
from domain.evidence import ChangeRecord, LogPattern, MetricSeries, SpanStats
from runtime.api.caller import Here, Services

router = APIRouter(prefix="/runtime/environments/{environment}", tags=["telemetry"])
MAX_WINDOW = timedelta(days=15)
"""Two weekly seasons and a day: the longest window any of our analyses looks at."""
MAX_SAMPLES = 2_000_000
"""Samples answered at once: two weeks of one-minute values of a hundred series, about 20 MB of JSON."""
Instant = Annotated[UtcDatetime, Query()]
Entities = Annotated[list[str] | None, Query(max_length=500)]


@router.get("/metrics")
async def metrics(
    runtime: Services, here: Here, start: Instant, end: Instant, entity: Entities = None
) -> tuple[MetricSeries, ...]:
    """Return all series of the entities (of all visible ones when none is named) over [start, end)."""
    _bounded(start, end)
    wanted = [e for e in entity or () if here.view.sees(e)]
    if entity and not wanted:
        return ()
    found = await runtime.target.series(here.environment, wanted, start, end)
    seen = tuple(s for s in found if here.view.sees(s.entity))
    if sum(len(s.values) for s in seen) > MAX_SAMPLES:
        raise Invalid("too many samples: ask for fewer entities or a shorter window", reason="window_too_large")
    return seen


@router.get("/changes")
async def changes(runtime: Services, here: Here, start: Instant, end: Instant) -> tuple[ChangeRecord, ...]:
    """Return what changed on visible things, oldest first."""
    _bounded(start, end)
    found = await runtime.target.changes(here.environment, start, end)
    return tuple(c for c in found if here.view.sees(c.entity))


@router.get("/logs")
async def logs(runtime: Services, here: Here, start: Instant, split: Instant, end: Instant) -> tuple[LogPattern, ...]:
    """Return log patterns of the tenant's own things with counts before and after the split."""
    _bounded(start, end)
    found = await runtime.target.logs(here.environment, start, split, end)
    return tuple(p for p in found if here.view.owns(p.entity))


@router.get("/spans")
async def spans(runtime: Services, here: Here, start: Instant, split: Instant, end: Instant) -> tuple[SpanStats, ...]:
    """Return span statistics of the tenant's own things before and after the split."""
    _bounded(start, end)
    found = await runtime.target.spans(here.environment, start, split, end)
    return tuple(s for s in found if here.view.owns(s.entity))


def _bounded(start: datetime, end: datetime) -> None:
    if not start < end <= start + MAX_WINDOW:
        raise Invalid("the window must end after it starts, within 15 days", reason="window_invalid")
