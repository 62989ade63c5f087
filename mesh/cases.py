"""What the loop knows of an incident: the incident itself, its newest evidence and diagnosis, its commands."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from domain.commands import CommandRecord
from domain.errors import NotFound
from domain.evidence import Diagnosis, Evidence, EvidencePack
from domain.ids import EnvironmentId, IncidentId, TenantId
from domain.incidents import Incident
from governance.machine import CommandStore
from grounding import incident_store
from mesh.journal import Journal
from storage.engine import Database
from storage.tables.events import events
from storage.tables.knowledge import incidents

RAISED = "runtime.finding.raised.v1"


@dataclass(frozen=True, slots=True)
class Cases:
    """Reads across incidents, journal and commands."""

    database: Database
    journal: Journal
    store: CommandStore

    def incident(self, tenant: TenantId, incident: str) -> Incident | None:
        """Return the incident, None when the tenant has none of that id."""
        with self.database.read() as connection:
            try:
                return incident_store.load_incident(connection, tenant, IncidentId(incident))
            except NotFound:
                return None

    def of(self, record: CommandRecord) -> Incident | None:
        """Return the incident a command belongs to."""
        command = record.command
        return None if command.incident is None else self.incident(command.tenant, command.incident)

    def live(self, environment: EnvironmentId) -> tuple[Incident, ...]:
        """Return the incidents that new symptoms may still join, oldest first."""
        with self.database.read() as connection:
            return tuple(incident_store.live_incidents(connection, environment))

    def all(self, tenant: TenantId) -> tuple[Incident, ...]:
        """Return every incident of the tenant, oldest first."""
        query = select(incidents.c.body).where(incidents.c.tenant == tenant).order_by(incidents.c.opened_at)
        with self.database.read() as connection:
            return tuple(Incident.model_validate(body) for body in connection.execute(query).scalars())

    def pack(self, tenant: TenantId, incident: str) -> EvidencePack | None:
        """Return the newest evidence pack of the incident."""
        runs = self.journal.runs(tenant, IncidentId(incident))
        return self.journal.pack(tenant, runs[-1].id) if runs else None

    def items(self, tenant: TenantId, incident: str) -> tuple[Evidence, ...]:
        """Return what can be cited of the incident's newest evidence."""
        runs = self.journal.runs(tenant, IncidentId(incident))
        return self.journal.items(tenant, runs[-1].id) if runs else ()

    def found_at(self, tenant: TenantId, findings: Sequence[str]) -> datetime | None:
        """Return when the newest of some workers' findings was raised, None where the tenant has none of them.

        Only what the platform itself told counts: a sender from outside can name any finding.
        """
        query = select(func.max(events.c.time)).where(
            events.c.tenant == tenant, events.c.type == RAISED, events.c.correlationid.in_(findings),
            events.c.trust == "platform",
        )  # fmt: skip
        with self.database.read() as connection:
            return connection.execute(query).scalar()

    def diagnosis(self, tenant: TenantId, incident: str | None) -> Diagnosis | None:
        """Return the newest diagnosis of the incident."""
        if incident is None:
            return None
        found = [run.diagnosis for run in self.journal.runs(tenant, IncidentId(incident)) if run.diagnosis is not None]
        return found[-1] if found else None

    def commands(self, incident: Incident) -> tuple[CommandRecord, ...]:
        """Return the incident's forward commands, tickets among them, oldest first."""
        return tuple(r for r in self.store.list(incident.tenant, incident=incident.id) if r.command.role == "forward")
