"""Folds symptom events into incidents before any agent thinks: one incident, one run.

An incident opens only when a symptom has stood for a while or keeps coming back, so that a single flap starts no run.
Duplicates, late and flapping events join what is open; when every symptom has been quiet for a while, the incident
closes by itself.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import Connection

from domain.base import Severity
from domain.errors import Invalid
from domain.events import Event, traceparent_of
from domain.evidence import ChangeRecord
from domain.ids import EnvironmentId, IncidentId, TenantId
from domain.incidents import Incident, IncidentStatus
from domain.ports import Ids
from domain.topology import Topology
from grounding import incident_store as store
from grounding.incident_store import Symptom
from grounding.neighbourhood import Neighbourhood, owner_tenant
from grounding.sightings import BURN, BURN_CAUSES, BURN_STANDS, Sighting, sighting

# A symptom must stand this long: the shortest `for:` in common use in Prometheus alerting rules is one minute.
HOLD = timedelta(seconds=60)
# ... or come back three times within ten minutes: near the rate Nagios calls flapping, which is then persistent.
FLAP_RISES = 3
FLAP_WINDOW = timedelta(minutes=10)
# Symptoms of one cause arrive within a few evaluation rounds of each other; propagation is over after fifteen minutes.
JOIN = timedelta(minutes=15)
# All symptoms quiet for this long close an incident nobody acts on (Alertmanager's default resolve_timeout).
QUIET = timedelta(minutes=5)
# A row per event would let a storm grow an incident without bound; the log holds the rest.
MAX_EVENTS = 500
_ORDER: tuple[Severity, ...] = ("info", "warning", "error", "critical")

Change = Literal["ignored", "late", "pending", "joined", "recovering"]


@dataclass(frozen=True, slots=True)
class Folded:
    """What one event did."""

    change: Change
    incident: Incident | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """What the passing of time did."""

    opened: tuple[Incident, ...] = ()
    closed: tuple[Incident, ...] = ()
    """Healed by themselves: every symptom quiet, no command in flight."""
    joined: tuple[Incident, ...] = field(default=())


class Incidents:
    """The folder. Callers own the transaction; the environment's topology comes from a reader of the platform."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids

    def observe(self, connection: Connection, event: Event) -> Folded:
        """Fold one event into the standing of its signal. Opening is left to `settle`, which sees them together."""
        seen = sighting(event)
        environment = event.dimensions.environmentid
        if seen is None or environment is None:
            return Folded("ignored")
        if not seen.rising:
            return self._falling(connection, event.tenant, environment, seen)
        known = store.load_symptom(connection, event.tenant, environment, seen.entity, seen.signal)
        if known is not None and seen.at < known.last_at and not known.standing:
            return Folded("late")
        symptom = _risen(known, event, environment, seen)
        incident = _live(connection, symptom)
        if incident is None:
            store.save_symptom(connection, symptom.model_copy(update={"incident": None}))
            return Folded("pending")
        store.save_symptom(connection, symptom)
        grown = _grown(incident, [symptom])
        store.save_incident(connection, grown)
        return Folded("joined", grown)

    def awaits(self, connection: Connection, environment: EnvironmentId, at: datetime) -> bool:
        """Tell whether `settle` would open or join something, for which it needs to know what hangs together."""
        return any(s.incident is None and _is_due(s, at) for s in store.load_symptoms(connection, environment))

    def settle(
        self,
        connection: Connection,
        environment: EnvironmentId,
        *,
        topology: Topology,
        changes: Sequence[ChangeRecord] = (),
        at: datetime,
    ) -> Settled:
        """Open, join and close what is due at an instant. Call it at least once a minute and after each batch."""
        near = Neighbourhood(topology, changes, at=at)
        rows = store.load_symptoms(connection, environment)
        live = store.live_incidents(connection, environment)
        due = [s for s in rows if s.incident is None and _is_due(s, at)]
        joined, rest = self._join(connection, topology, near, live, due, at)
        opened = tuple(self._open(connection, topology, near, group, rows) for group in _groups(near, rest))
        return Settled(opened=opened, closed=_close_quiet(connection, environment, at), joined=joined)

    def stands(self, connection: Connection, incident: Incident, at: datetime) -> bool:
        """Tell whether any symptom of the incident is still told of, those that joined late among them."""
        rows = store.load_symptoms(connection, incident.environment)
        return any(s.incident == incident.id and s.stands(at) for s in rows)

    def set_status(
        self, connection: Connection, tenant: TenantId, incident: IncidentId, status: IncidentStatus
    ) -> Incident:
        """Move a tenant's incident to a status; one that is closed stays closed (Invalid)."""
        known = store.load_incident(connection, tenant, incident)
        if known.status == "closed" and status != "closed":
            raise Invalid(f"incident {incident} is closed", reason="incident_closed")
        moved = known.model_copy(update={"status": status})
        store.save_incident(connection, moved)
        return moved

    def _falling(self, connection: Connection, tenant: TenantId, environment: EnvironmentId, seen: Sighting) -> Folded:
        matching = [
            s
            for s in store.load_symptoms(connection, environment)
            if s.tenant == tenant and s.entity == seen.entity and _clears(seen, s) and s.last_at <= seen.at
        ]
        for symptom in matching:
            store.save_symptom(connection, symptom.model_copy(update={"standing": False, "last_at": seen.at}))
        incident = next((found for s in matching if (found := _live(connection, s)) is not None), None)
        return Folded("recovering" if matching else "ignored", incident)

    def _join(
        self,
        connection: Connection,
        topology: Topology,
        near: Neighbourhood,
        live: list[Incident],
        due: list[Symptom],
        at: datetime,
    ) -> tuple[tuple[Incident, ...], list[Symptom]]:
        fresh = {i.id: i for i in live if at - i.last_event_at <= JOIN}
        touched: dict[IncidentId, Incident] = {}
        rest: list[Symptom] = []
        for symptom in due:
            related = (i for i in fresh.values() if near.related(symptom.entity, i.entities))
            host = next((i for i in related if _within_sight(topology, i, symptom)), None)
            if host is None:
                rest.append(symptom)
                continue
            store.save_symptom(connection, symptom.model_copy(update={"incident": host.id}))
            touched[host.id] = fresh[host.id] = _grown(host, [symptom])
        for incident in touched.values():
            store.save_incident(connection, incident)
        return tuple(touched.values()), rest

    def _open(
        self,
        connection: Connection,
        topology: Topology,
        near: Neighbourhood,
        group: list[Symptom],
        rows: list[Symptom],
    ) -> Incident:
        """Open one incident for a group, taking along related signals that stand but are not due yet."""
        heads = {s.entity for s in group}
        waiting = [s for s in rows if s.standing and s.incident is None and s not in group]
        members = sorted([*group, *(s for s in waiting if near.related(s.entity, heads))], key=_first_seen)
        head = members[0]
        incident = _grown(
            Incident(
                id=IncidentId(self._ids.ulid()),
                tenant=owner_tenant(topology, [(s.entity, s.tenant) for s in members]),
                environment=head.environment,
                title=head.title,
                severity=head.severity,
                status="open",
                fingerprint=Sighting(
                    entity=head.entity,
                    signal=head.signal,
                    rising=True,
                    at=head.since,
                    severity=head.severity,
                    title=head.title,
                ).fingerprint,
                opened_at=head.since,
                last_event_at=head.last_at,
                entities=(head.entity,),
                trace=head.trace or traceparent_of(head.tenant, *head.events[:1]),
            ),
            members,
        )
        store.save_incident(connection, incident)
        for symptom in members:
            store.save_symptom(connection, symptom.model_copy(update={"incident": incident.id}))
        return incident


