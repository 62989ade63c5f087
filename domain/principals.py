"""Who acts: people, services and agents, with roles per tenant and environment.

Everything that arrives is authenticated; an agent identity can never hold an approving role.
"""

from typing import Literal, Self

from pydantic import model_validator

from domain.base import Frozen, UtcDatetime
from domain.ids import EnvironmentId, PrincipalId, TenantId

PrincipalKind = Literal["person", "service", "agent"]
Role = Literal["viewer", "proposer", "approver", "operator", "auditor", "ingest", "admin"]
"""viewer reads; proposer proposes; approver decides; operator also freezes and kills; ingest only sends events;
auditor reads audit; admin adds principals. Platform roles are the same roles held on the `platform` tenant."""
APPROVING_ROLES: frozenset[Role] = frozenset({"approver", "operator", "admin"})
ANY = "*"


class RoleGrant(Frozen):
    """One role on one tenant (or `*`) and environment (or `*`)."""

    role: Role
    tenant: TenantId
    environment: EnvironmentId | Literal["*"] = ANY


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

    def tenants(self) -> frozenset[str]:
        """Return the tenants on which any role is held (`*` stands for all)."""
        return frozenset(grant.tenant for grant in self.grants)


class EventSourceKey(Frozen):
    """The credential of one event source: which tenants it may speak for, and the tenant it speaks for by default."""

    id: PrincipalId
    source: str
    tenants: tuple[TenantId, ...]
    trust: Literal["platform", "untrusted"] = "platform"
