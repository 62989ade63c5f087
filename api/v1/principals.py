"""Principals and event sources, for administrators: of everything, or of their own tenants.

A tenant's administrator sees and changes only what lies in their tenants. Whoever also holds something elsewhere can be
given roles there, but not be disabled or handed a token: that would reach beyond the tenant. The ids that they give out
end in `@tenant`, so that no answer tells what another tenant has named.
"""

from fastapi import APIRouter

from api.auth import CurrentPrincipal
from api.frame import WriteRoute
from api.ports import ApiServices, Services
from api.scopes import ADMINISTERING, EVERYWHERE, Id
from api.views import GrantRequest, GrantsRequest, PrincipalRequest, SourceRequest, TokenView
from domain.errors import Invalid, NotFound, Refused
from domain.ids import PLATFORM, EnvironmentId, PrincipalId, TenantId
from domain.principals import ANY, APPROVING_ROLES, EventSourceKey, Principal, Reach, RoleGrant
from domain.reserved import local_name, reserved_id, tenants_source

router = APIRouter(prefix="/v1/principals", tags=["identity"], route_class=WriteRoute)
sources = APIRouter(prefix="/v1/sources", tags=["identity"], route_class=WriteRoute)
_OUT_OF_REACH = "no such principal within reach"


@router.get("")
def list_principals(who: CurrentPrincipal, services: Services) -> list[Principal]:
    """List principals with the roles they hold where the caller administers."""
    reach = _administered(who)
    seen = (_shown(reach, principal) for principal in services.identities.list())
    return [principal for principal in seen if principal is not None]


@router.get("/me")
def show_myself(who: CurrentPrincipal) -> Principal:
    """Show who the caller is."""
    return who


@router.post("", status_code=201)
def add_principal(request: PrincipalRequest, who: CurrentPrincipal, services: Services) -> TokenView:
    """Add a principal; its token is in this answer and nowhere else."""
    reach = _administered(who)
    grants = _allowed(reach, request.grants)
    _check_id(reach, request.id)
    if request.kind == "agent" and any(grant.role in APPROVING_ROLES for grant in grants):
        raise Invalid("an agent cannot hold an approving role", reason="agent_approver")
    principal = Principal(id=request.id, kind=request.kind, name=request.name, grants=grants)
    return services.identity_writer.add(principal, by=who.id, expires_at=request.expires_at)


@router.put("/{principal}/grants")
def set_grants(principal: Id, request: GrantsRequest, who: CurrentPrincipal, services: Services) -> Principal:
    """Set the roles held where the caller administers; roles held elsewhere stay as they are."""
    reach = _administered(who)
    held = _known(reach, _found(services, principal))
    grants = _allowed(reach, request.grants)
    elsewhere = tuple(grant for grant in held.grants if not _covers(reach, grant))
    changed = services.identity_writer.set_grants(held.id, (*elsewhere, *grants), by=who.id)
    return changed.model_copy(update={"grants": _only(reach, changed)})


@router.post("/{principal}/tokens", status_code=201)
def issue_token(principal: Id, who: CurrentPrincipal, services: Services) -> TokenView:
    """Issue one more token."""
    reach = _administered(who)
    held = _wholly(reach, _found(services, principal))
    if reserved_id(held.id):
        raise Refused("a part of the platform holds no token", reason="reserved_id")
    return services.identity_writer.issue(held.id, by=who.id)


@router.delete("/{principal}", status_code=204)
def disable_principal(principal: Id, who: CurrentPrincipal, services: Services) -> None:
    """Make a principal count no longer, from the next check on."""
    reach = _administered(who)
    held = _wholly(reach, _found(services, principal))
    services.identity_writer.disable(held.id, by=who.id)


@sources.get("")
def list_sources(who: CurrentPrincipal, services: Services) -> list[EventSourceKey]:
    """List event sources all of whose tenants the caller administers."""
    reach = _administered(who)
    return [key for key in services.identities.sources() if _speaks_within(reach, key.tenants)]


