"""How the mesh calls the runtime in its own process: a service principal whose token lives in memory only."""

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import or_, select

from domain.events import IncomingEvent
from domain.findings import Finding
from domain.ids import EventKey, PrincipalId, TenantId
from domain.ports import EventIntake
from domain.principals import ANY, EventSourceKey, Principal, RoleGrant
from domain.reserved import PLATFORM_SOURCE
from governance.principals import Principals
from runtime.ports import Announced
from storage.engine import Database
from storage.tables.events import events

MESH = Principal(
    id=PrincipalId("service:mesh"),
    kind="service",
    name="mesh",
    grants=tuple(RoleGrant(role=role, tenant=TenantId(ANY)) for role in ("viewer", "proposer")),
)
"""The mesh reads everywhere and writes only with a grant."""
_TOKEN_BYTES = 32


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


@dataclass(frozen=True, slots=True)
class PlatformTold:
    """Finds in the log what the platform said of a matter. What others sent announces nothing."""

    database: Database

    def announced(self, finding: Finding, types: Sequence[str], since: datetime) -> Announced | None:
        """Return the newest such event about the finding's resource, or in the region that it is about."""
        kind, _, name = finding.resource.partition("/")
        about = events.c.subject == finding.resource
        query = select(events.c.key, events.c.traceparent).where(
            events.c.tenant == finding.tenant, events.c.environmentid == finding.environment, events.c.time >= since,
            events.c.type.in_(types), events.c.trust == "platform",
            or_(about, events.c.region == name) if kind == "region" else about,
        )  # fmt: skip
        with self.database.read() as connection:
            row = connection.execute(query.order_by(events.c.seq.desc()).limit(1)).first()
        return None if row is None else Announced(EventKey(row.key), row.traceparent)


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
