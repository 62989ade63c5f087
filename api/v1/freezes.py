"""Freeze windows of a tenant: nothing runs unattended in them, and asked changes need an operator."""

from fastapi import APIRouter

from api.auth import CurrentPrincipal, ReadingReach
from api.frame import IdempotencyKey, WriteRoute
from api.ports import Services
from api.scopes import EVERYWHERE, OPERATING, Id, TenantQuery, require, require_rank
from api.views import FreezeRequest, FreezeView
from domain.base import digest_of
from domain.decisions import Freeze
from domain.errors import NotFound
from domain.ids import EnvironmentId, TenantId
from domain.principals import ANY, Reach

router = APIRouter(prefix="/v1/freezes", tags=["stops"], route_class=WriteRoute)


@router.get("")
def list_freezes(tenant: TenantQuery, reach: ReadingReach, services: Services) -> list[FreezeView]:
    """List a tenant's windows that have not ended, as far as their environments are within reach."""
    if not reach.allows(tenant):
        raise NotFound("no such tenant within reach")
    return [one for one in services.freezes.list(tenant) if _visible(reach, one.freeze, tenant)]


@router.post("", status_code=201)
def open_freeze(
    request: FreezeRequest, who: CurrentPrincipal, services: Services, idempotency_key: IdempotencyKey = None
) -> FreezeView:
    """Open a window. No key holds it up: a used one opens another window, and the same request finds its own."""
    require(who, OPERATING, request.tenant, EnvironmentId(request.environment))
    start, end = request.window(services.freezes.now())
    key = None if idempotency_key is None else digest_of([who.id, idempotency_key, request.model_dump(mode="json")])
    named = request.model_dump(include={"tenant", "environment", "reason"})
    return services.freezes.open(who, Freeze(**named, start=start, end=end, by=who.id), key=key)


@router.delete("/{freeze}", status_code=204)
def lift_freeze(freeze: Id, tenant: TenantQuery, who: CurrentPrincipal, services: Services) -> None:
    """End a window now."""
    require(who, OPERATING, tenant, EVERYWHERE)
    for standing in services.freezes.list(tenant):
        if (standing.id, standing.freeze.tenant) == (freeze, tenant):
            require_rank(services, who, standing.freeze.by)
    services.freezes.lift(who, tenant, freeze)


def _visible(reach: Reach, freeze: Freeze, tenant: TenantId) -> bool:
    whole = freeze.environment == ANY
    return freeze.tenant == tenant and (whole or reach.allows(tenant, EnvironmentId(freeze.environment)))
