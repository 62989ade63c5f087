"""Writes that came without a grant: handed over as proposals, once per caller and idempotency key, with no effect."""

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from domain.commands import Proposal
from domain.errors import Conflict
from domain.ports import Clock, Ids
from runtime.meaning import Meaning
from runtime.ports import ProposeWrite
from runtime.writes import Proposed, Write
from storage.engine import Database
from storage.tables.runtime import proposed_writes


@dataclass(frozen=True, slots=True)
class ProposedWrites:
    """Remembers where each proposed write went, so that a repeated one gets the same address."""

    database: Database
    clock: Clock
    ids: Ids
    proposals: ProposeWrite

    async def propose(self, write: Write, meaning: Meaning) -> Proposed:
        """Hand the write over. Raises Conflict when the key was used for another request."""
        key = write.key or self.ids.ulid()
        with self.database.read() as connection:
            if (known := _known(connection, write, key)) is not None:
                return Proposed(location=known)
        proposal = Proposal(
            kind=meaning.kind,
            arguments=meaning.arguments,
            target=meaning.target,
            tenant=write.tenant,
            environment=write.environment,
            proposer=write.principal,
            rationale=write.rationale or "Asked for over the runtime API.",
            trace=write.trace,
        )
        location = await self.proposals.propose(proposal, idempotency_key=key)
        with self.database.begin() as connection:
            if (known := _known(connection, write, key)) is not None:
                return Proposed(location=known)
            connection.execute(
                insert(proposed_writes).values(
                    tenant=write.tenant,
                    environment=write.environment,
                    idempotency_key=key,
                    request_digest=write.request,
                    location=location,
                    principal=write.principal,
                    at=self.clock.now(),
                )
            )
        return Proposed(location=location)


def _known(connection: Connection, write: Write, key: str) -> str | None:
    row = connection.execute(
        select(proposed_writes.c.location, proposed_writes.c.request_digest).where(
            proposed_writes.c.tenant == write.tenant,
            proposed_writes.c.environment == write.environment,
            proposed_writes.c.principal == write.principal,
            proposed_writes.c.idempotency_key == key,
        )
    ).first()
    if row is None:
        return None
    if row.request_digest != write.request:
        raise Conflict("the idempotency key was used for another request", reason="key_reused")
    return row.location
