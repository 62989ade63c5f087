"""Tenant isolation: the RuntimeTenantBinding that scopes every read, query and command.

A binding joins one tenant to one environment and says how far it is isolated, where its data and evidence may
live, and what it may spend. Shared things belong to the reserved tenant `platform`.
"""

from typing import Literal

from domain.base import Frozen, Slug
from domain.ids import EnvironmentId, TenantId

Isolation = Literal["shared", "pooled", "dedicated"]
AutonomyLevel = Literal["observe", "propose", "act"]
"""observe: diagnose only; propose: ask a human; act: policy may run a command unattended."""


class Quota(Frozen):
    """Upper bounds the platform grants a tenant in an environment, held against what its policies may grow to."""

    max_replicas_per_service: int = 50
    """In each region, as state documents count replicas."""
    max_cpu_millicores: int = 200_000
    """Requested by all its services in all their regions."""
    max_memory_mib: int = 524_288
    max_nodes: int = 50
    """Of pools that nobody else runs on; shared ones are the platform's."""


class Residency(Frozen):
    """Regions in which the tenant's data, backups, logs and evidence may lie or be processed."""

    allowed_regions: tuple[Slug, ...]
    evidence_endpoints: tuple[str, ...] = ()
    """Hosts of model and chat endpoints that may see this tenant's evidence; empty means none."""


class RuntimeTenantBinding(Frozen):
    """One tenant in one environment."""

    tenant: TenantId
    environment: EnvironmentId
    isolation: Isolation
    quota: Quota = Quota()
    residency: Residency
    primary_region: Slug
    paired_region: Slug | None = None
    data_stores: tuple[Slug, ...] = ()
    key_ring: Slug | None = None
    budget_usd_per_month: float
    carbon_target_kg_per_month: float | None = None
    autonomy: AutonomyLevel = "propose"


class AffectedSet(Frozen):
    """Whom and what a command touches, computed from topology and bindings.

    Where it spans tenants the strictest policy wins and every tenant's budget is reserved.
    """

    tenants: tuple[TenantId, ...]
    environments: tuple[EnvironmentId, ...]
    resources: tuple[Slug, ...]
    failure_domains: tuple[Slug, ...] = ()
    spans_tenants: bool = False
