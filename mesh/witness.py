"""What the loop did about an entity, told to chaos experiments from the loop's own records: incidents and commands."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from domain.commands import State
from domain.ids import EnvironmentId
from domain.incidents import Incident
from mesh.cases import Cases
from runtime.injection.ports import LoopSeen
from storage.tables.knowledge import incidents


@dataclass(frozen=True, slots=True)
class CasesWitness:
    """A LoopWitness over cases."""

    cases: Cases

    async def seen(self, environment: EnvironmentId, entities: frozenset[str], since: datetime) -> LoopSeen:
        """Return when the first incident since then was opened, a command proposed for it, and one verified."""
        query = (
            select(incidents.c.body)
            .where(incidents.c.environment == environment, incidents.c.opened_at >= since)
            .order_by(incidents.c.opened_at)
        )
        with self.cases.database.read() as connection:
            opened = [Incident.model_validate(body) for body in connection.execute(query).scalars()]
        found = [incident for incident in opened if entities.intersection(incident.entities)]
        records = [r for i in found for r in self.cases.commands(i) if r.command.kind != "ticket.open"]
        worked = [r.updated_at for r in records if r.state is State.SUCCEEDED]
        return LoopSeen(
            detected=min((i.opened_at for i in found), default=None),
            proposed=min((r.command.proposed_at for r in records), default=None),
            fixed=min(worked, default=None),
        )
