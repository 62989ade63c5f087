"""Who calls, for which tenant, in which environment: settled once, before any route does anything.

All of it is `async` although little of it waits: a plain dependency would cost a thread hop each, per request.

The tenant is the `Opsmesh-Tenant` header where the caller holds roles on several, else the caller's own. A place the
caller has no role in answers exactly as a place that does not exist.
"""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Path, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from domain.base import Slug
from domain.errors import Invalid, NotFound, Refused, Unauthenticated
from domain.ids import PLATFORM, EnvironmentId, TenantId
from domain.principals import ANY, READING_ROLES, Principal, Role
from runtime import state
from runtime.parts import RuntimeServices
from runtime.scope import TenantView

WRITING_ROLES: frozenset[Role] = frozenset({"proposer", "approver", "operator", "admin"})
_BEARER = HTTPBearer(auto_error=False, description="A principal's token.")


async def services(request: Request) -> RuntimeServices:
    """Return what the app was built with."""
    found: RuntimeServices = request.app.state.runtime
    return found


Services = Annotated[RuntimeServices, Depends(services)]


async def principal(
    runtime: Services, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]
) -> Principal:
    """Return the calling principal. Raises Unauthenticated; an event source key opens nothing here."""
    if credentials is None:
        raise Unauthenticated("no bearer token came with the request")
    who = runtime.authenticator.authenticate(credentials.credentials)
    if not isinstance(who, Principal):
        raise Refused("an event source key can only send events", reason="wrong_credential")
    return who


Who = Annotated[Principal, Depends(principal)]


async def acting_tenant(who: Who, opsmesh_tenant: Annotated[Slug | None, Header()] = None) -> TenantId:
    """Return the tenant the call is made for. Raises Invalid where it is not clear."""
    if opsmesh_tenant is not None:
        return TenantId(opsmesh_tenant)
    held = who.tenants()
    if len(held) == 1 and ANY not in held:
        return TenantId(next(iter(held)))
    if who.reach(READING_ROLES).allows(PLATFORM):
        return PLATFORM
    raise Invalid("say which tenant you act for in the Opsmesh-Tenant header", reason="tenant_missing")


Acting = Annotated[TenantId, Depends(acting_tenant)]


@dataclass(frozen=True, slots=True)
class Access:
    """One caller in one tenant's part of one environment."""

    who: Principal
    tenant: TenantId
    environment: EnvironmentId
    view: TenantView


async def enter(runtime: RuntimeServices, who: Principal, tenant: TenantId, environment: str) -> Access:
    """Return the caller's view. Raises NotFound where the place is missing or out of reach."""
    place = EnvironmentId(environment)
    with runtime.database.read() as connection:
        exists = place in state.names(connection)
        bound = state.bound_tenants(connection, place)
    inside = tenant == PLATFORM or any(b.tenant == tenant for b in bound)
    if not (exists and inside and who.reach(READING_ROLES).allows(tenant, place)):
        raise NotFound("no such environment")
    return Access(who, tenant, place, TenantView(tenant, await runtime.target.topology(place), bound))


async def access(runtime: Services, who: Who, tenant: Acting, environment: Annotated[Slug, Path()]) -> Access:
    """Return the caller's view of the environment in the path."""
    return await enter(runtime, who, tenant, environment)


Here = Annotated[Access, Depends(access)]


async def enter_writing(runtime: RuntimeServices, who: Principal, tenant: TenantId, environment: str) -> Access:
    """Return the view of a caller who may write in an environment that the body names. Raises NotFound, Refused."""
    return await writing_access(await enter(runtime, who, tenant, environment))


async def writing_access(here: Here) -> Access:
    """Return the view of a caller who may write or propose here. Raises Refused."""
    if not here.who.reach(WRITING_ROLES).allows(here.tenant, here.environment):
        raise Refused("a role that may propose is needed", reason="role_missing")
    return here


MayWrite = Annotated[Access, Depends(writing_access)]
