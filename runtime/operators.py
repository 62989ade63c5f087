"""The operators every runtime has: restart, ticket, and the cancelling of an operation that has not ended."""

from collections.abc import Mapping
from dataclasses import dataclass

from domain.changes import ResourceChange
from domain.command_kinds import CommandKind
from domain.errors import Conflict, NotFound, Refused
from domain.runtime_api import OperationRecord, Progress
from runtime import operations
from runtime.ports import Asked, ComputeTarget, OperationPlan, Operator
from storage.engine import Database

DONE = Progress(status="done")


@dataclass(frozen=True, slots=True)
class Restart:
    """Replaces the replicas of a service one after another."""

    target: ComputeTarget

    async def plan(self, asked: Asked) -> OperationPlan:
        """Plan the restart. Raises NotFound for a service that is missing or another's."""
        address = asked.meaning.target.address
        asked.view.check_owned(address)
        why = {"reason": asked.meaning.arguments.get("reason", "operator")}
        change = ResourceChange(address=address, operation="run", path="restart", after=why)
        return OperationPlan(changes=(change,), resources=(address,))

    async def step(self, record: OperationRecord) -> Progress:
        """Hand the restart over; the target counts it under the record's key."""
        await self.target.restart(record.environment, record.target.partition("/")[2], key=record.idempotency_key)
        return DONE

    async def cancel(self, record: OperationRecord) -> Progress:
        """Refuse: the target has it."""
        raise Refused(f"{record.target} is restarting already", reason="too_late")


class Ticket:
    """Tells an owner what is wrong: the record is the effect."""

    async def plan(self, asked: Asked) -> OperationPlan:
        """Plan the ticket. Tickets do not exclude each other."""
        where = f"environment/{asked.environment}"
        change = ResourceChange(address=where, operation="create", path="tickets", after=asked.meaning.arguments)
        return OperationPlan(changes=(change,), resources=(f"ticket/{asked.key}",))

    async def step(self, record: OperationRecord) -> Progress:
        """Nothing is left to do."""
        del record
        return DONE

    async def cancel(self, record: OperationRecord) -> Progress:
        """Refuse: it is told."""
        raise Refused(f"ticket {record.id} is open already", reason="too_late")


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stops another operation through that operation's own operator."""

    database: Database
    others: Mapping[CommandKind, Operator]

    async def plan(self, asked: Asked) -> OperationPlan:
        """Plan the cancelling. Raises NotFound for an operation out of view, Conflict for one that has ended."""
        name = asked.meaning.target.id
        with self.database.read() as connection:
            found = operations.find(connection, asked.tenant, asked.environment, name)
        if found is None:
            raise NotFound("no such operation")
        if found.ended:
            raise Conflict(f"the operation is {found.progress.status} already", reason="operation_ended")
        change = ResourceChange(address=f"operation/{name}", operation="run", path="cancel", after={"kind": found.kind})
        return OperationPlan(changes=(change,), resources=(f"operation/{name}",))

    async def step(self, record: OperationRecord) -> Progress:
        """Cancel once; one that ended meanwhile is left as it ended."""
        with self.database.read() as connection:
            found = operations.find(connection, record.tenant, record.environment, record.target.partition("/")[2])
        if found is None or found.ended:
            return Progress(status="done", detail="it had ended by itself")
        progress = await self.others[found.kind].cancel(found)
        with self.database.begin() as connection:
            operations.advance(connection, found, progress)
        return Progress(status="done", detail=progress.detail)

    async def cancel(self, record: OperationRecord) -> Progress:
        """Refuse: what is being stopped is not started again."""
        raise Refused(f"{record.target} is being cancelled already", reason="too_late")


def core_operators(target: ComputeTarget) -> dict[CommandKind, Operator]:
    """Return the operators that need nothing but a compute target."""
    return {"service.restart": Restart(target), "ticket.open": Ticket()}
