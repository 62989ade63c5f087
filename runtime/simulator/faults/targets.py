"""Which services of a world a fault may strike, whatever their names are."""

from collections.abc import Sequence

import numpy as np

from domain.errors import Invalid
from runtime.simulator.spec import ServiceSpec
from runtime.simulator.world import World


def pick(rng: np.random.Generator, names: Sequence[str]) -> str:
    """One of the names; Invalid when this world has none that fit."""
    if not names:
        raise Invalid("this world has no service that the fault could strike", reason="fault_has_no_target")
    return names[int(rng.integers(len(names)))]


def own(world: World) -> list[ServiceSpec]:
    """Services the platform runs."""
    return [s for s in world.spec.services if not s.external]


def scalable(world: World) -> list[str]:
    """Stateless services that answer requests under a scaling policy."""
    return [s.id for s in own(world) if s.scaling is not None and s.archetype in {"api", "frontend", "gateway"}]


def entries(world: World) -> list[str]:
    """Services that meet external demand under a scaling policy."""
    return [s.id for s in own(world) if s.demand_rps > 0.0 and s.scaling is not None]


def objective_ms(world: World, service: str) -> float:
    """The latency objective of a service."""
    return world.spec.services[world.layout.service_index[service]].slo.latency_p95_ms


def headroom_per_krequest(world: World, service: str) -> float:
    """Free memory of a replica in MiB per thousand requests it serves in one minute."""
    columns = world.layout.columns(service)
    plant = world.plant
    steps = world.history.rows(world.history.count - 6, world.history.count)
    rate = float(world.history.truth("request_rate", steps, columns).mean()) if len(steps) else 1.0
    free = float((plant.memory_limit_mib - plant.memory_base_mib)[columns].mean())
    per_replica = rate / float(world.cluster.desired[columns].mean())
    return free / (per_replica * 60.0 / 1000.0)


def fixed_entries(world: World) -> list[str]:
    """Services that meet external demand with replicas nobody scales, CPU-limited to their request."""
    return [s.id for s in own(world) if s.demand_rps > 0.0 and s.scaling is None and s.cpu_burst == 1.0]


def unlimited_entries(world: World) -> list[str]:
    """Services that meet external demand and may burst far beyond their CPU request."""
    return [s.id for s in own(world) if s.demand_rps > 0.0 and s.cpu_burst > 2.0]


def inflight_per_replica(world: World, service: str) -> float:
    """Requests in flight per replica over the last minute (Little's law)."""
    columns = world.layout.columns(service)
    steps = world.history.rows(world.history.count - 6, world.history.count)
    rate = world.history.truth("request_rate", steps, columns).sum(axis=1)
    hold = world.history.truth("latency_mean_ms", steps, columns).mean(axis=1) / 1000.0
    return float((rate * hold).mean()) / float(world.cluster.desired[columns].sum())


def response_ms(world: World, service: str) -> float:
    """Median response over the last minute."""
    columns = world.layout.columns(service)
    steps = world.history.rows(world.history.count - 6, world.history.count)
    return float(world.history.truth("latency_p50_ms", steps, columns).mean())


def callers_of(world: World, service: str) -> list[str]:
    """Services that call this one, directly or through others."""
    found: list[str] = []
    todo = [service]
    while todo:
        callee = todo.pop()
        for caller in world.spec.services:
            if caller.id not in found and any(c.to == callee for c in caller.calls):
                found.append(caller.id)
                todo.append(caller.id)
    return found


def leaning_on_cache(world: World) -> list[str]:
    """Services whose cold cache would overload what stands behind it; the one that comes closest where none would."""
    steps = world.history.rows(world.history.count - 6, world.history.count)
    expected: dict[str, float] = {}
    for service in own(world):
        for call in service.calls if service.cache_hit > 0.0 else ():
            if call.on_cache_miss:
                store = world.layout.columns(call.to)
                rate = world.history.truth("request_rate", steps, world.layout.columns(service.id)).sum(axis=1).mean()
                load = world.history.truth("request_rate", steps, store).sum(axis=1).mean()
                used = world.history.truth("cpu_utilisation", steps, store).mean()
                more = rate * call.per_request * service.cache_hit / max(load, 1e-9)
                expected[service.id] = float(used * (1.0 + more))
    overloading = [name for name, use in expected.items() if use > 1.1]
    return overloading or sorted(expected, key=lambda name: expected[name])[-1:]


def cpu_use(world: World, service: str) -> float:
    """CPU use over the last minute as a share of the request."""
    steps = world.history.rows(world.history.count - 6, world.history.count)
    return float(world.history.truth("cpu_utilisation", steps, world.layout.columns(service)).mean())


def busiest(world: World, services: Sequence[str]) -> list[str]:
    """Those that use more CPU than half of the services do: what strikes an idle one nobody notices."""
    use = {service: cpu_use(world, service) for service in services}
    middle = float(np.median(list(use.values()))) if use else 0.0
    return [service for service in services if use[service] >= middle]


def stores(world: World) -> list[str]:
    """Databases the platform runs."""
    return [s.id for s in own(world) if s.archetype == "database"]


def hard_callers(world: World, service: str) -> list[str]:
    """Services that fail when this one does, and that send it enough to be noticed."""
    return [
        s.id for s in own(world) for c in s.calls if c.to == service and c.failure_weight >= 0.5 and not c.on_cache_miss
    ]


def rate_per_region(world: World, service: str) -> float:
    """Requests per second and region over the last minute."""
    steps = world.history.rows(world.history.count - 6, world.history.count)
    return float(world.history.truth("request_rate", steps, world.layout.columns(service)).mean())


# Seven calls per ten requests: with half the traffic in the region, a third of all requests meet what befalls them.
LEANING = 0.7


def reached_in(world: World) -> list[tuple[str, str]]:
    """Services that most requests of some caller stand on, with each region they are called in, where there are two.

    One caller at least is of the same tenant: whoever suffers may then lead traffic around.
    """
    tenant = {s.id: s.tenant for s in own(world)}
    leant_on = {
        c.to
        for s in own(world)
        for c in s.calls
        if c.per_request >= LEANING and c.failure_weight >= 0.5 and not c.on_cache_miss
        if tenant.get(c.to) == s.tenant
    }
    return [(s.id, r) for s in own(world) if s.id in leant_on and len(s.regions) > 1 for r in s.regions]


# Beyond this share of its capacity a service is slow long before it is full.
BORNE = 0.8


def bears(world: World, entry: str, factor: float) -> bool:
    """Whether all behind an entry could serve that many times its present requests at its largest, without repeats."""
    layout, plant = world.layout, world.plant
    everything, columns = list(range(layout.size)), layout.columns(entry)
    steps = world.history.rows(world.history.count - 6, world.history.count)
    rate = world.history.truth("request_rate", steps, everything).mean(axis=0)
    more = np.zeros(layout.size)
    more[columns] = rate[columns] * (factor - 1.0)
    missed = np.where(plant.cached_edge > 0, 1.0 - world.state.cache_hit[plant.graph.caller], 1.0)
    added = plant.graph.push_down(more, plant.graph.per_call * plant.route * missed, np.ones(layout.size))
    most = np.where(world.scaling[0] > 0, world.scaling[3], world.cluster.desired)
    capacity = most * plant.cores * plant.burst / (plant.cpu_ms / 1000.0)
    behind = (added > 1e-6) & (more == 0.0)
    return bool((rate + added < BORNE * capacity)[behind].all())
