"""Detection: read what arrived since last time, fold it into incidents, open and close what is due.

The cursor moves in the transaction that folds, so a crash folds each event exactly once.
"""

from dataclasses import dataclass

from domain.catalogue import SYMPTOM_TYPES
from domain.errors import Unavailable
from domain.events import Event
from domain.evidence import ChangeRecord
from domain.ids import PLATFORM, EnvironmentId, TenantId
from domain.ports import Clock
from domain.topology import Topology
from grounding import incident_store
from grounding.event_log import EventLog
from grounding.incidents import Incidents, Settled
from grounding.knowledge import KnowledgeIndex
from grounding.packs import CHANGE_LOOKBACK, ReaderSource
from mesh.journal import Journal
from mesh.stages import Stage, Watcher
from storage.engine import Database

CONSUMER = "detection"
BATCH = 500


@dataclass(frozen=True, slots=True)
class Detection:
    """Folds the log into incidents for the environments of this mesh."""

    database: Database
    log: EventLog
    incidents: Incidents
    knowledge: KnowledgeIndex
    journal: Journal
    readers: ReaderSource
    clock: Clock
    environments: tuple[EnvironmentId, ...]
    watcher: Watcher

    async def step(self) -> tuple[Settled, ...]:
        """Fold everything new, then settle each environment in which a symptom stands or an incident is open."""
        while self._fold():
            pass
        return tuple([await self._settle(e) for e in self.environments if self._restless(e)])

    def _restless(self, environment: EnvironmentId) -> bool:
        with self.database.read() as connection:
            rows = incident_store.load_symptoms(connection, environment)
            return any(row.standing or row.incident for row in rows) or bool(
                incident_store.live_incidents(connection, environment)
            )

    def _fold(self) -> int:
        cursor = int(self.journal.cursor(CONSUMER) or 0)
        batch = self.log.since(cursor, "*", limit=BATCH)
        if not batch:
            return 0
        with self.database.begin() as connection:
            for _, event in batch:
                folded = self.incidents.observe(connection, event)
                if event.type in SYMPTOM_TYPES and folded.change in {"pending", "joined"}:
                    self._tell(event)
            self.journal.move_cursor(connection, CONSUMER, str(batch[-1][0]))
        by_tenant: dict[TenantId, list[Event]] = {}
        for _, event in batch:
            by_tenant.setdefault(event.tenant, []).append(event)
        for tenant, events in by_tenant.items():
            self.knowledge.observe(tenant, events)
        return len(batch)

    def _tell(self, event: Event) -> None:
        what = event.data.get("message") if isinstance(event.data, dict) else None
        title = f"{event.subject or event.source}: {what or event.type}"
        self.watcher(Stage(name="symptom", at=event.time, tenant=event.tenant, title=title))

    async def _settle(self, environment: EnvironmentId) -> Settled:
        with self.database.read() as connection:
            awaits = self.incidents.awaits(connection, environment, self.clock.now())
        topology, changes = await self._structure(environment) if awaits else (Topology(environment=environment), ())
        with self.database.begin() as connection:
            settled = self.incidents.settle(
                connection, environment, topology=topology, changes=changes, at=self.clock.now()
            )
        for incident in settled.opened:
            lines = (f"severity {incident.severity}, on {', '.join(incident.entities[:6])}",)
            self.watcher(
                Stage(
                    name="incident", at=self.clock.now(), tenant=incident.tenant, incident=incident.id,
                    title=incident.title, lines=lines,
                )
            )  # fmt: skip
        return settled

    async def _structure(self, environment: EnvironmentId) -> tuple[Topology, tuple[ChangeRecord, ...]]:
        """Topology and recent changes as the platform sees them; without them incidents fold by entity alone."""
        readers = self.readers.for_tenant(PLATFORM)
        now = self.clock.now()
        try:
            topology = await readers.runtime.topology(environment)
            changes = await readers.telemetry.changes(environment, now - CHANGE_LOOKBACK, now)
        except Unavailable:
            return Topology(environment=environment), ()
        return topology, changes
