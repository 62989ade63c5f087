"""What waits only because a freeze held when policy was asked: taken back once the freeze is over, to be asked anew.

The question that people were asked (an operator's approval) no longer stands, and the evidence has aged. Only what an
agent proposed for an incident is taken back: the agent proposes again, on evidence of now; people repeat themselves.
"""

from dataclasses import dataclass

from domain.commands import CommandRecord, State
from domain.errors import Conflict
from domain.ids import PrincipalId
from domain.ports import Clock
from governance import switches
from governance.machine import CommandStore
from storage.engine import Database

FREEZE_RULE = "[freeze]"
"""How the reason of the policy rule ends that asks for an operator during a freeze (`stops.cedar`)."""


@dataclass(frozen=True, slots=True)
class Thawing:
    """Takes back what a past freeze holds up."""

    database: Database
    store: CommandStore
    clock: Clock
    worker: PrincipalId

    def step(self) -> None:
        """Look at every command that waits for a person."""
        for record in self.store.list("*", states=[State.AWAITING_APPROVAL]):
            if record.command.incident is not None and self._asked_for_a_freeze(record) and not self._frozen(record):
                self._take_back(record)

    def _asked_for_a_freeze(self, record: CommandRecord) -> bool:
        decision = self.store.decision(record.command.tenant, record.command.id)
        return decision is not None and any(reason.endswith(FREEZE_RULE) for reason in decision.reasons)

    def _frozen(self, record: CommandRecord) -> bool:
        with self.database.read() as connection:
            return bool(switches.frozen(connection, record.command, self.clock.now()))

    def _take_back(self, record: CommandRecord) -> None:
        command = record.command
        try:
            self.store.cancel(command.tenant, command.id, self.worker, "the freeze is over: proposed anew if needed")
        except Conflict:
            return  # somebody answered meanwhile
