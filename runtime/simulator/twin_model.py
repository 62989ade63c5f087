"""The twin's picture of an environment: topology, desired state and call counts as a spec the physics can lay out."""

from datetime import datetime

import numpy as np

from domain.desired import EnvironmentState, ServiceState
from domain.evidence import EvidencePack
from domain.topology import RuntimeService
from runtime.grid.table import GRID_GCO2E_PER_KWH
from runtime.simulator.layout import ALLOCATABLE, Layout, build_layout
from runtime.simulator.live import Live
from runtime.simulator.pricing import SKUS
from runtime.simulator.queueing import Floats
from runtime.simulator.spec import CallSpec, NodePoolSpec, RegionSpec, ServiceSpec, WorldSpec
from runtime.simulator.twin_calls import Callee, call_counts
from runtime.simulator.windowed import read_window, samples

# Regions outside the table of grids count as the world's average (Ember electricity data 2024, rounded).
WORLD_AVERAGE = 470.0
# What the twin believes where a service's configuration does not say.
DEFAULT_WORKERS, DEFAULT_TIMEOUT_MS, DEFAULT_RETRIES = 64, 2000.0, 2
# A limit that cannot be read (another tenant's service) is not what fails there: no service has a TiB.
UNREAD_MEMORY_MIB = 1 << 20


def picture(pack: EvidencePack, start: datetime, end: datetime) -> tuple[Layout, Live]:
    """Layout and live state of the pack's environment; call counts come from rates over [start, end)."""
    state = pack.desired.effective(pack.at) if pack.desired else EnvironmentState()
    topology = pack.topology
    regions = topology.regions or tuple(dict.fromkeys(r for s in topology.services for r in s.regions)) or ("region",)
    open_ = _open(pack)
    calls = _calls(pack, start, end, open_)
    outside = sorted({e.target for e in topology.edges if e.target.startswith("external/")})
    services = tuple(
        _service(
            s,
            state.services.get(s.id),
            regions,
            calls.get(f"service/{s.id}", ()),
            called_unseen=f"service/{s.id}" in open_,
        )
        for s in topology.services
    ) + tuple(_external(address, regions) for address in outside)
    spec = WorldSpec(
        name="twin",
        environment=topology.environment,
        start=pack.at,
        regions=tuple(
            RegionSpec(id=r, zones=("one",), grid_gco2e_per_kwh=GRID_GCO2E_PER_KWH.get(r, WORLD_AVERAGE))
            for r in regions
        ),
        node_pools=tuple(
            NodePoolSpec(id=f"all-{r}", region=r, sku="D8s_v5", node_count=1, max_nodes=1) for r in regions
        ),
        tenants=(),
        services=services,
    )
    layout = build_layout(spec)
    _pools(pack, layout)
    live = Live(layout, {s: v for s, v in state.services.items() if s in layout.service_index})
    live.touched |= set(live.services)
    return layout, live


def _service(
    service: RuntimeService,
    state: ServiceState | None,
    regions: tuple[str, ...],
    calls: tuple[CallSpec, ...],
    *,
    called_unseen: bool,
) -> ServiceSpec:
    config = state.config if state else {}
    return ServiceSpec(
        id=service.id,
        tenant=service.tenant,
        owner_team=service.owner_team,
        tier=service.tier,
        slo=service.slo,
        regions=tuple(r for r in service.regions if r in regions) or regions,
        node_pool="all",
        replicas=max(1, state.replicas if state else 2),
        cpu_millicores=state.cpu_millicores if state else 500,
        memory_mib=state.memory_mib if state else UNREAD_MEMORY_MIB,
        workers=int(float(config.get("pool_size", DEFAULT_WORKERS))),
        timeout_ms=float(config.get("timeout_ms", DEFAULT_TIMEOUT_MS)),
        retries=int(float(config.get("max_retries", DEFAULT_RETRIES))),
        calls=calls,
        demand_rps=float(called_unseen),
    )


def _open(pack: EvidencePack) -> set[str]:
    """Services that are also called by tenants whose services are not in view."""
    seen = {s.tenant for s in pack.topology.services}
    return {f"service/{s.id}" for s in pack.topology.services if not set(s.used_by) <= seen}


def _external(address: str, regions: tuple[str, ...]) -> ServiceSpec:
    """Somebody else's service: we see its answers only, so it is given ample capacity."""
    return ServiceSpec(
        id=address.removeprefix("external/"), tenant="platform", owner_team="external", regions=regions,
        node_pool="all", external=True, replicas=20, cpu_millicores=1000,
    )  # fmt: skip


