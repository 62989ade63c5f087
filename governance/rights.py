"""Who may answer for a command: a person with an asked role there, not its author, not disabled, never an agent."""

from collections.abc import Callable, Iterable
from datetime import datetime

from sqlalchemy import Connection

from domain.command_kinds import CommandKind
from domain.commands import Command
from domain.decisions import Ask, Freeze
from domain.ids import PrincipalId
from domain.principals import ANY, APPROVING_ROLES, Principal, RoleGrant

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


def accountable_for(command: Command) -> PrincipalId | None:
    """Return whom a waiver names as answering for it; None where the command is no waiver."""
    if command.kind != "compliance.waive":
        return None
    return PrincipalId(str(command.arguments["accountable"]))


def unaccountable(
    person: Principal | None, command: Command, authors: Iterable[PrincipalId], at: datetime
) -> str | None:
    """Return why whom a waiver names cannot answer for it, or None. `authors` are its ancestors'.

    A person of the tenant itself with an approving role there, other than its author: the same text for every other, so
    that it tells nothing of who exists.
    """
    name = accountable_for(command)
    if name is None:
        return None
    if (
        person is not None
        and person.id == name
        and person.kind == "person"
        and (person.disabled_at is None or person.disabled_at > at)
        and name not in {command.proposer, *authors}
        and any(_accepts(grant, command) for grant in person.grants)
    ):
        return None
    return "accountable: it takes a person of the tenant who may accept the risk, other than who proposes it"


def _accepts(grant: RoleGrant, command: Command) -> bool:
    place = grant.tenant == command.tenant and grant.environment in {command.environment, ANY}
    return place and grant.role in APPROVING_ROLES


def stopped_by_freeze(freezes: Iterable[Freeze], principals: Iterable[Principal], command: Command) -> str | None:
    """Return which freeze stops a command that none of these approvers lifts: it takes an operator."""
    if command.kind in NEVER_FROZEN:
        return None
    operators = any("operator" in p.roles_on(command.tenant, command.environment) for p in principals)
    for window in freezes:
        if not operators:
            return f"freeze: {window.reason} until {window.end.isoformat()}; an operator must approve"
    return None
