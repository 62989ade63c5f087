"""What readers may see of a world: topology, metric series, changes. Never what is wrong with it.

Series are per service over its regions, on a grid of `step_s` seconds (a multiple of the world's step, averaged).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np

from domain.errors import Invalid
from domain.evidence import ChangeRecord, MetricSeries, SignalKind
from domain.ids import EvidenceId, TenantId
from domain.topology import Certificate, ComputeTarget, DataStore, Edge, NodePool, RuntimeService, Secret, Topology
from runtime.simulator.asset_metrics import asset_rows
from runtime.simulator.flow import Ints
from runtime.simulator.inner_metrics import inner_rows
from runtime.simulator.loglines import log_lines, logs
from runtime.simulator.pricing import SKUS
from runtime.simulator.queueing import Floats
from runtime.simulator.spec import ServiceSpec, logins, secret_name
from runtime.simulator.traces import spans
from runtime.simulator.windows import steps_between
from runtime.simulator.world import World

__all__ = ["METRICS", "changes", "log_lines", "logs", "metrics", "series_window", "spans", "topology"]

# (metric as told, channel, kind, unit, statistic, factor)
METRICS: tuple[tuple[str, str, SignalKind, str, str, float], ...] = (
    ("request_rate", "request_rate", "traffic", "1/s", "avg", 1.0),
    ("error_rate", "error_share", "errors", "ratio", "avg", 1.0),
    ("latency_p50_ms", "latency_p50_ms", "latency", "ms", "p50", 1.0),
    ("latency_p95_ms", "latency_p95_ms", "latency", "ms", "p95", 1.0),
    ("cpu_utilisation", "cpu_utilisation", "saturation", "ratio", "avg", 1.0),
    ("memory_mib", "memory_mib", "saturation", "MiB", "avg", 1.0),
    ("pool_use", "pool_use", "saturation", "ratio", "avg", 1.0),
    ("replicas_ready", "replicas_ready", "availability", "1", "avg", 1.0),
    ("replicas_desired", "replicas_desired", "other", "1", "avg", 1.0),
    ("restarts", "oom", "other", "1", "sum", 1.0),
)
_EXTERNAL_METRICS = frozenset({"request_rate", "error_rate", "latency_p50_ms", "latency_p95_ms"})


def metrics(world: World, entity: str, metric: str, start: datetime, end: datetime) -> tuple[list[datetime], Floats]:
    """Instants and values of one metric of one service at the world's own step over [start, end)."""
    row = next((m for m in METRICS if m[0] == metric), None)
    if row is None and metric != "cache_hit":
        raise Invalid(f"no such metric: {metric}", reason="unknown_metric")
    steps = steps_between(world, start, end)
    service = entity.removeprefix("service/").removeprefix("external/")
    channel = row[1] if row else "cache_hit"
    values = world.history.service(channel, steps, world.layout.columns(service))
    return [world.instant(int(k) * world.spec.step_s) for k in steps], values


