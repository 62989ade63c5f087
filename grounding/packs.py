"""Builds an incident's evidence pack in one call: what moved, what changed, what it hangs on, what is known of old.

Every reader is bounded in time; one that fails becomes a gap, never a guess. A pack is read within one tenant's scope.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from domain.base import TimeRange
from domain.catalogue import SYMPTOM_TYPES
from domain.desired import DesiredState
from domain.errors import Invalid, Unavailable
from domain.events import Event
from domain.evidence import (
    ChangeRecord,
    DataGap,
    EvidencePack,
    LogPattern,
    MetricSeries,
    OpenCommand,
    PastOutcome,
    SignalKind,
    SpanStats,
)
from domain.ids import PLATFORM, EnvironmentId, TenantId
from domain.incidents import Incident
from domain.ports import Clock, RuntimeReader, SpanReader, TelemetryReader
from domain.tenancy import RuntimeTenantBinding
from domain.topology import Topology
from grounding.items import Shelf, in_order
from grounding.neighbourhood import Neighbourhood
from grounding.sightings import sighting

# Detectors confirm for minutes and leaks grow for longer: the window starts well before the first symptom.
LEAD = timedelta(minutes=15)
# Twelve quiet windows of LEAD length: enough for a 5 % family-wise threshold to be more than the largest of a few.
BASELINE = timedelta(hours=3)
# A change is suspect for an hour before onset (analysis uses the same); slow leaks need more.
CHANGE_LOOKBACK = timedelta(hours=6)
# Everything is read in environments up to this many entities, the neighbourhood of the symptoms beyond.
MAX_ENTITIES = 120
NEIGHBOUR_HOPS = 3
# A reader that takes longer is reported as a gap: people wait for the pack.
READ_LIMIT_S = 15.0
# A series whose last sample is older than this many steps has gone quiet.
STALE_STEPS = 12
MAX_PAST = 8
DEFAULT_KIND: SignalKind = "latency"
"""Symptom kind when no symptom event is visible: slowness is what people notice first."""


@dataclass(frozen=True, slots=True)
class Windows:
    """How much time a pack looks at: `lead` before the first symptom belongs to it, what is before that is usual."""

    lead: timedelta = LEAD
    baseline: timedelta = BASELINE
    lines: timedelta | None = None
    """Baseline of logs and traces where it is another: many stores keep them for less time than metrics."""


LIVE = Windows()
Read = TypeVar("Read")
_SIGNAL_KINDS: dict[str, SignalKind] = {
    "latency": "latency",
    "errors": "errors",
    "saturation": "saturation",
    "availability": "availability",
    "traffic": "traffic",
    "slo_burn": "errors",
    "certificate": "availability",
}


@dataclass(frozen=True, slots=True)
class Readers:
    """What one tenant's scope may read."""

    runtime: RuntimeReader
    telemetry: TelemetryReader
    spans: SpanReader | None = None


class ReaderSource(Protocol):
    """Gives the readers of a tenant's scope."""

    def for_tenant(self, tenant: TenantId) -> Readers:
        """Return readers that see exactly what the tenant may see."""
        ...


class EventWindow(Protocol):
    """The event log's exact window query."""

    def window(
        self,
        tenant: TenantId,
        window: TimeRange,
        *,
        environment: EnvironmentId | None = None,
        types: Sequence[str] = (),
        limit: int = 1000,
    ) -> Sequence[Event]:
        """Return one tenant's events of the types whose time lies in the window, oldest first."""
        ...


class PastIncidents(Protocol):
    """The knowledge index: what was done about similar incidents."""

    def similar(self, tenant: TenantId, text: str, *, at: datetime, limit: int) -> Sequence[PastOutcome]:
        """Return verified outcomes of similar incidents, most similar first."""
        ...


class OpenCommands(Protocol):
    """Governance's view of commands in an environment: in flight, awaiting approval, and recently ended."""

    def on(self, tenant: TenantId, environment: EnvironmentId, since: datetime) -> Sequence[OpenCommand]:
        """Return commands that are not terminal, and those that ended after `since`."""
        ...


