"""Kill switches: stop new effects in a scope at once, and see what is still in flight there."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query

from api.auth import CurrentPrincipal, ReadingReach
from api.frame import WriteRoute
from api.ports import ApiServices, Services
from api.scopes import EVERYWHERE, OPERATING, require, require_rank
from api.views import Engaged, KillSwitchRequest, Reason
from domain.decisions import KillSwitch
from domain.errors import NotFound
from domain.ids import PLATFORM, CommandId, TenantId
from domain.principals import READING_ROLES, Principal, Reach

router = APIRouter(prefix="/v1/kill-switches", tags=["stops"], route_class=WriteRoute)
Scope = Literal["global", "tenant", "agent", "kind", "command"]
Value = Annotated[str, Path(max_length=200, pattern=r"^(\*|[A-Za-z0-9][A-Za-z0-9._:/@+-]*)$")]


@router.get("")
def list_kill_switches(reach: ReadingReach, services: Services) -> list[KillSwitch]:
    """List engaged switches: those of shared scope, and those of tenants and commands within reach."""
    return [one for one in services.switchboard.engaged() if _visible(services, reach, one.scope, one.value)]


@router.post("", status_code=201)
def engage_kill_switch(request: KillSwitchRequest, who: CurrentPrincipal, services: Services) -> Engaged:
    """Engage a switch. When this has answered, no new effect starts in its scope; those in flight are listed."""
    _require_operator(services, who, request.scope, request.value)
    done = services.switchboard.engage(who, request)
    reach = who.reach(READING_ROLES)
    mine = tuple(r for r in done.in_flight if reach.allows(r.command.tenant, r.command.environment))
    return done.model_copy(update={"in_flight": mine})


@router.delete("/{scope}/{value:path}", status_code=204)
def release_kill_switch(
    scope: Scope, value: Value, reason: Annotated[Reason, Query()], who: CurrentPrincipal, services: Services
) -> None:
    """Release a switch, with the reason."""
    _require_operator(services, who, scope, value)
    for standing in services.switchboard.engaged():
        if (standing.scope, standing.value) == (scope, value):
            require_rank(services, who, standing.engaged_by)
    services.switchboard.release(who, scope, value, reason)


def _require_operator(services: ApiServices, who: Principal, scope: Scope, value: str) -> None:
    """A switch on a tenant or command takes an operator there; every other takes the platform's."""
    if scope == "tenant":
        require(who, OPERATING, TenantId(value), EVERYWHERE)
    elif scope == "command":
        held = services.commands.find(who.reach(READING_ROLES), CommandId(value)).command
        require(who, OPERATING, held.tenant, held.environment)
    else:
        require(who, OPERATING, PLATFORM, EVERYWHERE)


def _visible(services: ApiServices, reach: Reach, scope: Scope, value: str) -> bool:
    if scope == "tenant":
        return reach.allows(TenantId(value))
    if scope == "command":
        try:
            held = services.commands.find(reach, CommandId(value)).command
        except NotFound:
            return False
        return reach.allows(held.tenant, held.environment)
    return True
