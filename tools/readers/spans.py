"""Self times of operations from traces: the domain's SpanReader over the runtime API."""

from datetime import datetime

from pydantic import TypeAdapter

from domain.evidence import SpanStats
from domain.ids import EnvironmentId
from tools.client import RuntimeClient
from tools.paths import place

_SPANS = TypeAdapter(tuple[SpanStats, ...])


class SpanApiReader:
    """Reads as the client's tenant."""

    def __init__(self, client: RuntimeClient) -> None:
        self._client = client

    async def spans(
        self, environment: EnvironmentId, start: datetime, split: datetime, end: datetime
    ) -> tuple[SpanStats, ...]:
        """Return span statistics in [start, split) and [split, end)."""
        params = {"start": start.isoformat(), "split": split.isoformat(), "end": end.isoformat()}
        return await self._client.read(place(environment, "spans"), _SPANS, params)
