"""Subscriptions: who is sent a tenant's decisions, outcomes and lessons. A tenant's administrators decide that."""

from fastapi import APIRouter

from api.auth import CurrentPrincipal, ReadingReach
from api.frame import WriteRoute
from api.ports import Services
from api.scopes import ADMINISTERING, EVERYWHERE, Id, TenantQuery, require
from api.views import ReplayRequest, WebhookKeyView
from domain.errors import NotFound
from domain.subscriptions import DeadLetter, Subscriber, Subscription

router = APIRouter(prefix="/v1/subscriptions", tags=["feedback"], route_class=WriteRoute)


@router.get("")
def list_subscriptions(tenant: TenantQuery, reach: ReadingReach, services: Services) -> list[Subscription]:
    """List a tenant's subscriptions with how far each has come."""
    if not reach.allows(tenant):
        raise NotFound("no such tenant within reach")
    return [one for one in services.subscriptions.list(tenant) if one.subscriber.tenant == tenant]


@router.post("", status_code=201)
def add_subscription(request: Subscriber, who: CurrentPrincipal, services: Services) -> Subscription:
    """Add a subscription; it starts with what happens from now on."""
    require(who, ADMINISTERING, request.tenant, EVERYWHERE)
    return services.subscriptions.add(request, by=who.id)


@router.get("/key")
def show_key(who: CurrentPrincipal, services: Services) -> WebhookKeyView:
    """Return the public key that receivers verify deliveries with (Standard Webhooks, v1a)."""
    del who
    return WebhookKeyView(public_key=services.subscriptions.public_key())


@router.get("/{subscription}/dead-letters")
def list_dead_letters(
    subscription: Id, tenant: TenantQuery, reach: ReadingReach, services: Services
) -> list[DeadLetter]:
    """List what a subscriber would not take, oldest first."""
    if not reach.allows(tenant):
        raise NotFound("no such subscription")
    return list(services.subscriptions.dead(tenant, subscription))


@router.post("/{subscription}/replay")
def replay(
    subscription: Id, tenant: TenantQuery, request: ReplayRequest, who: CurrentPrincipal, services: Services
) -> Subscription:
    """Deliver again from behind a position of the feed."""
    require(who, ADMINISTERING, tenant, EVERYWHERE)
    return services.subscriptions.replay(tenant, subscription, after=request.after, by=who.id)


@router.delete("/{subscription}", status_code=204)
def remove_subscription(subscription: Id, tenant: TenantQuery, who: CurrentPrincipal, services: Services) -> None:
    """End a subscription."""
    require(who, ADMINISTERING, tenant, EVERYWHERE)
    services.subscriptions.remove(tenant, subscription, by=who.id)
