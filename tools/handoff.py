"""Handoff: any command where nothing can act. It plans, applies and verifies as a ticket that says what to do by hand.

The command keeps its kind, arguments and target, so policy and people judge what it means; only its effect is a ticket.
"""

import json
from datetime import datetime

from pydantic import JsonValue

from domain.arguments import TicketOpen
from domain.command_kinds import CATALOGUE
from domain.commands import Command, Proposal
from domain.outcomes import ActionPlan, EffectReceipt
from tools.actions import Tool
from tools.client import RuntimeClient
from tools.readers.runtime import RuntimeApiReader
from tools.recorded_action import RecordedAction

NOBODY = "unowned"
"""Whom the ticket reaches when the topology names no owner of the target."""
_AS_TICKET = {"kind": "ticket.open"}


class Handoff:
    """An Action and ActionVerifier of every kind, over a runtime without an actuator."""

    def __init__(self, client: RuntimeClient) -> None:
        self._client = client
        self._ticket = RecordedAction(client)

    async def plan(self, proposal: Proposal, *, at: datetime) -> ActionPlan:
        """Preview the ticket. Raises NotFound for a target out of reach."""
        asked = _text(await self._owner(proposal), proposal)
        return await self._ticket.plan(proposal.model_copy(update=_AS_TICKET | {"arguments": asked}), at=at)

    async def apply(self, command: Command, *, grant: str) -> EffectReceipt:
        """Open the ticket, once. Raises OutcomeUnknown when the answer was lost."""
        asked = _text(await self._owner(command), command)
        return await self._ticket.apply(command.model_copy(update=_AS_TICKET | {"arguments": asked}), grant=grant)

    async def status(self, command: Command) -> EffectReceipt:
        """Ask the runtime whether the ticket was opened."""
        return await self._ticket.status(command)

    async def verify(self, command: Command) -> bool:
        """Tell whether the ticket is recorded."""
        return await self._ticket.verify(command)

    async def ended(self, command: Command) -> bool:
        """Tell whether the ticket is recorded: nothing follows."""
        return await self._ticket.ended(command)

    async def account(self, command: Command) -> str:
        """Say how the ticket was recorded."""
        return await self._ticket.account(command)

    async def plan_undo(self, command: Command, *, at: datetime) -> ActionPlan:
        """Plan nothing: a ticket leaves nothing to take back."""
        return await self._ticket.plan_undo(command, at=at)

    async def _owner(self, asked: Proposal | Command) -> str:
        topology = await RuntimeApiReader(self._client.for_tenant(asked.tenant)).topology(asked.environment)
        service = topology.service(asked.target.id) if asked.target.kind == "service" else None
        return NOBODY if service is None else service.owner_team


def _text(owner: str, asked: Proposal | Command) -> dict[str, JsonValue]:
    """Word the ticket. The preview holds these words, so the runtime refuses an effect that is worded otherwise."""
    arguments = json.dumps(asked.arguments, sort_keys=True, separators=(", ", ": "))
    wanted = TicketOpen(
        owner_team=owner,
        title=f"{asked.kind} on {asked.target.address}"[:200],
        cause=(asked.rationale or "no reason was given")[:2000],
        missing_action=f"run by hand, nothing here can: {asked.kind} {arguments}"[:2000],
    )
    return wanted.model_dump(mode="json")


def bind_handoffs(client: RuntimeClient) -> dict[str, Tool]:
    """Return tools for a runtime without an actuator: every kind of command plans as a ticket."""
    tools: dict[str, Tool] = {spec.tool: Handoff(client) for spec in CATALOGUE.values()}
    return tools | {"ticket": RecordedAction(client)}
