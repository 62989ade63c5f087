"""The simulated compute target: the runtime's ports over one World, by its actuators and readers alone."""

from collections.abc import Sequence
from datetime import datetime

from domain.changes import Patch
from domain.desired import EnvironmentState
from domain.errors import NotFound
from domain.evidence import ChangeRecord, LogPattern, MetricSeries, SpanStats
from domain.ids import EnvironmentId
from domain.topology import Topology
from runtime.simulator import actuators, loglines, outages, readers, traces
from runtime.simulator.world import World

ACTOR = "opsmesh"


class SimulatedTarget:
    """A RuntimeTarget and EffectCounter over one world, which is one environment."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def apply(self, environment: EnvironmentId, state: EnvironmentState, *, key: str) -> None:
        """Make the state live; the world carries out each key once."""
        actuators.apply_desired(self._of(environment), state, key, actor=ACTOR)

    async def restart(self, environment: EnvironmentId, service: str, *, key: str) -> None:
        """Restart the replicas of a service one after another."""
        actuators.restart(self._of(environment), service, key, actor=ACTOR)

    async def live(self, environment: EnvironmentId) -> EnvironmentState:
        """Return what runs now."""
        return self._of(environment).environment_state()

    def effects(self, key: str) -> int:
        """Return how many times an effect took place under the key."""
        return self._world.effects.get(key, 0)

    async def topology(self, environment: EnvironmentId) -> Topology:
        """Return the whole topology."""
        return readers.topology(self._of(environment))

    async def drain(self, environment: EnvironmentId) -> Sequence[tuple[str, Patch]]:
        """Return what release pipelines and people wrote since the last call."""
        return [
            (c.actor, Patch(op="remove" if c.after is None else "set", path=c.path, value=c.after))
            for c in self._of(environment).journal.drain_external()
        ]

    async def series(
        self, environment: EnvironmentId, entities: Sequence[str], start: datetime, end: datetime
    ) -> tuple[MetricSeries, ...]:
        """Return all series of the entities (all when empty) over [start, end)."""
        world = self._of(environment)
        return outages.without_metrics(
            readers.series_window(world, start, end, entities=tuple(entities)), world.outages
        )

    async def changes(self, environment: EnvironmentId, start: datetime, end: datetime) -> tuple[ChangeRecord, ...]:
        """Return the platform's change feed, oldest first."""
        world = self._of(environment)
        return outages.without_changes(readers.changes(world, start, end), world.outages)

    async def logs(
        self, environment: EnvironmentId, start: datetime, split: datetime, end: datetime
    ) -> tuple[LogPattern, ...]:
        """Return log patterns with counts in [start, split) and [split, end)."""
        world = self._of(environment)
        return outages.without_logs(loglines.logs(world, start, split, end), world.outages, split, end)

    async def spans(
        self, environment: EnvironmentId, start: datetime, split: datetime, end: datetime
    ) -> tuple[SpanStats, ...]:
        """Return span statistics in [start, split) and [split, end)."""
        world = self._of(environment)
        return outages.without_spans(traces.spans(world, start, split, end), world.outages, split, end)

    def _of(self, environment: EnvironmentId) -> World:
        if environment != self._world.spec.environment:
            raise NotFound("no such environment")
        return self._world
