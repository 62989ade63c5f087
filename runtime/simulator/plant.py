"""The numbers the physics works on: parameters (`Plant`), memory between steps (`PlantState`), answers (`Readings`).

One column per workload, a workload being one service in one region. The world fills a plant from its spec, the digital
twin fills one from readings; both run the same physics.
"""

from dataclasses import dataclass, fields, replace

import numpy as np

from runtime.simulator.flow import CallGraph, Ints
from runtime.simulator.queueing import Floats

EDGE_FIELDS = ("way_ms", "jitter_ms", "unresolved", "unauthorised", "unreachable", "resent", "limited")
"""What can befall a call between caller and callee; everything else about it belongs to one of the two."""


@dataclass(slots=True)
class Plant:
    """Parameters; arrays are (workloads,) unless said."""

    graph: CallGraph
    cpu_ms: Floats
    """CPU time of one request at one core."""
    io_ms: Floats
    """Own time outside the CPU, no queue."""
    variability: Floats
    """Squared coefficient of variation of the own service time (1 = exponential)."""
    error_share: Floats
    """Requests failing by the service's own doing."""
    tls_failure: Floats
    """New connections refused for their certificate, as a share of requests."""
    cores: Floats
    """CPU request per replica."""
    burst: Floats
    """CPU limit as a multiple of the request."""
    memory_limit_mib: Floats
    memory_base_mib: Floats
    memory_per_inflight_mib: Floats
    leak_mib_per_krequest: Floats
    workers: Floats
    """Concurrent requests (connection or worker slots) per replica."""
    timeout_ms: Floats
    """How long this service waits for each of its calls."""
    retries: Floats
    retry_budget: Floats
    """Most extra attempts as a share of first attempts; inf for none (Finagle and the SRE book use 0.1 to 0.2)."""
    cache_hit: Floats
    """Hit ratio of a warm cache; 0 where there is none."""
    cache_fill_requests: Floats
    """Misses that fill the cache to 63 %."""
    slo_latency_ms: Floats
    pool: Ints
    """Index of the node pool the workload runs on."""
    pool_cores: Floats
    """(pools,) allocatable cores."""
    contention: Floats
    """(pools,) slowdown per share of the pool's cores that is used beyond what a busy pool holds."""
    route: Floats
    """(edges,) share of the caller's calls that goes to this callee's region."""
    cached_edge: Floats
    """(edges,) 1 where the call is made on a cache miss only."""
    way_ms: Floats
    """(edges,) extra time on the way to the callee and back, per attempt."""
    jitter_ms: Floats
    """(edges,) standard deviation of that time."""
    unresolved: Floats
    """(edges,) attempts that fail at once because the callee's name does not resolve."""
    unauthorised: Floats
    """(edges,) attempts that the callee turns away at once for their credential, before it does any work."""
    unreachable: Floats
    """(edges,) attempts that get no answer at all: the caller waits for its whole timeout."""
    resent: Floats
    """(edges,) share of packets sent again; the time and the calls that costs are in `way_ms` and `unreachable`."""
    limited: Floats
    """(edges,) attempts that the callee turns away at once because its limit is reached."""
    surge_queue: Floats
    """Requests per replica that may wait outside the slots, in an accept queue or a load balancer's surge queue."""
    serial_ms: Floats
    """Part of a request that only one can be in at a time: a lock all of them take. 0 where work runs side by side."""
    background_cores: Floats
    """CPU that work nobody waits for takes in a workload's own replicas."""
    undisturbed: bool = True
    """No call is slowed, lost or turned away on its way: those seven fields are zero."""

    def copy(self) -> "Plant":
        """A copy whose arrays may be written."""
        arrays = {f.name: getattr(self, f.name).copy() for f in fields(self) if f.name not in {"graph", "undisturbed"}}
        return replace(self, **arrays)

    def reach(self) -> Floats:
        """(edges,) share of attempts that the callee gets to work on."""
        return (1.0 - self.unresolved) * (1.0 - self.unauthorised) * (1.0 - self.unreachable) * (1.0 - self.limited)


@dataclass(slots=True)
class PlantState:
    """What one step hands to the next."""

    ready: Floats
    backlog: Floats
    """Requests waiting beyond the steady state."""
    hold_s: Floats
    """How long a request holds its worker slot apart from waiting for CPU."""
    accepted: Floats
    """Share of arrivals that were let in."""
    attempts: Floats
    """(edges,) attempts per call."""
    leaked_mib: Floats
    leaked_slots: Floats
    """Worker slots per replica that never come back before a restart."""
    cache_hit: Floats
    steal: Floats
    """(pools,) slowdown by contention for the node's CPU."""

    @classmethod
    def fresh(cls, plant: Plant, ready: Floats) -> "PlantState":
        """A warm, idle plant."""
        size, edges = plant.graph.size, len(plant.graph.caller)
        return cls(
            ready=ready.astype(np.float64),
            backlog=np.zeros(size),
            hold_s=(plant.cpu_ms + plant.io_ms) / 1000.0,
            accepted=np.ones(size),
            attempts=np.ones(edges),
            leaked_mib=np.zeros(size),
            leaked_slots=np.zeros(size),
            cache_hit=plant.cache_hit.copy(),
            steal=np.ones(len(plant.pool_cores)),
        )

    def copy(self) -> "PlantState":
        """A copy whose arrays may be written."""
        return replace(self, **{f.name: getattr(self, f.name).copy() for f in fields(self)})


@dataclass(slots=True)
class Readings:
    """What one step did; arrays are (workloads,)."""

    request_rate: Floats
    error_share: Floats
    latency_mean_ms: Floats
    latency_p50_ms: Floats
    latency_p95_ms: Floats
    slow_share: Floats
    """Requests above the latency objective."""
    cpu_cores: Floats
    cpu_utilisation: Floats
    """Of the request, as the autoscaler sees it."""
    memory_mib: Floats
    pool_use: Floats
    cache_hit: Floats
    rejected: Floats
    """Share turned away because all slots were held by requests waiting for their callees."""
    shed: Floats
    """Share dropped because all slots were filled by requests waiting for CPU."""
    timed_out: Floats
    """Expected downstream calls per request that ran into the timeout."""
    downstream_failed: Floats
    """Share of requests failed by a callee."""
    oom: Floats
    """1 where the memory limit was hit in this step."""
    self_ms: Floats
    """Mean time in the service itself, queue included."""
    own_failed: Floats
    tls_refused: Floats
    lock_waiters: Floats | None = None
    """Requests waiting for a lock; None where nobody shares one."""
