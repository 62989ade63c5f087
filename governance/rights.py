"""Who may answer for a command: a person with an asked role there, not its author, not disabled, never an agent."""

from collections.abc import Callable, Iterable
from datetime import datetime

from sqlalchemy import Connection

from domain.command_kinds import CommandKind
from domain.commands import Command
from domain.decisions import Ask, Freeze
from domain.ids import PrincipalId
from domain.principals import APPROVING_ROLES, Principal

NEVER_FROZEN: frozenset[CommandKind] = frozenset({"ticket.open", "chaos.abort"})
"""What tells people, and what takes back an injected fault; the shipped freeze rule names the same."""
FindPrincipal = Callable[[Connection, PrincipalId], Principal | None]
"""Reads a principal within a transaction; None when there is none."""


def unfit_to_approve(
    principal: Principal, command: Command, ask: Ask, authors: Iterable[PrincipalId], at: datetime
) -> str | None:
    """Return why a principal's answer to a command cannot count, or None. `authors` are its own and its ancestors'."""
    if principal.kind != "person":
        return f"not_a_person: a {principal.kind} identity never approves"
    if principal.disabled_at is not None and principal.disabled_at <= at:
        return "disabled: the identity is disabled"
    if principal.id in {command.proposer, *authors}:
        return "self_approval: nobody decides about their own proposal"
    held = principal.roles_on(command.tenant, command.environment) & APPROVING_ROLES
    if not held & set(ask.roles):
        return f"role: one of {', '.join(ask.roles)} on {command.tenant}/{command.environment} is needed"
    return None


def stopped_by_freeze(freezes: Iterable[Freeze], principals: Iterable[Principal], command: Command) -> str | None:
    """Return which freeze stops a command that none of these approvers lifts: it takes an operator."""
    if command.kind in NEVER_FROZEN:
        return None
    operators = any("operator" in p.roles_on(command.tenant, command.environment) for p in principals)
    for window in freezes:
        if not operators:
            return f"freeze: {window.reason} until {window.end.isoformat()}; an operator must approve"
    return None