def series_window(
    world: World, start: datetime, end: datetime, *, entities: tuple[str, ...] = (), step_s: int = 60
) -> tuple[MetricSeries, ...]:
    """All series of the entities (all when empty) over [start, end): services, externals, nodes, certificates."""
    steps = steps_between(world, start, end)
    per = max(1, round(step_s / world.spec.step_s))
    steps = steps[: len(steps) // per * per]
    if not len(steps):
        return ()
    first = world.instant(int(steps[0]) * world.spec.step_s)
    found: list[MetricSeries] = []

    def add(entity: str, row: tuple[str, SignalKind, str, str], values: Floats) -> None:
        metric, kind, unit, statistic = row
        grid = values.reshape(-1, per)
        points: Floats = grid.sum(axis=1) if statistic == "sum" else grid.mean(axis=1)
        found.append(
            MetricSeries(
                evidence=EvidenceId(f"metric:{entity}:{metric}:{first:%Y%m%dT%H%M%S}"), entity=entity, metric=metric,
                kind=kind, statistic=statistic, unit=unit, start=first, step_s=per * world.spec.step_s,
                values=tuple(points.round(6).tolist()),
            )
        )  # fmt: skip

    for service in world.layout.services:
        address = service.address
        if not entities or address in entities:
            for metric, kind, unit, statistic, values in _service_rows(world, service, steps):
                add(address, (metric, kind, unit, statistic), values)
    for address, row, values in _infrastructure_rows(world, steps):
        if not entities or address in entities:
            add(address, row, values)
    return tuple(found)


def _service_rows(world: World, service: ServiceSpec, steps: Ints) -> list[tuple[str, SignalKind, str, str, Floats]]:
    columns = world.layout.columns(service.id)
    rows: list[tuple[str, SignalKind, str, str, Floats]] = []
    for metric, channel, kind, unit, statistic, factor in METRICS:
        if not service.external or metric in _EXTERNAL_METRICS:
            values = world.history.service(channel, steps, columns) * factor
            if metric == "restarts":
                values = values + world.history.rarely("exits", steps, columns).sum(axis=1)
            rows.append((metric, kind, unit, statistic, values))
    if service.cache_hit > 0.0:
        values = world.history.service("cache_hit", steps, columns)
        rows.append(("cache_hit", "other", "ratio", "avg", values))
    return rows if service.external else rows + inner_rows(world, service, steps)


def _infrastructure_rows(world: World, steps: Ints) -> list[tuple[str, tuple[str, SignalKind, str, str], Floats]]:
    history, rows = world.history, list[tuple[str, tuple[str, SignalKind, str, str], Floats]]()
    ring = steps % history.steps
    ready: tuple[str, SignalKind, str, str] = ("ready", "availability", "ratio", "avg")
    cpu: tuple[str, SignalKind, str, str] = ("cpu_utilisation", "saturation", "ratio", "avg")
    for k, node in enumerate(world.cluster.nodes):
        if node.exists:
            up = history.node_up[ring, k].astype(np.float64)
            rows.append((f"node/{node.name}", ready, up))
            rows.append((f"node/{node.name}", cpu, history.pool_use[ring, node.pool].astype(np.float64) * up))
    for name, ends_s in world.certificates.items():
        left: Floats = np.asarray((ends_s - (steps + 1.0) * world.spec.step_s) / 86_400.0, dtype=np.float64)
        rows.append((f"certificate/{name}", ("days_left", "other", "d", "avg"), left))
    return rows + asset_rows(world, steps)


def changes(world: World, start: datetime, end: datetime) -> tuple[ChangeRecord, ...]:
    """The platform's change feed over [start, end), oldest first."""
    return tuple(
        ChangeRecord(
            evidence=EvidenceId(f"change:{k}"), entity=c.entity, kind=c.kind, at=c.at, before=c.before, after=c.after,
            actor=c.actor, text=c.text,
        )
        for k, c in enumerate(world.journal.changes)
        if start <= c.at < end
    )  # fmt: skip


def topology(world: World) -> Topology:
    """The things of the world and their dependencies."""
    spec = world.spec
    own = [s for s in spec.services if not s.external]
    callers = _callers(spec.services)
    return Topology(
        environment=spec.environment,
        regions=tuple(r.id for r in spec.regions),
        services=tuple(_service(world, s, callers) for s in own),
        compute_targets=tuple(
            ComputeTarget(id=f"sim-{r.id}", provider="simulated", region=r.id, zones=r.zones) for r in spec.regions
        ),
        node_pools=tuple(
            NodePool(
                id=p.id, compute_target=f"sim-{p.region}", region=p.region, sku=sku.name,
                node_count=world.node_pools[p.id].node_count,
                cpu_millicores_per_node=int(sku.cores * 1000), memory_mib_per_node=sku.memory_mib,
                cost_usd_per_node_hour=world.billing.prices[sku.name],
            )
            for p in spec.node_pools
            for sku in (SKUS[world.node_pools[p.id].sku],)
        ),
        data_stores=tuple(
            DataStore(
                id=s.id, tenant=TenantId(s.tenant), engine="postgres", region=s.regions[0],
                replica_region=world.data_stores[s.id].replica_region,
                encrypted_at_rest=world.data_stores[s.id].encrypted_at_rest,
                backup_retention_days=world.data_stores[s.id].backup_retention_days,
            )
            for s in own
            if s.archetype == "database"
        ),
        certificates=tuple(
            Certificate(
                id=name, service=name.removesuffix("-tls"), subject=f"{name.removesuffix('-tls')}.example.net",
                not_after=world.instant(ends_s), issuer="platform-ca",
            )
            for name, ends_s in world.certificates.items()
        ),
        secrets=tuple(
            Secret(id=secret_name(s.id, store.id), service=s.id, opens=store.address) for s, store in logins(spec)
        ),
        edges=_edges(world),
    )  # fmt: skip


def _callers(services: tuple[ServiceSpec, ...]) -> dict[str, list[ServiceSpec]]:
    """Who calls whom directly, by callee."""
    found: dict[str, list[ServiceSpec]] = {}
    for caller in services:
        for callee in {call.to for call in caller.calls}:
            found.setdefault(callee, []).append(caller)
    return found


def _service(world: World, spec: ServiceSpec, callers: Mapping[str, Sequence[ServiceSpec]]) -> RuntimeService:
    return RuntimeService(
        id=spec.id,
        tenant=TenantId(spec.tenant),
        environment=world.spec.environment,
        compute_target=f"sim-{spec.regions[0]}",
        owner_team=spec.owner_team,
        tier=spec.tier,
        slo=spec.slo,
        archetype=spec.archetype,
        regions=spec.regions,
        used_by=_users(callers, spec.id),
    )


def _users(callers: Mapping[str, Sequence[ServiceSpec]], service: str) -> tuple[TenantId, ...]:
    """Tenants whose services call this one, directly or through shared ones."""
    seen, todo, tenants = {service}, [service], set[str]()
    while todo:
        for caller in callers.get(todo.pop(), ()):
            if caller.id not in seen:
                seen.add(caller.id)
                todo.append(caller.id)
                tenants.add(caller.tenant)
    return tuple(TenantId(t) for t in sorted(tenants - {"platform"}))


def _edges(world: World) -> tuple[Edge, ...]:
    by_id = {s.id: s for s in world.spec.services}
    edges: list[Edge] = []
    for service in world.spec.services:
        edges.extend(
            Edge(kind="calls", source=service.address, target=by_id[call.to].address) for call in service.calls
        )
        if not service.external:
            for region in service.regions:
                pool = f"node_pool/{service.node_pool}-{region}"
                edges.append(Edge(kind="runs_on", source=service.address, target=pool))
    for node in world.cluster.nodes:
        if node.exists:
            zone = world.spec.regions[node.region].zones[node.zone]
            edges.append(
                Edge(kind="runs_on", source=f"node_pool/{world.layout.pools[node.pool]}", target=f"node/{node.name}")
            )
            edges.append(Edge(kind="member_of", source=f"node/{node.name}", target=f"zone/{zone}"))
    edges.extend(
        Edge(kind="secured_by", source=f"service/{name.removesuffix('-tls')}", target=f"certificate/{name}")
        for name in world.certificates
    )
    edges.extend(
        Edge(kind="secured_by", source=holder.address, target=f"secret/{secret_name(holder.id, store.id)}")
        for holder, store in logins(world.spec)
    )
    return tuple(edges)