def _calls(pack: EvidencePack, start: datetime, end: datetime, open_: set[str]) -> dict[str, tuple[CallSpec, ...]]:
    callers: dict[str, list[str]] = {}
    for edge in pack.topology.edges:
        if edge.kind == "calls":
            callers.setdefault(edge.target, []).append(edge.source)
    seen, users = {s.tenant for s in pack.topology.services}, _users(pack)

    def rates(entity: str, until: datetime) -> Floats:
        found = [samples(s, start, until) for s in pack.series if s.entity == entity and s.metric == "request_rate"]
        return np.concatenate(found) if found else np.zeros(0)

    rows: list[Callee] = []
    for name, sources in callers.items():
        # Unseen callers show when ours change their load, so what happened since the baseline tells more there.
        until = pack.at if name in open_ else end
        unseen = len(users.get(name, set[str]()) - seen) / max(len(users.get(name, ())), 1)
        answers = read_window(pack.series, name, start, end)
        rows.append(Callee(name, rates(name, until), tuple(sources), tuple(rates(s, until) for s in sources),
                           answers.mean_s, unseen))  # fmt: skip
    waits = {s: _waits(pack, s, start, end) for sources in callers.values() for s in sources}
    found: dict[str, list[CallSpec]] = {}
    for (source, name), count in call_counts(rows, waits).items():
        if count > 1e-6:
            found.setdefault(source, []).append(CallSpec(to=name.partition("/")[2], per_request=count))
    return {caller: tuple(calls) for caller, calls in found.items()}


def _users(pack: EvidencePack) -> dict[str, set[str]]:
    """Tenants served, by service address; their own tenant counts for services that say nothing."""
    return {f"service/{s.id}": set(map(str, s.used_by)) or {str(s.tenant)} for s in pack.topology.services}


def _waits(pack: EvidencePack, entity: str, start: datetime, end: datetime) -> float:
    """Seconds of a service's mean answer in which it can have waited for callees: all but its own CPU work."""
    state = pack.desired.effective(pack.at).services.get(entity.partition("/")[2]) if pack.desired else None
    read = read_window(pack.series, entity, start, end)
    work = read.busy * (state.cpu_millicores / 1000.0) / read.rate if state is not None and read.rate > 0.0 else 0.0
    return float(np.nan_to_num(read.mean_s - np.nan_to_num(work)))


def _pools(pack: EvidencePack, layout: Layout) -> None:
    """Real pools instead of the spec's: cores from the topology, each workload on the pool its edges name."""
    pools = pack.topology.node_pools
    if not pools:
        layout.plant.pool_cores = np.full(len(layout.pools), 1e9)
        return
    runs_on = {(e.source, e.target.partition("/")[2]) for e in pack.topology.edges if e.kind == "runs_on"}
    layout.plant.pool_cores = np.array([p.node_count * p.cpu_millicores_per_node / 1000.0 * ALLOCATABLE for p in pools])
    layout.plant.contention = np.full(len(pools), 10.0)
    for column, service in enumerate(layout.rows):
        region = layout.regions[int(layout.region_of[column])]
        here = [k for k, p in enumerate(pools) if p.region == region and (service.address, p.id) in runs_on]
        same = [k for k, p in enumerate(pools) if p.region == region] or [0]
        layout.plant.pool[column] = (here or same)[0]


def usd_per_core_hour(pack: EvidencePack, layout: Layout) -> Floats:
    """Price of a requested core per workload, from its pool's price."""
    pools = pack.topology.node_pools
    if not pools:
        sku = SKUS["D8s_v5"]
        return np.full(layout.size, sku.cost_usd_per_hour / sku.cores)
    prices = np.array([p.cost_usd_per_node_hour / (p.cpu_millicores_per_node / 1000.0) for p in pools])
    return prices[layout.plant.pool]


def bursts(pack: EvidencePack, layout: Layout) -> Floats:
    """CPU limit as a multiple of the request, as far as use was ever seen to go beyond the request."""
    most = {s.entity: max((v for v in s.values if v is not None), default=0.0) for s in reversed(pack.series)
            if s.metric == "cpu_utilisation"}  # fmt: skip
    for s in pack.series:
        if s.metric == "cpu_utilisation":
            most[s.entity] = max(most[s.entity], *(v for v in s.values if v is not None), 0.0)
    # Noise around a full request is no burst.
    return np.array([max(1.0, m) if (m := most.get(s.address, 1.0)) > 1.2 else 1.0 for s in layout.rows])


def region_shares(pack: EvidencePack, layout: Layout) -> Floats:
    """Share of each service's ready replicas per workload: even, but what a dark zone took is missing in its region."""
    dark = {c.entity.partition("/")[2] for c in pack.changes if c.kind == "zone" and c.after is False}
    lit = {c.entity.partition("/")[2] for c in pack.changes if c.kind == "zone" and c.after is True}
    regions = {t.region for t in pack.topology.compute_targets if set(t.zones) & (dark - lit)}
    share = np.array([1.0 / len(s.regions) for s in layout.rows])
    if not regions:
        return share
    for service in layout.spec.services:
        columns = layout.columns(service.id)
        ready, desired = (
            _newest(pack, service.address, "replicas_ready"),
            _newest(pack, service.address, "replicas_desired"),
        )
        hit = [c for c in columns if layout.regions[int(layout.region_of[c])] in regions]
        if not ready or not desired or ready >= 0.95 * desired or not hit or len(hit) == len(columns):
            continue
        whole = min(desired / len(columns), ready / (len(columns) - len(hit)))
        for c in columns:
            share[c] = (ready - whole * (len(columns) - len(hit))) / len(hit) / ready if c in hit else whole / ready
    return share


def _newest(pack: EvidencePack, entity: str, metric: str) -> float:
    found = [s for s in pack.series if s.entity == entity and s.metric == metric]
    values = [v for s in found for v in s.values[-3:] if v is not None]
    return float(np.median(values[-3:])) if values else 0.0
