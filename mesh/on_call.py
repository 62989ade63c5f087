"""Whoever is on call in a simulated world: sees the card of a command that waits, and answers by the API's own door.

A persona, not a way around: it is a person with roles in the store of identities, policy's `approve` question is put
about it, its answer binds the digest on the card, and a refusal counts. Evals choose what it thinks of a card.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from api.ports import Click
from domain.cards import Card
from domain.commands import CommandRecord, State
from domain.errors import Refused
from domain.ids import CommandId, PrincipalId, TenantId
from domain.principals import ANY, Principal, RoleGrant
from mesh.api_services import CommandsBehind, DecidingBehind
from mesh.composition import Mesh
from mesh.internal import MESH

Verdict = Literal["approve", "reject"]
Opinion = Callable[[Card], Verdict | None]
"""What a person makes of a card; None leaves it lying."""
DELAY = timedelta(minutes=3)
"""From the page to the click: a person who is awake and trusts the card (our choice; acknowledging alone takes one)."""


def _person(number: int) -> Principal:
    grants = tuple(RoleGrant(role=role, tenant=TenantId(ANY)) for role in ("viewer", "approver"))
    return Principal(id=PrincipalId(f"person:on-call-{number}"), kind="person", name=f"On call {number}", grants=grants)


ON_CALL: tuple[Principal, ...] = (_person(1), _person(2))
"""Two, because high risk needs two. Approvers of all tenants, but no operators: a freeze holds for them."""


def trusting(card: Card) -> Verdict | None:
    """Approve what is offered for approval and says what it does and how it is undone; leave anything else."""
    shown = {section.title for section in card.sections if section.lines}
    offered = any(action.verb == "approve" for action in card.actions)
    return "approve" if offered and {"Why", "Would change", "Undo"} <= shown else None


@dataclass(frozen=True, slots=True)
class Approver:
    """Who is on call, how long until they answer, and what they make of what they see."""

    opinion: Opinion = trusting
    delay: timedelta = DELAY
    people: tuple[Principal, ...] = ON_CALL


@dataclass(frozen=True, slots=True)
class OnCall:
    """Answers what waits. Who was refused, or had no opinion, looks again after another delay."""

    mesh: Mesh
    approver: Approver
    looked: dict[tuple[CommandId, PrincipalId], datetime] = field(
        default_factory=dict[tuple[CommandId, PrincipalId], datetime]
    )
    """When each person last made up their mind about each command."""

    def introduce(self) -> None:
        """Make the people known to the store of identities."""
        for person in self.approver.people:
            self.mesh.principals.add(person, by=MESH.id)

    async def answer(self) -> None:
        """Let everybody whose delay is over look at every command that waits."""
        now = self.mesh.parts.clock.now()
        for record in self.mesh.governed.commands.list("*", states=[State.AWAITING_APPROVAL]):
            for person in self.approver.people:
                since = self.looked.get((record.command.id, person.id), record.updated_at)
                if now - since >= self.approver.delay:
                    self.looked[record.command.id, person.id] = now
                    await self._look(record, person)

    async def _look(self, record: CommandRecord, person: Principal) -> None:
        reach = person.reach(frozenset({"viewer"}))
        view = CommandsBehind(self.mesh).view(reach, record.command.id)
        verdict = self.approver.opinion(view.card)
        action = next((a for a in view.card.actions if a.verb == verdict), None)
        if verdict is None or action is None:
            return
        tenant, command = record.command.tenant, record.command.id
        click = Click(who=person, tenant=tenant, command=command, digest=action.digest, note="on call")
        try:
            await DecidingBehind(self.mesh).decide(click, verdict)
        except Refused:
            return  # audited where it was refused; the command goes on waiting
