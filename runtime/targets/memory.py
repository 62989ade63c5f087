"""The in-memory compute target: a dictionary that behaves, counts effects per key, and fails when told to.

It ships so that tests of everything above need no simulator; it passes the same contract suite as the others.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from domain.changes import Patch
from domain.desired import EnvironmentState
from domain.errors import Invalid, NotFound, Unavailable
from domain.evidence import ChangeRecord, LogPattern, MetricSeries, SpanStats
from domain.ids import EnvironmentId
from domain.topology import Topology


@dataclass(slots=True)
class MemoryTarget:
    """A RuntimeTarget and EffectCounter. Fill the lists to be read; `unreachable` makes the next effects fail."""

    environment_topology: Topology
    state: EnvironmentState
    metrics: list[MetricSeries] = field(default_factory=list[MetricSeries])
    change_feed: list[ChangeRecord] = field(default_factory=list[ChangeRecord])
    log_patterns: list[LogPattern] = field(default_factory=list[LogPattern])
    span_stats: list[SpanStats] = field(default_factory=list[SpanStats])
    platform_writes: list[tuple[str, Patch]] = field(default_factory=list[tuple[str, Patch]])
    restarts: list[str] = field(default_factory=list[str])
    unreachable: int = 0
    """How many of the next effects do not get through."""
    _counted: Counter[str] = field(default_factory=Counter[str])

    async def apply(self, environment: EnvironmentId, state: EnvironmentState, *, key: str) -> None:
        """Hold the state, once per key."""
        if self._first(environment, key):
            self.state = state

    async def restart(self, environment: EnvironmentId, service: str, *, key: str) -> None:
        """Note the restart, once per key."""
        self._check(environment)
        if service not in self.state.services:
            raise Invalid("no such service", reason="unknown_service")
        if self._first(environment, key):
            self.restarts.append(service)

    async def live(self, environment: EnvironmentId) -> EnvironmentState:
        """Return the state held."""
        self._check(environment)
        return self.state

    def effects(self, key: str) -> int:
        """Return how many effects took place under the key."""
        return self._counted[key]

    async def topology(self, environment: EnvironmentId) -> Topology:
        """Return the topology it was made with."""
        self._check(environment)
        return self.environment_topology

    async def drain(self, environment: EnvironmentId) -> Sequence[tuple[str, Patch]]:
        """Hand over the queued platform writes."""
        self._check(environment)
        taken, self.platform_writes = self.platform_writes, []
        return taken

    async def series(
        self, environment: EnvironmentId, entities: Sequence[str], start: datetime, end: datetime
    ) -> tuple[MetricSeries, ...]:
        """Return the series of the entities (all when empty) that begin in [start, end)."""
        self._check(environment)
        return tuple(s for s in self.metrics if (not entities or s.entity in entities) and start <= s.start < end)

    async def changes(self, environment: EnvironmentId, start: datetime, end: datetime) -> tuple[ChangeRecord, ...]:
        """Return the changes in [start, end), oldest first."""
        self._check(environment)
        return tuple(sorted((c for c in self.change_feed if start <= c.at < end), key=lambda c: c.at))

    async def logs(
        self, environment: EnvironmentId, start: datetime, split: datetime, end: datetime
    ) -> tuple[LogPattern, ...]:
        """Return the patterns it was filled with."""
        self._check(environment)
        return tuple(self.log_patterns)

    async def spans(
        self, environment: EnvironmentId, start: datetime, split: datetime, end: datetime
    ) -> tuple[SpanStats, ...]:
        """Return the statistics it was filled with."""
        self._check(environment)
        return tuple(self.span_stats)

    def _check(self, environment: EnvironmentId) -> None:
        if environment != self.environment_topology.environment:
            raise NotFound("no such environment")

    def _first(self, environment: EnvironmentId, key: str) -> bool:
        self._check(environment)
        if self.unreachable > 0:
            self.unreachable -= 1
            raise Unavailable("the target did not answer", reason="target_unreachable")
        if self._counted[key]:
            return False
        self._counted[key] += 1
        return True