@sources.post("", status_code=201)
def add_source(request: SourceRequest, who: CurrentPrincipal, services: Services) -> TokenView:
    """Add an event source; its token is in this answer and nowhere else."""
    reach = _administered(who)
    if not _speaks_within(reach, request.tenants):
        raise Refused("an event source of these tenants is not yours to add", reason="role")
    _check_id(reach, request.id)
    if not reach.allows(PLATFORM, EVERYWHERE):
        _check_tenants_source(request)
    return services.identity_writer.add_source(EventSourceKey.model_validate(request.model_dump()), by=who.id)


@sources.delete("/{source}", status_code=204)
def disable_source(source: Id, who: CurrentPrincipal, services: Services) -> None:
    """Make an event source count no longer."""
    reach = _administered(who)
    for key in services.identities.sources():
        if key.id == source and _speaks_within(reach, key.tenants):
            services.identity_writer.disable(key.id, by=who.id)
            return
    raise NotFound("no such source within reach")


def _administered(who: Principal) -> Reach:
    reach = who.reach(ADMINISTERING)
    if not reach.places:
        raise Refused("this takes the role admin", reason="role")
    return reach


def _found(services: ApiServices, principal: str) -> Principal:
    """Return a principal; one that does not exist is answered like one out of reach."""
    try:
        return services.identities.get(PrincipalId(principal))
    except NotFound as error:
        raise NotFound(_OUT_OF_REACH) from error


def _check_id(reach: Reach, name: str) -> None:
    """Pass an id that its giver may give: nobody one of the platform's own, a tenant only `name@tenant`."""
    if reserved_id(name):
        raise Invalid("ids of the platform's own parts are reserved", reason="reserved_id")
    own = {TenantId(tenant) for tenant, _ in reach.places}
    if not reach.allows(PLATFORM, EVERYWHERE) and all(local_name(name, tenant) is None for tenant in own):
        raise Invalid("the id of a tenant's identity is name@tenant", reason="foreign_id")


def _check_tenants_source(request: SourceRequest) -> None:
    """Pass what a tenant may vouch for: text of its own senders, under a name of its own."""
    if request.trust != "untrusted":
        raise Refused("platform trust takes the platform's operator", reason="trust_beyond_tenant")
    if not tenants_source(request.source):
        raise Invalid("this source is the platform's, or no plain name", reason="reserved_source")


def _covers(reach: Reach, grant: RoleGrant) -> bool:
    """A grant on `*` is covered by an administrator of everything only."""
    return reach.allows(grant.tenant, EnvironmentId(grant.environment))


def _only(reach: Reach, principal: Principal) -> tuple[RoleGrant, ...]:
    return tuple(grant for grant in principal.grants if _covers(reach, grant))


def _shown(reach: Reach, principal: Principal) -> Principal | None:
    mine = _only(reach, principal)
    return principal.model_copy(update={"grants": mine}) if mine or reach.everywhere else None


def _known(reach: Reach, principal: Principal) -> Principal:
    if _shown(reach, principal) is None:
        raise NotFound(_OUT_OF_REACH)
    return principal


def _wholly(reach: Reach, principal: Principal) -> Principal:
    held = _known(reach, principal)
    if not reach.everywhere and len(_only(reach, held)) < len(held.grants):
        raise Refused("this principal also holds roles where you do not administer", reason="role")
    return held


def _allowed(reach: Reach, requested: tuple[GrantRequest, ...]) -> tuple[RoleGrant, ...]:
    grants = tuple(dict.fromkeys(one.grant() for one in requested))
    if any(not _covers(reach, grant) for grant in grants):
        raise Refused("roles can be given only where the giver administers", reason="role")
    return grants


def _speaks_within(reach: Reach, tenants: tuple[TenantId, ...]) -> bool:
    return all(tenant != ANY and reach.allows(tenant, EnvironmentId(ANY)) for tenant in tenants)
