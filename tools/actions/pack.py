"""Pack: install, upgrade or take off a marketplace pack."""

from datetime import datetime

from pydantic import TypeAdapter

from domain.arguments import PackChange, PackUpgrade
from domain.changes import Patch
from domain.commands import Command, Proposal
from domain.outcomes import ActionPlan, EffectReceipt
from domain.packs import PackPlanAnswer, PackPlanBody
from tools.client import RuntimeClient
from tools.desired_action import DesiredAction
from tools.paths import place
from tools.recorded_action import RecordedAction

_PLAN = TypeAdapter(PackPlanAnswer)


class ChangePack(DesiredAction[PackUpgrade]):
    """The runtime verifies the pack and works its writes out anew at every plan: what is no longer trusted lapses.

    An upgrade of several tenants is an operation that the runtime carries on, the canary first.
    """

    arguments = PackUpgrade

    def __init__(self, client: RuntimeClient) -> None:
        super().__init__(client)
        self._rollout = RecordedAction(client)

    async def writes(
        self, wanted: PackUpgrade, proposal: Proposal, client: RuntimeClient, at: datetime
    ) -> tuple[Patch, ...]:
        """Ask the runtime what the change means for the tenant now."""
        del at
        own = wanted.model_dump(include=set(PackChange.model_fields))
        asked = PackPlanBody.model_validate({"kind": proposal.kind, "arguments": own})
        answer = await client.preview("POST", place(proposal.environment, "packs", "plan"), asked, _PLAN)
        return answer.patches

    async def plan(self, proposal: Proposal, *, at: datetime) -> ActionPlan:
        """Preview the command, for several tenants with every one's changes. Raises as the runtime refuses."""
        return await (self._rollout if _several(proposal) else super()).plan(proposal, at=at)

    async def apply(self, command: Command, *, grant: str) -> EffectReceipt:
        """Write the patches, or ask for the rollout, once. Raises OutcomeUnknown when the answer was lost."""
        return await (self._rollout if _several(command) else super()).apply(command, grant=grant)

    async def verify(self, command: Command) -> bool:
        """Tell whether what runs holds what was written, or whether the rollout ended well."""
        return await (self._rollout if _several(command) else super()).verify(command)

    async def ended(self, command: Command) -> bool:
        """Tell whether nothing is left to do: a rollout takes as long as its bakes."""
        return await (self._rollout if _several(command) else super()).ended(command)

    async def account(self, command: Command) -> str:
        """Say how a rollout ended."""
        return await (self._rollout if _several(command) else super()).account(command)

    async def plan_undo(self, command: Command, *, at: datetime) -> ActionPlan:
        """Plan the restore. Raises Conflict after a rollout that tenants still hold: it has no one state before."""
        return await (self._rollout if _several(command) else super()).plan_undo(command, at=at)


def _several(asked: Proposal | Command) -> bool:
    """Tell whether it goes over several tenants; an undo never does, as it writes nothing then."""
    return bool(asked.arguments.get("tenants")) and getattr(asked, "role", "forward") == "forward"
