"""A small environment in memory: acme's shop on a shared service, globex's portal beside it."""

from domain.desired import EnvironmentState, NodePoolState, ServiceState
from domain.ids import PLATFORM, TenantId
from domain.policies import ScalingPolicy
from domain.topology import Edge, NodePool, RuntimeService, Topology
from runtime.targets.memory import MemoryTarget
from tests.support.runtime_bench import PROD, binding, make_bench


def service(name, tenant, used_by=()):
    return RuntimeService(
        id=name,
        tenant=TenantId(tenant),
        environment=PROD,
        compute_target="sim-west",
        owner_team=f"{name}-team",
        regions=("west", "north"),
        used_by=tuple(TenantId(t) for t in used_by),
    )


TOPOLOGY = Topology(
    environment=PROD,
    regions=("west", "north"),
    services=(
        service("shop", "acme"),
        service("cart", "acme"),
        service("portal", "globex"),
        service("auth", PLATFORM, ("acme", "globex")),
    ),
    node_pools=(
        NodePool(
            id="pool",
            compute_target="sim-west",
            region="west",
            sku="D4",
            node_count=3,
            cpu_millicores_per_node=4000,
            memory_mib_per_node=16384,
            cost_usd_per_node_hour=0.2,
        ),
    ),
    edges=(
        Edge(kind="calls", source="service/shop", target="service/cart"),
        Edge(kind="calls", source="service/cart", target="service/auth"),
        Edge(kind="calls", source="service/portal", target="service/auth"),
        Edge(kind="runs_on", source="service/shop", target="node_pool/pool"),
    ),
)
TENANTS = (binding("acme"), binding("globex"))


def _state(**changed):
    fields = {"version": "v1", "replicas": 3, "cpu_millicores": 500, "memory_mib": 512, "config": {"timeout_ms": "900"}}
    return ServiceState.model_validate(fields | changed)


STATE = EnvironmentState(
    services={
        "shop": _state(),
        "cart": _state(scaling=ScalingPolicy(min_replicas=2, max_replicas=6, target_cpu_utilisation=0.6)),
        "portal": _state(),
        "auth": _state(),
    },
    node_pools={"pool": NodePoolState(node_count=3, sku="D4")},
)


def small_target(_clock) -> MemoryTarget:
    return MemoryTarget(TOPOLOGY, STATE)


async def small_bench(folder, **options):
    return await make_bench(folder, small_target, TENANTS, **options)