@dataclass(slots=True)
class _Reading:
    """What came back, and what did not."""

    gaps: list[DataGap] = field(default_factory=list[DataGap])

    async def of(self, what: str, call: Awaitable[Read], fallback: Read) -> Read:
        """Await one reader within the limit; a failure becomes a gap."""
        try:
            return await asyncio.wait_for(call, READ_LIMIT_S)
        except TimeoutError:
            self.gaps.append(DataGap(what=what, why=f"no answer within {READ_LIMIT_S:g} s"))
        except (Unavailable, Invalid) as error:
            self.gaps.append(DataGap(what=what, why=f"{type(error).__name__}: {error}"[:300]))
        return fallback


class PackBuilder:
    """Builds packs from readers, event log, knowledge index and the command store."""

    def __init__(
        self,
        *,
        readers: ReaderSource,
        events: EventWindow,
        past: PastIncidents | None,
        commands: OpenCommands | None,
        clock: Clock,
        windows: Windows = LIVE,
    ) -> None:
        self._readers = readers
        self._events = events
        self._past = past
        self._commands = commands
        self._clock = clock
        self._windows = windows

    async def build(self, incident: Incident) -> EvidencePack:
        """Read everything about the incident; what could not be read is in `gaps`. Never raises for a reader."""
        at = self._clock.now()
        current = TimeRange(start=incident.opened_at - self._windows.lead, end=max(at, incident.opened_at))
        baseline = TimeRange(start=current.start - self._windows.baseline, end=current.start)
        reading = _Reading()
        shelf = Shelf(TimeRange(start=baseline.start, end=current.end))
        topology, bindings, desired = await self._structure(incident, reading)
        symptom = _nearest_to_users(topology, incident.entities)
        symptom_kind = self._symptoms(incident, symptom, bindings, shelf, reading)
        entities = _entities(topology, incident.entities)
        series, changes, logs, spans = await self._telemetry(incident, entities, baseline, current, reading)
        reading.gaps += _missing(topology, entities, series, current)
        if topology.services:
            shelf.topology(topology)
        if desired is not None:
            shelf.desired(desired)
        return EvidencePack(
            incident=incident,
            tenant=incident.tenant,
            environment=incident.environment,
            at=at,
            baseline=baseline,
            current=current,
            symptom=symptom,
            symptom_kind=symptom_kind,
            topology=topology,
            series=shelf.series(series),
            logs=shelf.logs(logs),
            spans=shelf.spans(spans),
            changes=shelf.changes(changes),
            past=shelf.past(self._recall(incident, symptom_kind, at)),
            open_commands=shelf.commands(self._open(incident)),
            desired=desired,
            bindings=bindings,
            gaps=tuple(reading.gaps),
            items=tuple(in_order(shelf.items.values())),  # last: the shelf has seen everything above
        )

    def _symptoms(
        self,
        incident: Incident,
        symptom: str,
        bindings: tuple[RuntimeTenantBinding, ...],
        shelf: Shelf,
        reading: _Reading,
    ) -> SignalKind:
        """Shelve the symptom events and return what kind of signal the symptom's own first one is about.

        A platform incident may have been told of by several tenants' events; nobody else sees more than their own.
        """
        several = {b.tenant for b in bindings} if incident.tenant == PLATFORM else set[TenantId]()
        wanted = set(incident.events)
        window = TimeRange(start=incident.opened_at - LEAD, end=incident.last_event_at + timedelta(seconds=1))
        found = [
            event
            for tenant in sorted({incident.tenant, *several})
            for event in self._events.window(
                tenant, window, environment=incident.environment, types=sorted(SYMPTOM_TYPES)
            )
            if event.key in wanted
        ]
        if len(found) < len(wanted):
            missing = len(wanted) - len(found)
            reading.gaps.append(DataGap(what=f"{missing} symptom events", why="not visible in this scope or window"))
        kinds: list[tuple[bool, SignalKind]] = []
        for event in sorted(found, key=lambda e: (e.time, e.key)):
            seen = sighting(event)
            if seen is not None and seen.rising:
                shelf.symptom(event, seen.title)
                kinds.append((seen.entity != symptom, _SIGNAL_KINDS.get(seen.signal, "other")))
        kinds.sort(key=lambda pair: pair[0])
        told: list[SignalKind] = [kind for _, kind in kinds if kind != "other"]
        return told[0] if told else "other" if kinds else DEFAULT_KIND

    async def _structure(
        self, incident: Incident, reading: _Reading
    ) -> tuple[Topology, tuple[RuntimeTenantBinding, ...], DesiredState | None]:
        runtime = self._readers.for_tenant(incident.tenant).runtime
        where = incident.environment
        no_bindings: tuple[RuntimeTenantBinding, ...] = ()
        topology, bindings, desired = await asyncio.gather(
            reading.of("topology", runtime.topology(where), Topology(environment=where)),
            reading.of("bindings", runtime.bindings(where), no_bindings),
            reading.of("desired state", _optional(runtime.desired(where)), None),
        )
        return topology, bindings, desired

    async def _telemetry(
        self,
        incident: Incident,
        entities: Sequence[str],
        baseline: TimeRange,
        current: TimeRange,
        reading: _Reading,
    ) -> tuple[tuple[MetricSeries, ...], tuple[ChangeRecord, ...], tuple[LogPattern, ...], tuple[SpanStats, ...]]:
        readers = self._readers.for_tenant(incident.tenant)
        telemetry, where = readers.telemetry, incident.environment
        start, split, end = baseline.start, current.start, current.end
        lines = start if self._windows.lines is None else split - self._windows.lines
        series, changes, logs = await asyncio.gather(
            reading.of("metrics", telemetry.series(where, entities, start, end), ()),
            reading.of("changes", telemetry.changes(where, split - CHANGE_LOOKBACK, end), ()),
            reading.of("logs", telemetry.logs(where, lines, split, end), ()),
        )
        if readers.spans is None:
            return series, changes, logs, ()
        return series, changes, logs, await reading.of("traces", readers.spans.spans(where, lines, split, end), ())

    def _recall(self, incident: Incident, kind: SignalKind, at: datetime) -> Sequence[PastOutcome]:
        if self._past is None:
            return ()
        text = f"{incident.title} {kind} {' '.join(incident.entities)}"
        return self._past.similar(incident.tenant, text, at=at, limit=MAX_PAST)

    def _open(self, incident: Incident) -> Sequence[OpenCommand]:
        if self._commands is None:
            return ()
        return self._commands.on(incident.tenant, incident.environment, incident.opened_at - LEAD)


