"""Who acts: people, services and agents, with roles per tenant and environment.

Everything that arrives is authenticated; an agent identity can never hold an approving role.
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from domain.base import Frozen, UtcDatetime
from domain.ids import EnvironmentId, PrincipalId, TenantId

PrincipalKind = Literal["person", "service", "agent"]
Role = Literal["viewer", "proposer", "approver", "operator", "auditor", "ingest", "admin"]
"""viewer reads; proposer proposes; approver decides; operator also freezes and kills; ingest only sends events;
auditor reads audit; admin adds principals. Platform roles are the same roles held on the `platform` tenant."""
APPROVING_ROLES: frozenset[Role] = frozenset({"approver", "operator", "admin"})
READING_ROLES: frozenset[Role] = frozenset({"viewer", "proposer", "approver", "operator", "auditor", "admin"})
"""Roles that may read incidents and commands; `ingest` only sends."""
ANY = "*"


class RoleGrant(Frozen):
    """One role on one tenant (or `*`) and environment (or `*`)."""

    role: Role
    tenant: TenantId
    environment: EnvironmentId | Literal["*"] = ANY


class Reach(Frozen):
    """The places, (tenant, environment) with `*` for all, in which somebody may do one thing. A TenantScope."""

    places: frozenset[tuple[str, str]] = frozenset()

    def allows(self, tenant: TenantId, environment: EnvironmentId | None = None) -> bool:
        """Tell whether the place lies within reach; without an environment, whether any part of the tenant does."""
        return any(
            held in {tenant, ANY} and (environment is None or part in {environment, ANY}) for held, part in self.places
        )

    @property
    def everywhere(self) -> bool:
        """Every tenant and environment is within reach."""
        return (ANY, ANY) in self.places


class Principal(Frozen):
    """An identity with its roles. The token itself is never part of it."""

    id: PrincipalId
    kind: PrincipalKind
    name: str
    grants: tuple[RoleGrant, ...] = ()
    disabled_at: UtcDatetime | None = None

    @model_validator(mode="after")
    def _agents_never_approve(self) -> Self:
        if self.kind == "agent" and any(grant.role in APPROVING_ROLES for grant in self.grants):
            msg = "an agent identity cannot hold an approving role"
            raise ValueError(msg)
        return self

    def roles_on(self, tenant: TenantId, environment: EnvironmentId | None = None) -> frozenset[Role]:
        """Return the roles held on a tenant, and in an environment when one is named."""
        return frozenset(
            grant.role
            for grant in self.grants
            if grant.tenant in {tenant, ANY} and (environment is None or grant.environment in {environment, ANY})
        )

    def reach(self, roles: frozenset[Role]) -> Reach:
        """Return the places in which one of the roles is held; a disabled principal reaches nothing."""
        if self.disabled_at is not None:
            return Reach()
        return Reach(places=frozenset((g.tenant, g.environment) for g in self.grants if g.role in roles))

    def tenants(self) -> frozenset[str]:
        """Return the tenants on which any role is held (`*` stands for all)."""
        return frozenset(grant.tenant for grant in self.grants)


class EventSourceKey(Frozen):
    """The credential of one event source: which tenants it may speak for, and the tenant it speaks for by default."""

    id: PrincipalId
    source: str
    """The only source its events may name, or a prefix of it (`/runtime` speaks for `/runtime/eu`); `*` is any."""
    tenants: tuple[TenantId, ...] = Field(min_length=1)
    """The first is meant when an event names none."""
    trust: Literal["platform", "untrusted"] = "platform"
