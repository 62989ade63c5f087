"""The demo world: two paired regions, three tenants isolated in three ways, shared platform services, 22 services."""

from datetime import UTC, datetime

from domain.ids import EnvironmentId
from domain.policies import ScalingPolicy
from domain.tenancy import Residency, RuntimeTenantBinding
from domain.topology import Slo
from runtime.grid.table import GRID_GCO2E_PER_KWH
from runtime.simulator.spec import CallSpec, Laws, NodePoolSpec, RegionSpec, ServiceSpec, WorldSpec
from runtime.simulator.tuning import tuned

# A Tuesday at the start of the working day.
START = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)
ENVIRONMENT = EnvironmentId("prod")
WEST, NORTH = "westeurope", "northeurope"
BOTH = (WEST, NORTH)

REGIONS: tuple[RegionSpec, ...] = (
    RegionSpec(
        id=WEST, zones=("westeurope-1", "westeurope-2", "westeurope-3"), paired_with=NORTH,
        grid_gco2e_per_kwh=GRID_GCO2E_PER_KWH[WEST], utc_offset_h=1.0,
    ),
    RegionSpec(
        id=NORTH, zones=("northeurope-1", "northeurope-2", "northeurope-3"), paired_with=WEST,
        grid_gco2e_per_kwh=GRID_GCO2E_PER_KWH[NORTH],
    ),
)  # fmt: skip
# `tuned` computes the node counts; three is one node per zone.
POOLS: tuple[NodePoolSpec, ...] = (
    NodePoolSpec(id=f"shared-{WEST}", region=WEST, sku="D8s_v5", node_count=3, max_nodes=6),
    NodePoolSpec(id=f"shared-{NORTH}", region=NORTH, sku="D8s_v5", node_count=3, max_nodes=6),
    NodePoolSpec(id=f"acme-{WEST}", region=WEST, sku="D4s_v5", node_count=3, max_nodes=6),
    NodePoolSpec(id=f"acme-{NORTH}", region=NORTH, sku="D4s_v5", node_count=3, max_nodes=6),
)
ANY_POLICY = ScalingPolicy(min_replicas=2, max_replicas=4, target_cpu_utilisation=0.6)


def _binding(tenant: str, isolation: str, primary: str, paired: str, budget: float) -> RuntimeTenantBinding:
    return RuntimeTenantBinding.model_validate({
        "tenant": tenant, "environment": ENVIRONMENT, "isolation": isolation, "primary_region": primary,
        "paired_region": paired, "residency": Residency(allowed_regions=BOTH), "budget_usd_per_month": budget,
        "carbon_target_kg_per_month": budget / 40.0, "key_ring": f"{tenant}-keys",
    })  # fmt: skip


TENANTS: tuple[RuntimeTenantBinding, ...] = (
    _binding("platform", "shared", WEST, NORTH, 20_000.0),
    _binding("acme-retail", "dedicated", WEST, NORTH, 9_000.0),
    _binding("borealis-media", "pooled", NORTH, WEST, 6_000.0),
    _binding("cinder-logistics", "shared", WEST, NORTH, 4_000.0),
)


def _call(to: str, per_request: float = 1.0, weight: float = 1.0, *, on_miss: bool = False) -> CallSpec:
    return CallSpec(to=to, per_request=per_request, failure_weight=weight, on_cache_miss=on_miss)


