"""What is coming against what may be there: per service its ceiling, per node pool its nodes. Pure.

A service's ceiling is what its scaling policy may grow to, or its replicas where none has one. A pool must hold what
its services will request at their own targets, in its region.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import numpy as np

from analysis.capacity import Peak, peaks, units_for
from analysis.signals import Floats
from domain.desired import EnvironmentState, ServiceState
from domain.topology import NodePool, RuntimeService, Topology
from runtime.capacity.usage import DAY, SAMPLE, Use

LEAD: Final = timedelta(hours=1)
"""From a proposal to room: half an hour in which somebody answers, the change itself, nodes in up to five minutes and
replicas in two, and as long again where the first answer is a question."""
FULL: Final = 0.8
"""Use of the request above which the tail of response times leaves its objective: waiting times double between 0.6,
where autoscalers usually aim, and 0.8 (M/M/c with four servers or more)."""
TARGET: Final = 0.6
"""Use aimed at where no policy says one."""
POOL_FULL: Final = 0.85
"""Share of a pool's cores that replicas may request: 7 to 10 % are the node's own (AKS), the rest is lost in pieces."""
SPARE: Final = 1.25
"""A ceiling costs nothing until it is used: a quarter more than the bound asks for, growth is followed in few steps."""
AT_ONCE: Final = 2
"""No proposal more than doubles what there may be, as autoscalers do in a step: the next look comes soon."""
HELD: Final = frozenset({"database", "cache", "queue"})
"""They hold data: more of them is not a change of a number."""


@dataclass(frozen=True, slots=True)
class Need:
    """One resource: what it can carry, and what is coming."""

    resource: str
    peak: Peak
    """In busy cores of a service, in requested cores of a pool."""
    room: float
    """Of the same, that what is there now, or may be there by itself, carries when it is full."""
    units: int
    """Replicas a region, or nodes: as state documents count them."""
    wanted: int
    """Units that carry the upper bound with the usual headroom."""

    @property
    def share(self) -> float:
        """Upper bound of what is coming over the room."""
        return self.peak.upper / max(self.room, 1e-9)


def outlook(topology: Topology, state: EnvironmentState, uses: Mapping[str, Use], every: timedelta) -> tuple[Need, ...]:
    """Return every resource whose future can be told; `every` is the time until the next look."""
    horizon = -(-(LEAD + every) // SAMPLE)
    running = [s for s in topology.services if s.id in state.services and s.id in uses]
    coming = peaks({s.id: uses[s.id].values for s in running}, horizon, DAY)
    services = {s.id: _service(s, state.services[s.id], coming[s.id]) for s in running if s.id in coming}
    loads = {pool.id: _requested(pool, topology, state, uses, services) for pool in topology.node_pools}
    pooled = peaks({name: load for name, load in loads.items() if len(load)}, horizon, DAY)
    pools = [_pool(p, topology, state, pooled[p.id]) for p in topology.node_pools if p.id in pooled]
    return (*services.values(), *(p for p in pools if p is not None))


def _service(service: RuntimeService, state: ServiceState, peak: Peak) -> Need:
    cores = state.cpu_millicores / 1000.0 * max(len(service.regions), 1)
    wanted = units_for(peak.upper * (SPARE if scales(state) else 1.0), cores, target_of(state))
    ceiling = ceiling_of(state)
    return Need(f"service/{service.id}", peak, ceiling * cores * FULL, ceiling, min(wanted, AT_ONCE * ceiling))


def ceiling_of(state: ServiceState) -> int:
    """Return how many replicas a region it may come to have by itself."""
    return state.scaling.max_replicas if scales(state) and state.scaling is not None else state.replicas


def target_of(state: ServiceState) -> float:
    """Return the use of the request that is aimed at."""
    return state.scaling.target_cpu_utilisation if scales(state) and state.scaling is not None else TARGET


def scales(state: ServiceState) -> bool:
    """Tell whether a policy owns its replicas."""
    return state.scaling is not None and state.scaling.enabled


def _requested(
    pool: NodePool, topology: Topology, state: EnvironmentState, uses: Mapping[str, Use], needs: Mapping[str, Need]
) -> Floats:
    """Return the cores that its services requested in the pool over the time that all of them are known for.

    A service whose use is not known counts as what it shall be now, at all times.
    """
    on = [
        e.source.removeprefix("service/")
        for e in topology.edges
        if (e.kind, e.target) == ("runs_on", f"node_pool/{pool.id}")
    ]
    scaling = [name for name in on if name in needs and scales(state.services[name])]
    if not scaling:
        return np.zeros(0)
    start, end = max(uses[n].start for n in scaling), min(uses[n].end for n in scaling)
    length = (end - start) // SAMPLE
    if length <= 0:
        return np.zeros(0)
    regions = {s.id: max(len(s.regions), 1) for s in topology.services}
    fixed = [state.services[n] for n in on if n not in scaling and n in state.services]
    total = np.full(length, sum(s.replicas * s.cpu_millicores / 1000.0 for s in fixed))
    for name in scaling:
        held = state.services[name]
        policy, cores = held.scaling, held.cpu_millicores / 1000.0
        busy = uses[name].values[(start - uses[name].start) // SAMPLE :][:length] / regions[name]
        if policy is not None:
            total = (
                total + np.maximum(np.ceil(busy / (policy.target_cpu_utilisation * cores)), policy.min_replicas) * cores
            )
    return total


def _pool(pool: NodePool, topology: Topology, state: EnvironmentState, peak: Peak) -> Need | None:
    held = state.node_pools.get(pool.id)
    if held is None or not held.node_count:
        return None
    cores = pool.cpu_millicores_per_node / 1000.0
    standing = held.node_count - len(held.drained)
    zones = next((len(t.zones) for t in topology.compute_targets if t.id == pool.compute_target), 1)
    asked = min(units_for(peak.upper, cores, POOL_FULL * FULL) + len(held.drained), AT_ONCE * held.node_count)
    room = standing * cores * POOL_FULL
    return Need(f"node_pool/{pool.id}", peak, room, held.node_count, -(-asked // zones) * zones)
