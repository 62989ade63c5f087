"""What a world is made of, as values: regions, node pools, tenants, services, calls, laws.

A spec plus a seed is a world; it is JSON, so that a record of a run can carry it.
"""

from typing import Literal

from pydantic import Field

from domain.base import Frozen, Slug, UtcDatetime
from domain.ids import EnvironmentId
from domain.policies import ScalingPolicy
from domain.tenancy import RuntimeTenantBinding
from domain.topology import Slo

Archetype = Literal["frontend", "api", "worker", "cache", "database", "gateway", "queue"]


class RegionSpec(Frozen):
    """A region with its zones and the carbon intensity of its grid."""

    id: Slug
    zones: tuple[Slug, ...]
    grid_gco2e_per_kwh: float
    paired_with: Slug | None = None
    utc_offset_h: float = 0.0


class NodePoolSpec(Frozen):
    """Nodes of one SKU in one region, spread over its zones."""

    id: Slug
    region: Slug
    sku: Slug
    node_count: int = Field(gt=0)
    max_nodes: int = Field(gt=0)


class CallSpec(Frozen):
    """A downstream dependency of a service."""

    to: Slug
    per_request: float = Field(gt=0, default=1.0)
    failure_weight: float = Field(ge=0, le=1, default=1.0)
    """1 = a failed call fails the request; below, the caller degrades."""
    on_cache_miss: bool = False


class ServiceSpec(Frozen):
    """One service, as it runs in each of its regions. Replicas are per region."""

    id: Slug
    tenant: Slug
    owner_team: str
    tier: Literal[0, 1, 2, 3] = 2
    archetype: Archetype = "api"
    slo: Slo = Slo()
    regions: tuple[Slug, ...]
    node_pool: Slug
    """Prefix: the pool in region r is `<node_pool>-<r>`."""
    external: bool = False
    """Run by somebody else: seen from outside, not actuated."""
    replicas: int = Field(gt=0, default=3)
    cpu_millicores: int = 500
    cpu_burst: float = Field(ge=1, default=1.0)
    """CPU limit as a multiple of the request."""
    memory_mib: int = 512
    memory_base_mib: float = 200.0
    memory_per_inflight_mib: float = 0.5
    cpu_ms: float = 8.0
    io_ms: float = 4.0
    variability: float = 1.0
    error_share: float = 0.0003
    workers: int = 64
    timeout_ms: float = 2000.0
    retries: int = 2
    cache_hit: float = 0.0
    cacheable_share: float = Field(ge=0, le=1, default=0.3)
    """Share of its users' requests that an edge cache may answer: what many read alike and may be a little old."""
    cache_fill_requests: float = 60_000.0
    """Requests per region that warm a cold cache to 63 %."""
    startup_s: float = 30.0
    pinned_zone: bool = False
    """All replicas of a region sit in one zone (zonal volume, missing spread constraint)."""
    demand_rps: float = 0.0
    """Mean external demand over all regions; 0 for inner services."""
    demand_tenant: Slug | None = None
    scaling: ScalingPolicy | None = None
    calls: tuple[CallSpec, ...] = ()
    version: Slug = "v1.0.0"
    flags: tuple[Slug, ...] = ()
    """Keys of its configuration that switch features; all of them start switched off."""
    certificate_days: float | None = None
    """Days left at the start of the world; None where the service serves no certificate."""

    @property
    def address(self) -> str:
        """Address of a service or of a dependency run by others."""
        return f"{'external' if self.external else 'service'}/{self.id}"


def secret_name(holder: str, opens: str) -> str:
    """Name of the credential with which one service logs in at another."""
    return f"{holder}-at-{opens}"


class Laws(Frozen):
    """How this world's nature differs from the textbook; evaluation worlds vary these, the twin does not know them."""

    service_variability: float = 1.0
    """Multiplier on every service's squared coefficient of variation."""
    retry_budget: float | None = None
    """Extra attempts as a share of first attempts; None = unlimited up to `retries`."""
    autoscaler_interval_s: float = 30.0
    autoscaler_lag_s: float = 0.0
    startup_factor: float = 1.0
    demand_noise: float = 0.05
    metric_noise: float = 0.02
    contention: float = 1.0


class WorldSpec(Frozen):
    """Everything about a world but its seed."""

    name: Slug
    environment: EnvironmentId
    start: UtcDatetime
    step_s: int = Field(gt=0, default=10)
    retention_steps: int = Field(gt=0, default=8640)
    """How many steps of metrics readers can look back."""
    regions: tuple[RegionSpec, ...]
    node_pools: tuple[NodePoolSpec, ...]
    tenants: tuple[RuntimeTenantBinding, ...]
    services: tuple[ServiceSpec, ...]
    laws: Laws = Laws()
    chatter: bool = True
    """Emit flapping, duplicate, late and irrelevant events and benign releases."""


def logins(spec: WorldSpec) -> tuple[tuple[ServiceSpec, ServiceSpec], ...]:
    """(holder, store or outside service) of every call that needs a credential."""
    by_id = {s.id: s for s in spec.services}
    guarded = {s.id for s in spec.services if s.external or s.archetype == "database"}
    return tuple((s, by_id[c.to]) for s in spec.services for c in s.calls if c.to in guarded)
