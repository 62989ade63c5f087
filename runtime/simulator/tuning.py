"""Capacity planning for a new world: replicas, scaling bounds, node counts and latency objectives from its own demand.

A spec only has to say who calls whom and how much work a call is; everything that depends on load is computed here, so
that a generated world starts healthy with usual headroom.
"""

from math import ceil, log10

import numpy as np

from domain.policies import ScalingPolicy
from runtime.simulator.layout import ALLOCATABLE, Layout, build_layout
from runtime.simulator.live import Live
from runtime.simulator.physics import advance
from runtime.simulator.plant import PlantState
from runtime.simulator.pricing import SKUS
from runtime.simulator.queueing import Floats
from runtime.simulator.spec import NodePoolSpec, ServiceSpec, WorldSpec

# Highest hour of the daily shape against its mean (demand.daily_shape at the peak hour).
PEAK = 1.45
# Autoscaler target commonly used in the Kubernetes documentation's walkthroughs is 50 to 60 %.
TARGET = 0.6
# A latency objective leaves this headroom over the healthy p95 at peak.
SLO_HEADROOM = 1.8
# Maximum replicas over what the peak needs: entry services are capped close (they are what a surge meets first), inner
# services are given room.
FRONT_ROOM, INNER_ROOM = 1.0, 2.5
# Inner services that nobody scales are given the room at once: they must bear what their callers may grow to.
FIXED_ROOM = 2.0
# Shared stores are sized for far more than today's peak: they cannot be scaled out in a hurry.
STORE_TARGET = 0.25
NODE_HEADROOM = 1.1
# Worker slots over what the peak holds.
SLOT_ROOM = 3.0


def tuned(spec: WorldSpec) -> WorldSpec:
    """The same world with replicas, scaling policies, slots, nodes and latency objectives that fit its demand."""
    layout = build_layout(spec)
    arrivals = _arrivals(layout)
    services = tuple(_sized(s, float(arrivals[layout.columns(s.id)].max())) for s in spec.services)
    sized = spec.model_copy(update={"services": services})
    sized = sized.model_copy(update={"node_pools": _pools(sized)})
    return _with_objectives(sized)


def _arrivals(layout: Layout) -> Floats:
    plant = Live(layout, {}).plant(0.0)
    graph = plant.graph
    base = np.array([s.demand_rps / len(s.regions) for s in layout.rows])
    miss = np.where(plant.cached_edge > 0, 1.0 - plant.cache_hit[graph.caller], 1.0)
    return graph.push_down(base * PEAK, graph.per_call * plant.route * miss, np.ones(layout.size))


def _sized(service: ServiceSpec, peak_rps: float) -> ServiceSpec:
    cores = service.cpu_millicores / 1000.0
    target = STORE_TARGET if service.archetype in {"database", "cache", "queue"} or service.external else TARGET
    peak = max(2, ceil(peak_rps * service.cpu_ms / 1000.0 / (target * cores)))
    if service.scaling is None:
        inner = service.demand_rps == 0.0 and target == TARGET
        return service.model_copy(update={"replicas": ceil(peak * FIXED_ROOM) if inner else peak})
    low = max(2, ceil(peak * 0.4))
    room = FRONT_ROOM if service.demand_rps > 0.0 else INNER_ROOM
    policy = ScalingPolicy(min_replicas=low, max_replicas=max(ceil(peak * room), low), target_cpu_utilisation=TARGET)
    return service.model_copy(update={"replicas": max(low, ceil(peak * 0.8)), "scaling": policy})


def _pools(spec: WorldSpec) -> tuple[NodePoolSpec, ...]:
    """Nodes for the largest replicas of everything that runs on a pool, whole zones at a time."""
    need = {pool.id: 0.0 for pool in spec.node_pools}
    for service in spec.services:
        most = service.scaling.max_replicas if service.scaling else service.replicas
        for region in service.regions:
            need[f"{service.node_pool}-{region}"] += most * service.cpu_millicores / 1000.0
    zones = {r.id: len(r.zones) for r in spec.regions}
    pools: list[NodePoolSpec] = []
    for pool in spec.node_pools:
        nodes = ceil(need[pool.id] * NODE_HEADROOM / (SKUS[pool.sku].cores * ALLOCATABLE))
        count = max(1, ceil(nodes / zones[pool.region])) * zones[pool.region]
        pools.append(pool.model_copy(update={"node_count": count, "max_nodes": 2 * count}))
    return tuple(pools)


def _with_objectives(spec: WorldSpec) -> WorldSpec:
    layout = build_layout(spec)
    plant = Live(layout, {}).plant(0.0)
    replicas = np.array([float(s.replicas) for s in layout.rows])
    state = PlantState.fresh(plant, np.ceil(replicas * 1.1))
    base = np.array([s.demand_rps / len(s.regions) for s in layout.rows])
    for _ in range(60):  # until hold times and admission have settled
        advance(plant, state, base * PEAK, float(spec.step_s))
    readings = advance(plant, state, base * PEAK, float(spec.step_s))
    services: list[ServiceSpec] = []
    for service in spec.services:
        columns = layout.columns(service.id)
        p95 = float(readings.latency_p95_ms[columns].max()) * SLO_HEADROOM
        inflight = float((readings.request_rate * readings.latency_mean_ms / 1000.0 / replicas)[columns].max())
        services.append(
            service.model_copy(
                update={
                    "slo": service.slo.model_copy(update={"latency_p95_ms": _two_digits(p95)}),
                    "workers": max(16, 8 * ceil(inflight * SLOT_ROOM * service.cpu_burst / 8.0)),
                }
            )
        )
    return spec.model_copy(update={"services": tuple(services)})


def _two_digits(value: float) -> float:
    scale = 10.0 ** (ceil(log10(value)) - 2)
    return ceil(value / scale) * scale
