"""Actions without lasting state: operations that the runtime keeps as records and carries on until they end.

One class runs every such kind: what is asked for is the kind with its closed arguments.
"""

from datetime import datetime

from pydantic import TypeAdapter

from domain.command_kinds import CommandKind
from domain.commands import Command, Inverse, Proposal
from domain.errors import Conflict
from domain.ids import PLATFORM
from domain.outcomes import ActionPlan, EffectReceipt
from domain.runtime_api import REQUESTS, OperationRecord, OperationRequest, PreviewAnswer
from domain.tenancy import AffectedSet
from domain.topology import EntityRef
from tools.affected import affected_by
from tools.client import RuntimeClient
from tools.effects import effect_under, send
from tools.paths import place
from tools.readers.runtime import RuntimeApiReader

_PREVIEW = TypeAdapter(PreviewAnswer)
_OPERATION = TypeAdapter(OperationRecord)
_NOTHING_LASTING = Inverse(note="nothing lasting to take back")


class RecordedAction:
    """An Action and ActionVerifier over recorded operations."""

    def __init__(self, client: RuntimeClient) -> None:
        self._client = client

    async def plan(self, proposal: Proposal, *, at: datetime) -> ActionPlan:
        """Preview the operation. Raises NotFound for a target out of reach, Refused for what is forbidden."""
        del at
        client = self._client.for_tenant(proposal.tenant)
        body = _body(proposal)
        answer = await client.preview("POST", place(proposal.environment, "operations"), body, _PREVIEW)
        return ActionPlan(
            preview=answer.changes, inverse=_NOTHING_LASTING, affected=await self._affected(proposal, answer)
        )

    async def apply(self, command: Command, *, grant: str) -> EffectReceipt:
        """Ask for it, once. Raises OutcomeUnknown when the answer was lost."""
        path = place(command.environment, "operations")
        return await send(self._client, command, "POST", path, _body(command), grant)

    async def status(self, command: Command) -> EffectReceipt:
        """Ask the runtime whether the effect happened."""
        return await effect_under(self._client, command)

    async def verify(self, command: Command) -> bool:
        """Tell whether the operation ended well."""
        record = await self._record(command)
        return record is not None and record.done

    async def ended(self, command: Command) -> bool:
        """Tell whether the operation has ended, well or not."""
        record = await self._record(command)
        return record is None or record.ended

    async def account(self, command: Command) -> str:
        """Say how the operation ended, in its own words, and what it measured."""
        record = await self._record(command)
        return "" if record is None else _told(record)

    async def plan_undo(self, command: Command, *, at: datetime) -> ActionPlan:
        """Plan nothing: there is nothing lasting. Raises Conflict where the operation says that it left something."""
        del at
        record = await self._record(command)
        if record is not None and record.progress.result.get("left"):
            raise Conflict(f"it left something behind: {record.progress.detail}", reason="left_behind")
        return ActionPlan(preview=(), inverse=_NOTHING_LASTING, affected=command.affected)

    async def _record(self, command: Command) -> OperationRecord | None:
        receipt = await effect_under(self._client, command)
        if receipt.operation is None:
            return None
        client = self._client.for_tenant(command.tenant)
        return await client.read(place(command.environment, "operations", receipt.operation), _OPERATION)

    async def _affected(self, proposal: Proposal, answer: PreviewAnswer) -> AffectedSet:
        """What the target and every resource in the preview reaches; a ticket touches only its tenant."""
        if proposal.kind == "ticket.open":
            return AffectedSet(tenants=(proposal.tenant,), environments=(proposal.environment,), resources=())
        platform = RuntimeApiReader(self._client.for_tenant(PLATFORM))
        topology = await platform.topology(proposal.environment)
        bound = await platform.bindings(proposal.environment)
        targets = [proposal.target, *(EntityRef.parse(change.address) for change in answer.changes)]
        found = affected_by(list(dict.fromkeys(targets)), topology, bound, proposal.environment)
        tenants = tuple(sorted({*found.tenants, proposal.tenant}))
        return found.model_copy(update={"tenants": tenants, "spans_tenants": len(tenants) > 1})


def _told(record: OperationRecord) -> str:
    progress = record.progress
    figures = [f"{name} {value:g}" for name, value in progress.result.items() if type(value) in (int, float)]
    said = ": ".join(filter(None, (f"{record.kind} {progress.status}", progress.detail)))
    return "; ".join(filter(None, (said, ", ".join(figures))))


def _body(asked: Proposal | Command) -> OperationRequest:
    kind: CommandKind = asked.kind
    return REQUESTS[kind].model_validate({"kind": kind, "arguments": asked.arguments})
