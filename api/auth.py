"""Who calls: bearer tokens turned into a principal or an event source, the same way for every router.

Routes take `CurrentPrincipal` (people, services, agents) or `CurrentSource` (whoever sends events). The tenant of what
arrives comes from here, never from a body.
"""

from typing import Annotated, Protocol

from fastapi import Depends, FastAPI, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from domain.errors import Refused, Unauthenticated
from domain.ids import TenantId
from domain.principals import ANY, READING_ROLES, EventSourceKey, Principal, Reach


class Authenticator(Protocol):
    """Turns a presented token into who holds it."""

    def authenticate(self, token: str) -> Principal | EventSourceKey:
        """Return the holder. Raises Unauthenticated for any token that does not count, whatever the cause."""
        ...


_BEARER = HTTPBearer(auto_error=False, description="A token from `opsmesh principal add`.")


def install_auth(app: FastAPI, authenticator: Authenticator) -> None:
    """Give the app the one authenticator that its dependencies ask."""
    app.state.authenticator = authenticator


def caller(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]
) -> Principal | EventSourceKey:
    """Return whoever sent the request. Raises Unauthenticated."""
    if credentials is None:
        raise Unauthenticated("no bearer token came with the request")
    authenticator: Authenticator = request.app.state.authenticator
    return authenticator.authenticate(credentials.credentials)


Caller = Annotated[Principal | EventSourceKey, Depends(caller)]


def current_principal(who: Caller) -> Principal:
    """Return the calling principal; an event source key opens nothing but intake."""
    if not isinstance(who, Principal):
        raise Refused("an event source key can only send events", reason="wrong_credential")
    return who


def current_source(who: Caller) -> EventSourceKey:
    """Return the sender of events: a source key, or a principal with the ingest role on named tenants.

    What a principal uploads by hand may name any source of their tenants, and is untrusted whoever they are.
    """
    if isinstance(who, EventSourceKey):
        return who
    tenants = sorted({g.tenant for g in who.grants if g.role == "ingest" and g.tenant != ANY})
    if not tenants:
        raise Refused("sending events needs an event source key or the ingest role", reason="wrong_credential")
    return EventSourceKey(id=who.id, source=ANY, tenants=tuple(TenantId(t) for t in tenants), trust="untrusted")


CurrentPrincipal = Annotated[Principal, Depends(current_principal)]
CurrentSource = Annotated[EventSourceKey, Depends(current_source)]


def reading_reach(who: CurrentPrincipal) -> Reach:
    """Return where the caller may read."""
    return who.reach(READING_ROLES)


ReadingReach = Annotated[Reach, Depends(reading_reach)]
