"""Ticket: tell the owner what is wrong and which action is missing."""

from domain.arguments import TicketOpen
from domain.runtime_api import TicketBody
from tools.recorded_action import RecordedAction


class OpenTicket(RecordedAction[TicketOpen]):
    """Nothing runs: the record is the effect."""

    arguments = TicketOpen
    route = "tickets"

    def body(self, wanted: TicketOpen) -> TicketBody:
        """Ask for a ticket."""
        return TicketBody.model_validate(wanted.model_dump())
