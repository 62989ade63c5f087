"""Ticket: tell the owner what is wrong and which action is missing."""

from domain.arguments import TicketOpen
from domain.commands import Proposal
from domain.runtime_api import TicketBody
from domain.tenancy import AffectedSet
from tools.recorded_action import RecordedAction


class OpenTicket(RecordedAction[TicketOpen]):
    """Nothing runs: the record is the effect."""

    arguments = TicketOpen
    route = "tickets"

    def body(self, wanted: TicketOpen) -> TicketBody:
        """Ask for a ticket."""
        return TicketBody.model_validate(wanted.model_dump())

    def reach(self, proposal: Proposal, affected: AffectedSet) -> AffectedSet:
        """A ticket touches nothing but the tenant in whose name it is written."""
        del affected
        return AffectedSet(tenants=(proposal.tenant,), environments=(proposal.environment,), resources=())
