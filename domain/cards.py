"""One card model for every surface: CLI, web, chat. Built by the mesh, rendered by each, authority of none."""

from typing import Literal

from domain.base import Frozen, Severity, UtcDatetime
from domain.changes import ResourceChange
from domain.commands import Prediction


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
