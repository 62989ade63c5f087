"""From a spec to columns: which workload is which service in which region, and the healthy plant they form."""

from dataclasses import dataclass

import numpy as np

from domain.errors import Invalid
from runtime.simulator.flow import CallGraph, Ints
from runtime.simulator.plant import EDGE_FIELDS, Plant
from runtime.simulator.pricing import SKUS
from runtime.simulator.queueing import Floats
from runtime.simulator.spec import CallSpec, ServiceSpec, WorldSpec

# Share of a node's CPU left for workloads after system reservations (AKS documentation: 7 % to 10 % on 4 to 8 cores).
ALLOCATABLE = 0.92


@dataclass(slots=True, frozen=True)
class Layout:
    """Indexes between names and columns. Workload w is service `service_of[w]` in region `region_of[w]`."""

    spec: WorldSpec
    services: tuple[ServiceSpec, ...]
    service_index: dict[str, int]
    regions: tuple[str, ...]
    service_of: Ints
    region_of: Ints
    workload_of: dict[tuple[str, str], int]
    pools: tuple[str, ...]
    pool_of: Ints
    edge_calls: tuple[tuple[str, str], ...]
    """(caller, callee) service of each edge, in edge order."""
    plant: Plant

    @property
    def rows(self) -> tuple[ServiceSpec, ...]:
        """The service of each workload."""
        return tuple(self.services[int(i)] for i in self.service_of)

    @property
    def size(self) -> int:
        """Number of workloads."""
        return len(self.service_of)

    def columns(self, service: str) -> list[int]:
        """Workloads of a service, in region order; raises Invalid for an unknown service."""
        if service not in self.service_index:
            raise Invalid(f"no such service in this world: {service}", reason="unknown_service")
        return [self.workload_of[service, r] for r in self.regions if (service, r) in self.workload_of]

    def edges(self, *, caller: str | None = None, callee: str | None = None) -> list[int]:
        """Edges from a caller, to a callee, or between both, over all regions; empty where there is no such call."""
        return [
            edge
            for edge, (source, target) in enumerate(self.edge_calls)
            if caller in (None, source) and callee in (None, target)
        ]


def build_layout(spec: WorldSpec) -> Layout:
    """Lay out a spec; raises Invalid when a call, pool or region does not exist, or calls form a cycle."""
    regions = tuple(r.id for r in spec.regions)
    pairs = [(s, r) for s in spec.services for r in regions if r in s.regions]
    workload_of = {(s.id, r): w for w, (s, r) in enumerate(pairs)}
    pools = tuple(p.id for p in spec.node_pools)
    try:
        pool_of = np.array([pools.index(f"{s.node_pool}-{r}") for s, r in pairs], dtype=np.int64)
        edges, calls, cached = _edges(spec, pairs, workload_of)
    except (KeyError, ValueError) as error:
        raise Invalid(f"the world spec names something it does not define: {error}") from error
    service_index = {s.id: i for i, s in enumerate(spec.services)}
    return Layout(
        spec=spec,
        services=spec.services,
        service_index=service_index,
        regions=regions,
        service_of=np.array([service_index[s.id] for s, _ in pairs], dtype=np.int64),
        region_of=np.array([regions.index(r) for _, r in pairs], dtype=np.int64),
        workload_of=workload_of,
        pools=pools,
        pool_of=pool_of,
        edge_calls=calls,
        plant=_healthy_plant(spec, [s for s, _ in pairs], edges, cached, pool_of),
    )


def _edges(
    spec: WorldSpec, pairs: list[tuple[ServiceSpec, str]], workload_of: dict[tuple[str, str], int]
) -> tuple[CallGraph, tuple[tuple[str, str], ...], Floats]:
    """Every call fans out to all regions of the callee; `Plant.route` says which share goes where."""
    by_id = {s.id: s for s in spec.services}
    raw: dict[tuple[int, int], tuple[ServiceSpec, CallSpec]] = {}
    for service, region in pairs:
        for call in service.calls:
            for where in by_id[call.to].regions:
                raw[workload_of[service.id, region], workload_of[call.to, where]] = (service, call)
    edges = [(a, b, call.per_request, call.failure_weight) for (a, b), (_, call) in raw.items()]
    graph = CallGraph.build(len(pairs), edges)
    ordered = [raw[int(a), int(b)] for a, b in zip(graph.caller, graph.callee, strict=True)]
    cached = np.array([float(call.on_cache_miss) for _, call in ordered])
    return graph, tuple((service.id, call.to) for service, call in ordered), cached


def _healthy_plant(spec: WorldSpec, rows: list[ServiceSpec], graph: CallGraph, cached: Floats, pool_of: Ints) -> Plant:
    def column(name: str) -> Floats:
        return np.array([float(getattr(s, name)) for s in rows])

    size, edges = len(rows), len(graph.caller)
    budget = spec.laws.retry_budget
    return Plant(
        graph=graph,
        cpu_ms=column("cpu_ms"),
        io_ms=column("io_ms"),
        variability=column("variability") * spec.laws.service_variability,
        error_share=column("error_share"),
        tls_failure=np.zeros(size),
        cores=column("cpu_millicores") / 1000.0,
        burst=column("cpu_burst"),
        memory_limit_mib=column("memory_mib"),
        memory_base_mib=column("memory_base_mib"),
        memory_per_inflight_mib=column("memory_per_inflight_mib"),
        leak_mib_per_krequest=np.zeros(size),
        workers=column("workers"),
        timeout_ms=column("timeout_ms"),
        retries=column("retries"),
        retry_budget=np.full(size, np.inf if budget is None else budget),
        cache_hit=column("cache_hit"),
        cache_fill_requests=column("cache_fill_requests"),
        slo_latency_ms=np.array([s.slo.latency_p95_ms for s in rows]),
        pool=pool_of,
        pool_cores=np.array([p.node_count * SKUS[p.sku].cores * ALLOCATABLE for p in spec.node_pools]),
        # Service times double at 85 % of a pool's cores (order of published co-location studies).
        contention=np.full(len(spec.node_pools), 10.0 * spec.laws.contention),
        route=np.ones(edges),
        cached_edge=cached,
        **{name: np.zeros(edges) for name in EDGE_FIELDS},
        surge_queue=np.zeros(size),
        serial_ms=np.zeros(size),
        background_cores=np.zeros(size),
        undisturbed=True,
    )
