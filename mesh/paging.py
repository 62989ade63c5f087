"""Pages: a person is called once per reason, with a filled-in runbook and the owner's team."""

from dataclasses import dataclass

from domain.catalogue import PageRaised
from domain.events import Dimensions, OutgoingEvent
from domain.incidents import Incident
from domain.ports import Clock, Ids
from grounding.incidents import Incidents
from mesh.journal import Journal, Page
from mesh.stages import Stage, Watcher
from storage.engine import Database
from storage.outbox import Outbox

_RUNBOOK = """1. Read `opsmesh why {incident}`: evidence, hypotheses, and what was tried.
2. Decide on a command and propose it: `opsmesh propose KIND ... --tenant {tenant}`.
3. If it heals without us, say so on the incident: lessons come from verified outcomes only."""


@dataclass(frozen=True, slots=True)
class Pager:
    """Calls people about incidents; governance pages about commands by itself."""

    database: Database
    journal: Journal
    outbox: Outbox
    incidents: Incidents
    clock: Clock
    ids: Ids
    watcher: Watcher

    def page_incident(self, incident: Incident, reason: str) -> None:
        """Page about an incident and mark it escalated, so that it is paged once."""
        now = self.clock.now()
        runbook = _RUNBOOK.format(incident=incident.id, tenant=incident.tenant)
        page = Page(
            id=self.ids.ulid(), tenant=incident.tenant, command=None, incident=incident.id, reason=reason,
            runbook=runbook, owner_team="", at=now,
        )  # fmt: skip
        data = PageRaised(incident=incident.id, reason=reason, runbook=runbook)
        event = OutgoingEvent(
            type="opsmesh.page.raised.v1", tenant=incident.tenant, subject=incident.id,
            dimensions=Dimensions(
                environmentid=incident.environment, severity="error", correlationid=incident.id,
                traceparent=incident.trace,
            ),
            data=data.model_dump(mode="json"),
        )  # fmt: skip
        with self.database.begin() as connection:
            self.journal.page(connection, page)
            self.outbox.append(connection, event)
            self.incidents.set_status(connection, incident.tenant, incident.id, "escalated")
        self.watcher(
            Stage(
                name="page", at=now, tenant=incident.tenant, incident=incident.id, title=f"a person is paged: {reason}"
            )
        )