_PLATFORM: tuple[ServiceSpec, ...] = (
    ServiceSpec(
        id="identity", tenant="platform", owner_team="team-identity", tier=0, regions=BOTH, node_pool="shared",
        cpu_ms=6.0, io_ms=3.0, cache_hit=0.9, scaling=ANY_POLICY, certificate_days=41.0,
        slo=Slo(availability_target=0.9995),
        calls=(_call("session-cache"), _call("accounts-db", 1.0, on_miss=True)),
    ),
    ServiceSpec(
        id="session-cache", tenant="platform", owner_team="team-data", tier=0, archetype="cache", regions=BOTH,
        node_pool="shared", cpu_ms=0.6, io_ms=0.4, memory_mib=2048, memory_base_mib=1100.0, cpu_millicores=1000,
        variability=0.5, slo=Slo(availability_target=0.9995),
    ),
    ServiceSpec(
        id="accounts-db", tenant="platform", owner_team="team-data", tier=0, archetype="database", regions=BOTH,
        node_pool="shared", cpu_ms=9.0, io_ms=3.0, cpu_millicores=500, memory_mib=8192, memory_base_mib=5200.0,
        startup_s=60.0, slo=Slo(availability_target=0.9995),
    ),
    ServiceSpec(
        id="event-bus", tenant="platform", owner_team="team-messaging", tier=1, archetype="queue", regions=BOTH,
        node_pool="shared", cpu_ms=1.5, io_ms=2.0, memory_mib=2048, memory_base_mib=900.0,
        calls=(_call("notifications", 0.5, 0.0),),
    ),
    ServiceSpec(
        id="notifications", tenant="platform", owner_team="team-messaging", tier=3, archetype="worker", regions=BOTH,
        node_pool="shared", cpu_ms=12.0, io_ms=20.0, scaling=ANY_POLICY, calls=(_call("accounts-db", 0.2),),
    ),
)  # fmt: skip
_ACME: tuple[ServiceSpec, ...] = (
    ServiceSpec(
        id="storefront", tenant="acme-retail", owner_team="acme-web", tier=1, archetype="frontend", regions=BOTH,
        node_pool="acme", cpu_ms=9.0, io_ms=4.0, demand_rps=240.0,
        flags=("feature.new-ranking", "feature.dark-mode"), scaling=ANY_POLICY, certificate_days=63.0,
        calls=(
            _call("identity", 0.3), _call("basket", 0.4), _call("pricing", 0.8), _call("recommendations", 0.5, 0.05),
            _call("checkout", 0.12),
        ),
    ),
    ServiceSpec(
        id="basket", tenant="acme-retail", owner_team="acme-orders", tier=1, regions=BOTH, node_pool="acme",
        cpu_ms=5.0, io_ms=2.0, cache_hit=0.8, scaling=ANY_POLICY,
        calls=(_call("session-cache", 2.0), _call("orders-db", 1.0, on_miss=True)),
    ),
    ServiceSpec(
        id="checkout", tenant="acme-retail", owner_team="acme-orders", tier=1, regions=BOTH, node_pool="acme",
        cpu_ms=20.0, io_ms=8.0,
        flags=("feature.one-click",), scaling=ANY_POLICY, pinned_zone=True,
        calls=(
            _call("basket"), _call("pricing"), _call("orders-db", 2.0), _call("payments-provider"),
            _call("event-bus", 1.0, 0.2),
        ),
    ),
    ServiceSpec(
        id="pricing", tenant="acme-retail", owner_team="acme-pricing", tier=1, regions=BOTH, node_pool="acme",
        cpu_ms=7.0, io_ms=2.0, cache_hit=0.88,
        flags=("feature.fallback-prices",), scaling=ANY_POLICY, calls=(_call("orders-db", 2.0, on_miss=True),),
    ),
    ServiceSpec(
        id="recommendations", tenant="acme-retail", owner_team="acme-ml", tier=3, regions=BOTH, node_pool="acme",
        cpu_ms=16.0, io_ms=3.0, memory_mib=1024, memory_base_mib=600.0, scaling=ANY_POLICY,
        calls=(_call("session-cache", 1.0, 0.5),),
    ),
    ServiceSpec(
        id="orders-db", tenant="acme-retail", owner_team="acme-data", tier=0, archetype="database", regions=BOTH,
        node_pool="acme", cpu_ms=9.0, io_ms=3.0, cpu_millicores=1000, memory_mib=8192, memory_base_mib=5000.0,
        startup_s=60.0,
    ),
)  # fmt: skip
_BOREALIS: tuple[ServiceSpec, ...] = (
    ServiceSpec(
        id="player-api", tenant="borealis-media", owner_team="borealis-play", tier=1, archetype="frontend",
        regions=BOTH, node_pool="shared", cpu_ms=8.0, io_ms=3.0, demand_rps=300.0,
        flags=("feature.live-preview",), scaling=ANY_POLICY,
        certificate_days=28.0, calls=(_call("identity", 0.5), _call("catalogue")),
    ),
    ServiceSpec(
        id="catalogue", tenant="borealis-media", owner_team="borealis-play", tier=1, regions=BOTH,
        node_pool="shared", cpu_ms=6.0, io_ms=2.0, cache_hit=0.92, scaling=ANY_POLICY,
        calls=(_call("media-db", 3.0, on_miss=True),),
    ),
    ServiceSpec(
        id="transcode", tenant="borealis-media", owner_team="borealis-media-eng", tier=2, archetype="worker",
        regions=BOTH, node_pool="shared", cpu_ms=160.0, io_ms=30.0, demand_rps=10.0, cpu_millicores=1000,
        calls=(_call("media-db", 1.0), _call("event-bus", 1.0, 0.2)),
    ),
    ServiceSpec(
        id="media-db", tenant="borealis-media", owner_team="borealis-data", tier=1, archetype="database",
        regions=BOTH, node_pool="shared", cpu_ms=9.0, io_ms=3.0, cpu_millicores=500, memory_mib=8192,
        memory_base_mib=4800.0, startup_s=60.0,
    ),
)  # fmt: skip
_CINDER: tuple[ServiceSpec, ...] = (
    ServiceSpec(
        id="tracking-api", tenant="cinder-logistics", owner_team="cinder-core", tier=1, archetype="frontend",
        regions=BOTH, node_pool="shared", cpu_ms=7.0, io_ms=3.0, demand_rps=260.0,
        flags=("feature.rich-cards",), scaling=ANY_POLICY,
        certificate_days=52.0,
        calls=(_call("identity", 0.4), _call("routing", 0.6), _call("fleet-db")),
    ),
    ServiceSpec(
        id="routing", tenant="cinder-logistics", owner_team="cinder-core", tier=2, regions=BOTH, node_pool="shared",
        cpu_ms=18.0, io_ms=4.0, scaling=ANY_POLICY,
        calls=(_call("session-cache"), _call("maps-provider", 0.3, 0.6)),
    ),
    ServiceSpec(
        id="fleet-ingest", tenant="cinder-logistics", owner_team="cinder-data", tier=2, archetype="worker",
        regions=BOTH, node_pool="shared", cpu_ms=25.0, io_ms=3.0, demand_rps=60.0, cpu_burst=20.0,
        calls=(_call("fleet-db", 0.2), _call("event-bus", 0.05, 0.2)),
    ),
    ServiceSpec(
        id="fleet-db", tenant="cinder-logistics", owner_team="cinder-data", tier=1, archetype="database",
        regions=BOTH, node_pool="shared", cpu_ms=9.0, io_ms=3.0, cpu_millicores=1000, memory_mib=8192,
        memory_base_mib=4600.0, startup_s=60.0,
    ),
)  # fmt: skip
_EXTERNAL: tuple[ServiceSpec, ...] = (
    ServiceSpec(
        id="payments-provider", tenant="platform", owner_team="vendor-payments", regions=BOTH, node_pool="shared",
        external=True, cpu_ms=10.0, io_ms=60.0, variability=0.6,
    ),
    ServiceSpec(
        id="maps-provider", tenant="platform", owner_team="vendor-maps", regions=BOTH, node_pool="shared",
        external=True, cpu_ms=8.0, io_ms=35.0, variability=0.6,
    ),
)  # fmt: skip


def demo_world(*, laws: Laws | None = None, start: datetime = START) -> WorldSpec:
    """The spec of the demo world, sized for its demand."""
    return tuned(
        WorldSpec(
            name="demo",
            environment=ENVIRONMENT,
            start=start,
            regions=REGIONS,
            node_pools=POOLS,
            tenants=TENANTS,
            services=(*_PLATFORM, *_ACME, *_BOREALIS, *_CINDER, *_EXTERNAL),
            laws=laws or Laws(),
        )
    )