def _risen(known: Symptom | None, event: Event, environment: EnvironmentId, seen: Sighting) -> Symptom:
    fresh = known is None or not known.standing
    rises = () if known is None else tuple(r for r in known.rises if seen.at - r <= FLAP_WINDOW)
    return Symptom(
        tenant=event.tenant,
        environment=environment,
        entity=seen.entity,
        signal=seen.signal,
        severity=seen.severity,
        title=seen.title,
        standing=True,
        since=seen.at if known is None or fresh else min(known.since, seen.at),
        last_at=seen.at if known is None else max(known.last_at, seen.at),
        until=seen.at + BURN_STANDS if seen.signal == BURN else None,
        rises=(*rises, seen.at) if fresh else rises,
        events=(event.key,) if known is None else (*known.events, event.key)[-MAX_EVENTS:],
        incident=None if known is None else known.incident,
        trace=event.dimensions.traceparent,
    )


def _clears(seen: Sighting, symptom: Symptom) -> bool:
    return seen.signal in {"", symptom.signal} or (symptom.signal == BURN and seen.signal in BURN_CAUSES)


def _within_sight(topology: Topology, incident: Incident, symptom: Symptom) -> bool:
    """Tell whether the incident's owner may see the symptom: one that outgrows its owner is an incident of its own."""
    known = [(entity, incident.tenant) for entity in incident.entities]
    return owner_tenant(topology, [*known, (symptom.entity, symptom.tenant)]) == incident.tenant


def _is_due(symptom: Symptom, at: datetime) -> bool:
    flapping = len([r for r in symptom.rises if at - r <= FLAP_WINDOW]) >= FLAP_RISES
    return (symptom.stands(at) and at - symptom.since >= HOLD) or flapping


def _first_seen(symptom: Symptom) -> tuple[datetime, str, str]:
    return symptom.since, symptom.entity, symptom.signal


def _live(connection: Connection, symptom: Symptom) -> Incident | None:
    """The incident a symptom belongs to, while new events may still join it."""
    live = store.live_incidents(connection, symptom.environment) if symptom.incident else []
    return next((i for i in live if i.id == symptom.incident), None)


def _grown(incident: Incident, members: Iterable[Symptom]) -> Incident:
    rows = list(members)
    entities = dict.fromkeys([*incident.entities, *(s.entity for s in rows)])
    keys = dict.fromkeys([*incident.events, *(key for s in rows for key in s.events)])
    return incident.model_copy(
        update={
            "entities": tuple(entities),
            "events": tuple(keys)[:MAX_EVENTS],
            "severity": max([incident.severity, *(s.severity for s in rows)], key=_ORDER.index),
            "last_event_at": max([incident.last_event_at, *(s.last_at for s in rows)]),
        }
    )


def _groups(near: Neighbourhood, due: list[Symptom]) -> list[list[Symptom]]:
    """Connected groups of related symptoms, oldest first."""
    groups: list[list[Symptom]] = []
    for symptom in sorted(due, key=_first_seen):
        hosts = [g for g in groups if near.related(symptom.entity, {s.entity for s in g})]
        merged = [symptom, *(s for g in hosts for s in g)]
        groups = [*(g for g in groups if g not in hosts), merged]
    return groups


def _close_quiet(connection: Connection, environment: EnvironmentId, at: datetime) -> tuple[Incident, ...]:
    rows = store.load_symptoms(connection, environment)
    closed: list[Incident] = []
    for incident in store.live_incidents(connection, environment):
        members = [s for s in rows if s.incident == incident.id]
        quiet = bool(members) and all(not s.stands(at) and at - s.last_at >= QUIET for s in members)
        if incident.status == "open" and quiet:
            closed.append(incident.model_copy(update={"status": "closed"}))
            store.save_incident(connection, closed[-1])
    return tuple(closed)
