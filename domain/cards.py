"""One card model for every surface: CLI, web, chat. Built by the mesh, rendered by each, authority of none."""

from typing import Literal

from domain.base import Frozen, Severity, UtcDatetime
from domain.changes import ResourceChange
from domain.command_kinds import CommandKind
from domain.commands import Prediction, State
from domain.decisions import Effect
from domain.ids import CommandId, EnvironmentId, TenantId
from domain.outcomes import Verdict


class CardFact(Frozen):
    """A label and its value, both plain text that a surface must escape."""

    label: str
    value: str


class CardSection(Frozen):
    """A heading with lines or facts."""

    title: str
    lines: tuple[str, ...] = ()
    facts: tuple[CardFact, ...] = ()


class CardAction(Frozen):
    """A request a person may send; the API decides whether it is granted."""

    verb: Literal["approve", "reject", "narrow", "cancel", "show"]
    label: str
    command: str
    """Id of what is answered: a command's, or a plan's where `of` says so."""
    digest: str
    of: Literal["command", "plan"] = "command"


class Card(Frozen):
    """A command or incident as people see it."""

    title: str
    severity: Severity
    state: str
    summary: str
    sections: tuple[CardSection, ...] = ()
    preview: tuple[ResourceChange, ...] = ()
    prediction: Prediction | None = None
    actions: tuple[CardAction, ...] = ()
    expires_at: UtcDatetime | None = None


class SharedCommand(Frozen):
    """A tenant's own part of a command of the platform that touches it; nothing of anybody else is in it."""

    id: CommandId
    kind: CommandKind
    environment: EnvironmentId
    state: State
    tenants: tuple[TenantId, ...]
    """Those whose part this is, never others that are affected."""
    resources: tuple[str, ...]
    """Addresses of their own affected things."""
    preview: tuple[ResourceChange, ...]
    """What changes of their own things."""
    proposer: Literal["platform"] = "platform"
    effect: Effect | None = None
    """What policy said; None while it has not."""
    verdict: Verdict | None = None
    """How it went; None while that is not known."""
    proposed_at: UtcDatetime
    updated_at: UtcDatetime
    expires_at: UtcDatetime
    card: Card
    """Without actions: the platform's people answer."""
