"""Provider-neutral things of a runtime: services, node pools, data stores, certificates, and how they depend."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from domain.base import Frozen, Slug, UtcDatetime
from domain.ids import EnvironmentId, TenantId

EntityKind = Literal[
    "service",
    "node",
    "node_pool",
    "zone",
    "region",
    "data_store",
    "certificate",
    "secret",
    "issuer",
    "tenant",
    "environment",
    "external",
    "release",
    "experiment",
    "restore_point",
    "pack",
    "policy_set",
    "alert",
    "operation",
]
EdgeKind = Literal["calls", "runs_on", "stores_in", "secured_by", "member_of"]


class EntityRef(Frozen):
    """The address of one thing: `service/checkout`, `node/eu-1-a-3`."""

    kind: EntityKind
    id: Slug

    @property
    def address(self) -> str:
        """Return `kind/id`."""
        return f"{self.kind}/{self.id}"

    @staticmethod
    def parse(address: str) -> "EntityRef":
        """Read `kind/id`; a bare name is a service. A wrong kind raises pydantic.ValidationError."""
        kind, slash, name = address.partition("/")
        return EntityRef.model_validate({"kind": kind, "id": name} if slash else {"kind": "service", "id": kind})


class Slo(Frozen):
    """A service level objective over a rolling window."""

    availability_target: float = Field(gt=0, lt=1, default=0.999)
    latency_p95_ms: float = Field(gt=0, default=500.0)
    window_days: int = 28


class RuntimeService(Frozen):
    """A deployable unit with an owner. `tenant` is `platform` for shared services."""

    id: Slug
    tenant: TenantId
    environment: EnvironmentId
    compute_target: Slug
    owner_team: str
    tier: Literal[0, 1, 2, 3] = 2
    """0 is what everything stands on, 3 is best effort."""
    slo: Slo = Slo()
    archetype: Literal["frontend", "api", "worker", "cache", "database", "gateway", "queue"] = "api"
    regions: tuple[Slug, ...] = ()
    used_by: tuple[TenantId, ...] = ()
    """Tenants served by a shared service."""


class ComputeTarget(Frozen):
    """Where services run: a cluster or its simulated equal."""

    id: Slug
    provider: Literal["simulated", "kubernetes"]
    region: Slug
    zones: tuple[Slug, ...]


class NodePool(Frozen):
    """Machines of one SKU in one region."""

    id: Slug
    compute_target: Slug
    region: Slug
    sku: Slug
    node_count: int = Field(ge=0)
    cpu_millicores_per_node: int
    memory_mib_per_node: int
    cost_usd_per_node_hour: float


class DataStore(Frozen):
    """A tenant's or shared database."""

    id: Slug
    tenant: TenantId
    engine: Literal["postgres", "redis", "object", "sqlite"]
    region: Slug
    replica_region: Slug | None = None
    encrypted_at_rest: bool = True
    backup_retention_days: int = 7


class Certificate(Frozen):
    """A TLS certificate that a service serves."""

    id: Slug
    service: Slug
    subject: str
    not_after: UtcDatetime
    issuer: str


class Secret(Frozen):
    """A credential by name: which service holds it and what it opens. Its value is never here."""

    id: Slug
    service: Slug
    opens: str
    """Address of what accepts it: `service/orders-db`."""


class Edge(Frozen):
    """`source` depends on `target`: it calls it, runs on it, stores in it."""

    kind: EdgeKind
    source: str
    """Address of the dependent entity."""
    target: str
    """Address of the entity depended on."""


class Topology(Frozen):
    """A snapshot of the things of an environment and their dependencies, scoped to what the reader may see."""

    environment: EnvironmentId
    regions: tuple[Slug, ...] = ()
    services: tuple[RuntimeService, ...] = ()
    compute_targets: tuple[ComputeTarget, ...] = ()
    node_pools: tuple[NodePool, ...] = ()
    data_stores: tuple[DataStore, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    secrets: tuple[Secret, ...] = ()
    edges: tuple[Edge, ...] = ()

    def service(self, service_id: str) -> RuntimeService | None:
        """Return the service of that id, or None."""
        return next((s for s in self.services if s.id == service_id), None)

    def neighbours(self, address: str) -> Iterator[str]:
        """Yield addresses one edge away in either direction."""
        for edge in self.edges:
            if edge.source == address:
                yield edge.target
            elif edge.target == address:
                yield edge.source
