"""Rows of symptoms and incidents. Every query names its tenant or environment; callers own the transaction."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import Connection, Table, and_, insert, select, update
from sqlalchemy.sql.elements import ColumnElement

from domain.base import Frozen, Severity, UtcDatetime
from domain.errors import NotFound
from domain.ids import EnvironmentId, EventKey, IncidentId, TenantId
from domain.incidents import Incident, IncidentStatus
from storage.tables.knowledge import incidents, symptoms


class Symptom(Frozen):
    """The present standing of one signal of one entity, as told by one tenant's events."""

    tenant: TenantId
    environment: EnvironmentId
    entity: str
    signal: str
    severity: Severity
    title: str
    standing: bool
    since: UtcDatetime
    """Start of the present standing, or of the last one."""
    last_at: UtcDatetime
    """Event time of the newest sighting either way: older ones arrive late and change nothing."""
    until: UtcDatetime | None = None
    """It stands no longer than this, where nobody tells its end."""
    rises: tuple[UtcDatetime, ...] = ()
    """Recent rising edges, for telling flapping from a single blip."""
    events: tuple[EventKey, ...] = ()
    incident: IncidentId | None = None
    trace: str | None = None

    def stands(self, at: datetime) -> bool:
        """Tell whether the signal is out of its gate at an instant."""
        return self.standing and (self.until is None or at < self.until)


def load_symptoms(connection: Connection, environment: EnvironmentId) -> list[Symptom]:
    """Return every symptom row of an environment (the folder works on the environment as a whole)."""
    rows = connection.execute(select(symptoms.c.body).where(symptoms.c.environment == environment))
    return [Symptom.model_validate(row.body) for row in rows]


def load_symptom(
    connection: Connection, tenant: TenantId, environment: EnvironmentId, entity: str, signal: str
) -> Symptom | None:
    """Return one symptom, None when the signal never left its gate."""
    query = select(symptoms.c.body).where(_symptom_key(tenant, environment, entity, signal))
    row = connection.execute(query).one_or_none()
    return None if row is None else Symptom.model_validate(row.body)


def save_symptom(connection: Connection, symptom: Symptom) -> None:
    """Write a symptom."""
    key = _symptom_key(symptom.tenant, symptom.environment, symptom.entity, symptom.signal)
    values = {"body": symptom.model_dump(mode="json"), "last_at": symptom.last_at, "incident": symptom.incident}
    identity = symptom.model_dump(include={"tenant", "environment", "entity", "signal"})
    _upsert(connection, symptoms, key, identity, values)


def save_incident(connection: Connection, incident: Incident) -> None:
    """Write an incident."""
    values = {
        "tenant": incident.tenant,
        "environment": incident.environment,
        "status": incident.status,
        "fingerprint": incident.fingerprint,
        "opened_at": incident.opened_at,
        "last_event_at": incident.last_event_at,
        "body": incident.model_dump(mode="json"),
    }
    _upsert(connection, incidents, incidents.c.id == incident.id, {"id": incident.id}, values)


def load_incident(connection: Connection, tenant: TenantId, incident: IncidentId) -> Incident:
    """Return a tenant's incident; NotFound when there is none of that id within the tenant."""
    query = select(incidents.c.body).where(incidents.c.id == incident, incidents.c.tenant == tenant)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound(f"no incident {incident}")
    return Incident.model_validate(row.body)


def list_incidents(
    connection: Connection, tenant: TenantId, *, statuses: Iterable[IncidentStatus] = (), limit: int = 100
) -> list[Incident]:
    """Return a tenant's newest incidents, of the given statuses when any are given."""
    query = select(incidents.c.body).where(incidents.c.tenant == tenant)
    if wanted := list(statuses):
        query = query.where(incidents.c.status.in_(wanted))
    rows = connection.execute(query.order_by(incidents.c.opened_at.desc(), incidents.c.id.desc()).limit(limit))
    return [Incident.model_validate(row.body) for row in rows]


def live_incidents(connection: Connection, environment: EnvironmentId) -> list[Incident]:
    """Return the incidents of an environment that new symptoms may still join, oldest first."""
    query = select(incidents.c.body).where(
        incidents.c.environment == environment, incidents.c.status.in_(["open", "mitigating", "escalated"])
    )
    rows = connection.execute(query.order_by(incidents.c.opened_at, incidents.c.id))
    return [Incident.model_validate(row.body) for row in rows]


def _symptom_key(tenant: TenantId, environment: EnvironmentId, entity: str, signal: str) -> ColumnElement[bool]:
    columns = symptoms.c
    return and_(
        columns.tenant == tenant,
        columns.environment == environment,
        columns.entity == entity,
        columns.signal == signal,
    )


def _upsert(
    connection: Connection,
    table: Table,
    where: ColumnElement[bool],
    identity: Mapping[str, object],
    values: Mapping[str, object],
) -> None:
    if connection.execute(update(table).where(where).values(values)).rowcount == 0:
        connection.execute(insert(table).values({**identity, **values}))
