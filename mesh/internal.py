"""How the mesh calls the runtime in its own process: a service principal whose token lives in memory only."""

import hmac
import secrets
from dataclasses import dataclass, field

from domain.events import IncomingEvent
from domain.ids import PrincipalId, TenantId
from domain.ports import EventIntake
from domain.principals import ANY, EventSourceKey, Principal, RoleGrant
from governance.principals import Principals

MESH = Principal(
    id=PrincipalId("service:mesh"),
    kind="service",
    name="mesh",
    grants=tuple(RoleGrant(role=role, tenant=TenantId(ANY)) for role in ("viewer", "proposer")),
)
"""The mesh reads everywhere and writes only with a grant."""
_TOKEN_BYTES = 32
PLATFORM_SOURCE = "/runtime"
"""What the embedded platform's events name as their source, or begin it with."""


def platform_sender(tenant: TenantId) -> EventSourceKey:
    """Return the credential under which the embedded platform sends a tenant's events."""
    return EventSourceKey(
        id=PrincipalId(f"source:runtime:{tenant}"), source=PLATFORM_SOURCE, tenants=(tenant,), trust="platform"
    )


@dataclass(frozen=True, slots=True)
class PlatformTells:
    """Takes what the embedded runtime's services and workers tell into the log, each tenant's under its credential."""

    intake: EventIntake

    def tell(self, tenant: TenantId, event: IncomingEvent) -> None:
        """Take one event; the same id again changes nothing."""
        self.intake.accept(platform_sender(tenant), [event])


def _fresh_token() -> str:
    return secrets.token_urlsafe(_TOKEN_BYTES)


@dataclass(frozen=True, slots=True)
class InternalAuthenticator:
    """Knows the mesh by this process's token and everybody else by the store."""

    principals: Principals
    token: str = field(default_factory=_fresh_token, repr=False)

    def authenticate(self, token: str) -> Principal | EventSourceKey:
        """Return who holds the token. Raises Unauthenticated."""
        if hmac.compare_digest(token.encode(), self.token.encode()):
            return MESH
        return self.principals.authenticate(token)