def _nearest_to_users(topology: Topology, entities: Sequence[str]) -> str:
    """Return the symptomatic entity that depends on most of the others: from there every cause is in sight."""
    callees: dict[str, list[str]] = {}
    for edge in topology.edges:
        callees.setdefault(edge.source, []).append(edge.target)

    def sees(entity: str) -> int:
        below, queue = {entity}, [entity]
        while queue:
            fresh = [c for c in callees.get(queue.pop(), ()) if c not in below]
            below.update(fresh)
            queue += fresh
        return len(below.intersection(entities))

    return max(entities, key=sees)  # the first seen among equals


async def _optional(call: Awaitable[Read]) -> Read | None:
    return await call


def _entities(topology: Topology, symptoms: Sequence[str]) -> list[str]:
    """Empty asks the reader for everything; large environments are cut to the neighbourhood of the symptoms."""
    if len(topology.services) <= MAX_ENTITIES:
        return []
    near = Neighbourhood(topology)
    distance: dict[str, int] = {}
    for entity in symptoms:
        for name, hops in near.within(entity, NEIGHBOUR_HOPS).items():
            distance[name] = min(hops, distance.get(name, hops))
    return sorted(distance, key=lambda name: (distance[name], name))[:MAX_ENTITIES]


def _missing(
    topology: Topology, entities: Sequence[str], series: Sequence[MetricSeries], current: TimeRange
) -> list[DataGap]:
    expected = set(entities) or {f"service/{s.id}" for s in topology.services}
    seen = {row.entity for row in series}
    gaps = [DataGap(what=f"metrics of {name}", why="no series returned") for name in sorted(expected - seen)]
    quiet = sorted({row.entity for row in series if _is_quiet(row, current.end)})
    return gaps + [DataGap(what=f"metrics of {name}", why="at least one series went quiet") for name in quiet]


def _is_quiet(row: MetricSeries, end: datetime) -> bool:
    last = next((i for i in range(len(row.values) - 1, -1, -1) if row.values[i] is not None), None)
    seen_until = row.start if last is None else row.start + timedelta(seconds=(last + 1) * row.step_s)
    return end - seen_until > timedelta(seconds=STALE_STEPS * row.step_s)
