"""Whoever is on call in a simulated world: sees the card of what waits, and answers by the API's own door.

A persona, not a way around: it is a person with roles in the store of identities, policy's `approve` question is put
about it, its answer binds the digest on the card, and a refusal counts. Evals choose what it thinks of a card.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from api.ports import Click, PlanClick
from domain.cards import Card, CardAction
from domain.commands import CommandRecord, State
from domain.errors import Refused
from domain.ids import PrincipalId, TenantId
from domain.plans import PlanRecord, PlanState
from domain.principals import ANY, Principal, Reach, RoleGrant
from mesh.api_services import CommandsBehind, DecidingBehind
from mesh.composition import Mesh
from mesh.internal import MESH
from mesh.plan_services import PlansBehind

NOTE = "on call"
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


_TELLING = {"command": {"Why", "Would change", "Undo"}, "plan": {"Why", "In order", "If one ends otherwise"}}
"""Sections of a card without which nobody should say yes to it."""


def trusting(card: Card) -> Verdict | None:
    """Approve what is offered for approval and says what it does and how it is undone; leave anything else."""
    shown = {section.title for section in card.sections if section.lines}
    offered = next((action for action in card.actions if action.verb == "approve"), None)
    return "approve" if offered is not None and _TELLING[offered.of] <= shown else None


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
    looked: dict[tuple[str, PrincipalId], datetime] = field(default_factory=dict[tuple[str, PrincipalId], datetime])
    """When each person last made up their mind about each command or plan."""

    def introduce(self) -> None:
        """Make the people known to the store of identities."""
        for person in self.approver.people:
            self.mesh.principals.add(person, by=MESH.id)

    async def answer(self) -> None:
        """Let everybody whose delay is over look at every command and plan that waits; a plan's are seen with it."""
        governed = self.mesh.governed
        for record in governed.commands.list("*", states=[State.AWAITING_APPROVAL]):
            for person in self._ready(record.command.id, record.updated_at):
                await self._on_command(record, person)
        for plan in governed.plans.list("*", states=[PlanState.AWAITING_APPROVAL]):
            for person in self._ready(plan.plan.id, plan.updated_at):
                await self._on_plan(plan, person)

    def _ready(self, subject: str, asked_at: datetime) -> Iterator[Principal]:
        """Yield whose delay is over since they were asked, or last looked."""
        now = self.mesh.parts.clock.now()
        for person in self.approver.people:
            if now - self.looked.get((subject, person.id), asked_at) >= self.approver.delay:
                self.looked[subject, person.id] = now
                yield person

    async def _on_command(self, record: CommandRecord, person: Principal) -> None:
        card = CommandsBehind(self.mesh).view(_seen_by(person), record.command.id).card
        if (action := self._wanted(card)) is None:
            return
        tenant, command = record.command.tenant, record.command.id
        click = Click(who=person, tenant=tenant, command=command, digest=action.digest, note=NOTE)
        with suppress(Refused):  # audited where it was refused; the command goes on waiting
            await DecidingBehind(self.mesh).decide(click, _verdict(action))

    async def _on_plan(self, record: PlanRecord, person: Principal) -> None:
        behind = PlansBehind(self.mesh)
        view = behind.view(_seen_by(person), record.plan.id)
        if (action := self._wanted(view.card)) is None:
            return
        click = PlanClick(who=person, record=view.record, digest=action.digest, note=NOTE)
        with suppress(Refused):
            await behind.decide(click, _verdict(action))

    def _wanted(self, card: Card) -> CardAction | None:
        """Return the card's action for the opinion about it, if there is one."""
        verdict = self.approver.opinion(card)
        return next((action for action in card.actions if action.verb == verdict), None)


def _seen_by(person: Principal) -> Reach:
    return person.reach(frozenset({"viewer"}))


def _verdict(action: CardAction) -> Verdict:
    return "approve" if action.verb == "approve" else "reject"
