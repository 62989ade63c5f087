"""Ticket: tell the owner what is wrong and which action is missing."""

from pydantic import JsonValue

from domain.arguments import TicketOpen
from tools.recorded_action import RecordedAction


class OpenTicket(RecordedAction[TicketOpen]):
    """Nothing runs: the record is the effect."""

    arguments = TicketOpen
    route = "tickets"

    def body(self, wanted: TicketOpen) -> dict[str, JsonValue]:
        """Ask for a ticket."""
        return wanted.model_dump(mode="json")
