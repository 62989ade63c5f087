"""Who may do what in which place, as far as roles alone tell. Policy has the last word on commands.

What is out of a caller's reach does not exist for them: it is NotFound, the same as an id that was never given.
"""

from typing import Annotated

from fastapi import Path, Query

from api.ports import ApiServices
from domain.errors import NotFound, Refused
from domain.ids import PLATFORM, EnvironmentId, PrincipalId, TenantId
from domain.principals import ANY, READING_ROLES, Principal, Role

PROPOSING: frozenset[Role] = frozenset({"proposer", "operator", "admin"})
DECIDING: frozenset[Role] = frozenset({"approver", "operator", "admin"})
OPERATING: frozenset[Role] = frozenset({"operator", "admin"})
AUDITING: frozenset[Role] = frozenset({"auditor", "admin"})
ADMINISTERING: frozenset[Role] = frozenset({"admin"})
EVERYWHERE = EnvironmentId(ANY)
"""As an environment: only who holds the role in all of the tenant's environments."""

NAME = r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$"
Id = Annotated[str, Path(min_length=1, max_length=200, pattern=NAME)]
TenantQuery = Annotated[TenantId, Query(min_length=1, max_length=200, pattern=NAME)]
Limit = Annotated[int, Query(ge=1, le=500)]
"""How many of the newest; the governed path itself lists no more at a time."""


def require(who: Principal, roles: frozenset[Role], tenant: TenantId, environment: EnvironmentId) -> None:
    """Pass when one of the roles is held in the place. NotFound for strangers to the tenant, Refused for the rest."""
    if not who.reach(READING_ROLES).allows(tenant):
        raise NotFound("no such tenant within reach")
    if not who.reach(roles).allows(tenant, environment):
        raise Refused(f"this takes one of the roles {', '.join(sorted(roles))} there", reason="role")


def of_platform(who: Principal) -> bool:
    """Tell whether somebody operates the whole platform."""
    return bool(who.roles_on(PLATFORM, EVERYWHERE) & OPERATING)


def require_rank(services: ApiServices, who: Principal, by: PrincipalId) -> None:
    """Pass for who may take back what somebody placed: a stop of the platform's operator stays until one takes it back.

    Whoever is no known identity is the program itself.
    """
    if of_platform(who) or who.id == by:
        return
    try:
        placed_above = of_platform(services.identities.get(by))
    except NotFound:
        placed_above = True
    if placed_above:
        raise Refused("the platform's operator placed this, and takes it back", reason="role")


def require_person(who: Principal) -> None:
    """Pass for people only: agents and services decide nothing."""
    if who.kind != "person":
        raise Refused("only people decide", reason="not_a_person")
