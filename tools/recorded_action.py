"""Actions without lasting state: kept by the runtime as recorded resources, with nothing to take back."""

from abc import ABC, abstractmethod
from datetime import datetime
from typing import ClassVar, Generic, TypeVar

from pydantic import JsonValue, TypeAdapter

from domain.base import Frozen
from domain.commands import Command, Inverse, Proposal
from domain.ids import PLATFORM
from domain.outcomes import ActionPlan, EffectReceipt
from domain.runtime_api import OperationRecord, PreviewAnswer
from domain.tenancy import AffectedSet
from tools.affected import affected_by
from tools.client import RuntimeClient
from tools.effects import effect_under, send
from tools.paths import place
from tools.readers.runtime import RuntimeApiReader

A = TypeVar("A", bound=Frozen)
_PREVIEW = TypeAdapter(PreviewAnswer)
_OPERATION = TypeAdapter(OperationRecord)


class RecordedAction(ABC, Generic[A]):
    """An Action and ActionVerifier over a recorded resource. A subclass says its route and body."""

    arguments: ClassVar[type[Frozen]]
    route: ClassVar[str]

    def __init__(self, client: RuntimeClient) -> None:
        self._client = client

    @abstractmethod
    def body(self, wanted: A) -> Frozen:
        """Return the request that the arguments mean."""

    def reach(self, proposal: Proposal, affected: AffectedSet) -> AffectedSet:
        """Return what the operation really touches of what hangs on its target; by default all of it."""
        del proposal
        return affected

    async def plan(self, proposal: Proposal, *, at: datetime) -> ActionPlan:
        """Preview the operation. Raises NotFound for a target out of reach."""
        body = self._body(proposal.arguments)
        client = self._client.for_tenant(proposal.tenant)
        answer = await client.preview("POST", place(proposal.environment, self.route), body, _PREVIEW)
        platform = RuntimeApiReader(self._client.for_tenant(PLATFORM))
        topology = await platform.topology(proposal.environment)
        bound = await platform.bindings(proposal.environment)
        return ActionPlan(
            preview=answer.changes,
            inverse=Inverse(note="nothing lasting to take back"),
            affected=self.reach(proposal, affected_by([proposal.target], topology, bound, proposal.environment)),
        )

    async def apply(self, command: Command, *, grant: str) -> EffectReceipt:
        """Do it, once. Raises OutcomeUnknown when the answer was lost."""
        path = place(command.environment, self.route)
        return await send(self._client, command, "POST", path, self._body(command.arguments), grant)

    async def status(self, command: Command) -> EffectReceipt:
        """Ask the runtime whether the effect happened."""
        return await effect_under(self._client, command)

    async def verify(self, command: Command) -> bool:
        """Tell whether the recorded resource is done."""
        receipt = await effect_under(self._client, command)
        if receipt.operation is None:
            return False
        client = self._client.for_tenant(command.tenant)
        record = await client.read(place(command.environment, "operations", receipt.operation), _OPERATION)
        return record.done

    async def plan_undo(self, command: Command, *, at: datetime) -> ActionPlan:
        """Plan nothing: there is nothing lasting."""
        return ActionPlan(preview=(), inverse=Inverse(note="nothing lasting to take back"), affected=command.affected)

    def _body(self, arguments: dict[str, JsonValue]) -> Frozen:
        wanted: A = self.arguments.model_validate(arguments)  # pyright: ignore[reportAssignmentType]  # `arguments` is the class of A
        return self.body(wanted)
