"""Pack: install, upgrade or take off a marketplace pack."""

from datetime import datetime

from pydantic import TypeAdapter

from domain.arguments import PackChange
from domain.changes import Patch
from domain.commands import Proposal
from domain.packs import PackPlanAnswer, PackPlanBody
from tools.client import RuntimeClient
from tools.desired_action import DesiredAction
from tools.paths import place

_PLAN = TypeAdapter(PackPlanAnswer)


class ChangePack(DesiredAction[PackChange]):
    """The runtime verifies the pack and works its writes out anew at every plan: what is no longer trusted lapses."""

    arguments = PackChange

    async def writes(
        self, wanted: PackChange, proposal: Proposal, client: RuntimeClient, at: datetime
    ) -> tuple[Patch, ...]:
        """Ask the runtime what the change means for the tenant now."""
        del at
        asked = PackPlanBody.model_validate({"kind": proposal.kind, "arguments": wanted})
        answer = await client.preview("POST", place(proposal.environment, "packs", "plan"), asked, _PLAN)
        return answer.patches
