"""A target that is only watched: what exists is given, signals come from wherever they are stored, nothing acts here.

For environments of which there is telemetry and no way to change anything: recorded ones, or somebody else's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.changes import Patch
from domain.desired import EnvironmentState
from domain.errors import NotFound, Refused
from domain.evidence import ChangeRecord, LogPattern, MetricSeries, SpanStats
from domain.ids import EnvironmentId
from domain.ports import SpanReader, TelemetryReader
from domain.topology import Topology


@dataclass(frozen=True, slots=True)
class ObservedTarget:
    """A RuntimeTarget without an actuator over readers of stored telemetry."""

    inventory: Topology
    signals: TelemetryReader
    traces: SpanReader

    async def apply(self, environment: EnvironmentId, state: EnvironmentState, *, key: str) -> None:
        """Raise Refused: nothing here can be changed."""
        raise Refused(f"{environment} is only watched: {key} cannot take effect", reason="no_actuator")

    async def restart(self, environment: EnvironmentId, service: str, *, key: str) -> None:
        """Raise Refused: nothing here can be restarted."""
        raise Refused(f"{environment} is only watched: {service} cannot be restarted ({key})", reason="no_actuator")

    async def live(self, environment: EnvironmentId) -> EnvironmentState:
        """Return no state: nobody tells what runs."""
        self._check(environment)
        return EnvironmentState()

    async def topology(self, environment: EnvironmentId) -> Topology:
        """Return what exists."""
        self._check(environment)
        return self.inventory

    async def drain(self, environment: EnvironmentId) -> Sequence[tuple[str, Patch]]:
        """Return no writes of others: without desired state there is nothing to take them into."""
        self._check(environment)
        return ()

    async def series(
        self, environment: EnvironmentId, entities: Sequence[str], start: datetime, end: datetime
    ) -> tuple[MetricSeries, ...]:
        """Return all series of the entities (all when empty) over [start, end)."""
        self._check(environment)
        return await self.signals.series(environment, entities, start, end)

    async def changes(self, environment: EnvironmentId, start: datetime, end: datetime) -> tuple[ChangeRecord, ...]:
        """Return what changed, oldest first."""
        self._check(environment)
        return await self.signals.changes(environment, start, end)

    async def logs(
        self, environment: EnvironmentId, start: datetime, split: datetime, end: datetime
    ) -> tuple[LogPattern, ...]:
        """Return log patterns with counts in [start, split) and [split, end)."""
        self._check(environment)
        return await self.signals.logs(environment, start, split, end)

    async def spans(
        self, environment: EnvironmentId, start: datetime, split: datetime, end: datetime
    ) -> tuple[SpanStats, ...]:
        """Return span statistics in [start, split) and [split, end)."""
        self._check(environment)
        return await self.traces.spans(environment, start, split, end)

    def _check(self, environment: EnvironmentId) -> None:
        if environment != self.inventory.environment:
            raise NotFound("no such environment")
