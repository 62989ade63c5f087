"""Metric windows, what changed and log patterns: the domain's TelemetryReader over the runtime API."""

from collections.abc import Sequence
from datetime import datetime

from pydantic import TypeAdapter

from domain.evidence import ChangeRecord, LogPattern, MetricSeries
from domain.ids import EnvironmentId
from tools.client import RuntimeClient
from tools.paths import place

_SERIES = TypeAdapter(tuple[MetricSeries, ...])
_CHANGES = TypeAdapter(tuple[ChangeRecord, ...])
_LOGS = TypeAdapter(tuple[LogPattern, ...])


class TelemetryApiReader:
    """Reads as the client's tenant; a window longer than the API's bound is Invalid."""

    def __init__(self, client: RuntimeClient) -> None:
        self._client = client

    async def series(
        self, environment: EnvironmentId, entities: Sequence[str], start: datetime, end: datetime
    ) -> tuple[MetricSeries, ...]:
        """Return all series of the entities (all visible ones when empty) over [start, end)."""
        params = {"start": start.isoformat(), "end": end.isoformat(), "entity": list(entities)}
        return await self._client.read(place(environment, "metrics"), _SERIES, params)

    async def changes(self, environment: EnvironmentId, start: datetime, end: datetime) -> tuple[ChangeRecord, ...]:
        """Return what changed, oldest first."""
        params = {"start": start.isoformat(), "end": end.isoformat()}
        return await self._client.read(place(environment, "changes"), _CHANGES, params)

    async def logs(
        self, environment: EnvironmentId, start: datetime, split: datetime, end: datetime
    ) -> tuple[LogPattern, ...]:
        """Return log patterns with counts in [start, split) and [split, end)."""
        params = {"start": start.isoformat(), "split": split.isoformat(), "end": end.isoformat()}
        return await self._client.read(place(environment, "logs"), _LOGS, params)
