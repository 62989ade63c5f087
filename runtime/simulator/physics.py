"""One step of the plant: load flows down the call graph, stations queue, answers and failures flow up.

A service is a CPU station (G/G/c) followed by a pure delay; overload beyond the steady state is a fluid backlog.
Means and variances of response times add along the calls (Whitt's QNA decomposition, 1983), read as a lognormal.
Sources stand at each formula; docs/simulator.md tells the whole model.
"""

from dataclasses import dataclass

import numpy as np

from runtime.simulator.flow import Layer
from runtime.simulator.plant import Plant, PlantState, Readings
from runtime.simulator.queueing import (
    STABLE_UTILISATION,
    Z95,
    Floats,
    attempts_until_success,
    lognormal_shape,
    share_above,
    wait_moments,
)

# Collector cost rises in the last fifth of the heap (shape of published heap-size studies: Blackburn et al., 2004).
GC_FROM, GC_COST = 0.8, 5.0
# Node CPU use from which everybody on the pool waits in run queues.
CONTENTION_FROM = 0.75
# After an out-of-memory kill the new processes start with this share of the headroom leaked away: kills are staggered.
OOM_STAGGER = 0.3
# Requests in flight on a killed replica fail; share of one step's requests.
OOM_FAILED = 0.12
# Slots are never filled exactly; a pool turns requests away from about this use (connection-pool practice).
SLOT_LIMIT = 0.95


@dataclass(slots=True)
class _Station:
    queue_s: Floats
    """Wait for CPU."""
    own_s: Floats
    variance: Floats
    rejected: Floats
    shed: Floats
    slots_used: Floats
    cores_used: Floats
    lock_waiters: Floats | None


def advance(plant: Plant, state: PlantState, demand: Floats, dt_s: float) -> Readings:
    """Advance `state` in place by one step of `dt_s` under external `demand` (requests per second per workload)."""
    graph = plant.graph
    miss = np.where(plant.cached_edge > 0, (1.0 - state.cache_hit[graph.caller]), 1.0)
    sent = plant.route * state.attempts * miss
    arrivals = graph.push_down(demand, sent if plant.undisturbed else sent * plant.reach(), state.accepted)
    memory = _memory(plant, state, arrivals, dt_s)
    station = _station(plant, state, arrivals, memory, dt_s)
    oom = (memory >= plant.memory_limit_mib).astype(np.float64)
    own = 1.0 - (
        (1.0 - plant.error_share)
        * (1.0 - plant.tls_failure)
        * (1.0 - station.shed)
        * (1.0 - station.rejected)
        * (1.0 - OOM_FAILED * oom)
    )
    answer = _Answers(plant, state, miss, station, own)
    for layer in reversed(graph.layers):
        answer.fold(layer)
    _remember(plant, state, arrivals, station, answer, oom, dt_s)
    median, sigma = lognormal_shape(answer.mean, answer.variance)
    return Readings(
        request_rate=arrivals,
        error_share=answer.failure,
        latency_mean_ms=answer.mean * 1000.0,
        latency_p50_ms=median * 1000.0,
        latency_p95_ms=median * np.exp(Z95 * sigma) * 1000.0,
        slow_share=share_above(plant.slo_latency_ms / 1000.0, median, sigma),
        cpu_cores=station.cores_used,
        cpu_utilisation=station.cores_used / np.maximum(state.ready * plant.cores, 1e-9),
        memory_mib=np.minimum(memory, plant.memory_limit_mib),
        pool_use=station.slots_used,
        cache_hit=state.cache_hit.copy(),
        rejected=station.rejected,
        shed=station.shed,
        timed_out=answer.timed_out,
        downstream_failed=answer.downstream,
        oom=oom,
        self_ms=(station.queue_s + station.own_s) * 1000.0,
        own_failed=plant.error_share,
        tls_refused=plant.tls_failure,
        lock_waiters=station.lock_waiters,
    )


def _memory(plant: Plant, state: PlantState, arrivals: Floats, dt_s: float) -> Floats:
    """Memory per replica: base + in-flight requests (Little's law) + what leaked since the start."""
    per_replica = arrivals / np.maximum(state.ready, 1.0)
    state.leaked_mib += plant.leak_mib_per_krequest * per_replica * dt_s / 1000.0
    inflight = np.minimum(per_replica * state.hold_s, plant.workers)
    return plant.memory_base_mib + plant.memory_per_inflight_mib * inflight + state.leaked_mib


def _station(plant: Plant, state: PlantState, arrivals: Floats, memory: Floats, dt_s: float) -> _Station:
    """Admission by worker slots, then the CPU queue: steady-state G/G/c up to `STABLE_UTILISATION`, backlog beyond.

    Slots bound throughput to slots / hold time (Little's law) and the backlog to the slots that are left.
    """
    slots = np.maximum(state.ready * (plant.workers - state.leaked_slots), 0.05)
    rejected = np.clip(1.0 - SLOT_LIMIT * slots / np.maximum(arrivals * state.hold_s, 1e-9), 0.0, 0.98)
    rejected = np.where(state.ready < 0.5, 0.98, rejected)
    served = arrivals * (1.0 - rejected)
    limit = plant.cores * plant.burst
    per_core = np.maximum(np.round(limit), 1.0)
    pressure = np.clip((memory / plant.memory_limit_mib - GC_FROM) / (1.0 - GC_FROM), 0.0, 1.0)
    busy_s = plant.cpu_ms / 1000.0 * (1.0 + GC_COST * pressure * pressure)
    service_s = busy_s * state.steal[plant.pool] * per_core / limit
    servers = np.maximum(state.ready * per_core, 0.05)
    capacity = servers / service_s
    stable = np.minimum(served / capacity, STABLE_UTILISATION)
    wait, variance = wait_moments(servers, stable, service_s, 0.5 * (1.0 + plant.variability))
    waiting = None
    if plant.serial_ms.any():
        capacity, waiting = _one_at_a_time(plant, served, capacity)
        wait, variance = wait + waiting[0], variance + waiting[1]
    growth = state.backlog + (served - capacity) * dt_s
    held = np.minimum(served, capacity) * state.hold_s
    room = np.maximum(slots - held, 0.1 * slots)
    state.backlog = np.clip(growth, 0.0, room)
    shed = np.clip((growth - room) / np.maximum(served * dt_s, 1e-9), 0.0, 1.0)
    queue = np.minimum(wait, room / capacity) + state.backlog / capacity
    own = service_s + plant.io_ms / 1000.0
    leaked = state.leaked_slots / plant.workers
    used = np.minimum((held + np.minimum(served, capacity) * queue) / slots, 1.0)
    return _Station(
        queue_s=queue,
        own_s=own,
        variance=variance + plant.variability * own * own,
        rejected=rejected,
        shed=shed,
        slots_used=leaked + (1.0 - leaked) * used,
        cores_used=np.minimum(served, capacity) * busy_s + plant.background_cores,
        lock_waiters=None if waiting is None else _at_lock(plant, np.minimum(served, capacity), waiting[0], state),
    )


def _one_at_a_time(plant: Plant, served: Floats, capacity: Floats) -> tuple[Floats, tuple[Floats, Floats]]:
    """The lock as a second station with one server (M/G/1): capacity is that of the narrower of the two.

    Returns the capacity, and mean (s) and variance (s2) of the wait for the lock.
    """
    serial_s = plant.serial_ms / 1000.0
    held = np.minimum(served * serial_s, STABLE_UTILISATION)
    waits = wait_moments(np.ones_like(held), held, serial_s, 0.5 * (1.0 + plant.variability))
    return np.minimum(capacity, 1.0 / np.maximum(serial_s, 1e-9)), waits


def _at_lock(plant: Plant, through: Floats, wait_s: Floats, state: PlantState) -> Floats:
    """Requests that wait for the lock: by Little's law while it keeps up, and the backlog where it does not."""
    return np.where(plant.serial_ms > 0.0, through * wait_s + state.backlog, 0.0)


class _Way:
    """What happens to calls between caller and callee, per edge; built only where something does."""

    def __init__(self, plant: Plant) -> None:
        self.mean_s = plant.way_ms / 1000.0
        self.variance = (plant.jitter_ms / 1000.0) ** 2
        self.reach, self.unreachable = plant.reach(), plant.unreachable


class _Answers:
    """Response moments and failure shares, folded from the leaves up, one layer of callers at a time."""

    def __init__(self, plant: Plant, state: PlantState, miss: Floats, station: _Station, own: Floats) -> None:
        self.plant, self.state = plant, state
        caller = plant.graph.caller
        self.calls = plant.graph.per_call * plant.route * miss
        self.timeout_s = plant.timeout_ms[caller] / 1000.0
        self.retries = plant.retries[caller]
        self.budget = 1.0 + plant.retry_budget[caller]
        self.mean, self.variance = station.queue_s + station.own_s, station.variance
        self.failure = own
        self.timed_out = np.zeros_like(own)
        self.downstream = np.zeros_like(own)
        self.way = None if plant.undisturbed else _Way(plant)

    def fold(self, layer: Layer) -> None:
        """Add what callees answer to their callers: mean, variance, failures, timeouts and retry attempts."""
        plant, edges = self.plant, layer.edges
        callee = plant.graph.callee[edges]
        calls = self.calls[edges]
        mean, variance = self.mean[callee], self.variance[callee]
        timeout, retries, budget = self.timeout_s[edges], self.retries[edges], self.budget[edges]
        if self.way is not None:
            mean, variance = mean + self.way.mean_s[edges], variance + self.way.variance[edges]
        median, sigma = lognormal_shape(mean, variance)
        late = share_above(timeout, median, sigma)
        failed = 1.0 - (1.0 - self.failure[callee]) * (1.0 - late)
        if self.way is not None:
            reach, unreachable = self.way.reach[edges], self.way.unreachable[edges]
            failed, late = 1.0 - reach * (1.0 - failed), reach * late
            # What is not resolved or turned away is known at once; what gets no answer costs the whole timeout.
            mean, variance = reach * np.minimum(mean, timeout) + unreachable * timeout, reach * variance
        attempts = np.minimum(attempts_until_success(failed, retries), budget)
        self.state.attempts[edges] = attempts
        lost = np.where(attempts < budget, failed ** (retries + 1.0), failed)
        spent = calls * attempts
        starts, callers = layer.starts, layer.callers
        self.mean[callers] += np.add.reduceat(spent * np.minimum(mean, timeout), starts)
        self.variance[callers] += np.add.reduceat(spent * np.minimum(variance, timeout * timeout), starts)
        self.timed_out[callers] += np.add.reduceat(calls * late, starts)
        share = np.minimum(calls * plant.graph.weight[edges] * lost, 1.0 - 1e-9)
        survived = np.exp(np.add.reduceat(np.log1p(-share), starts))
        self.downstream[callers] = 1.0 - survived
        self.failure[callers] = 1.0 - (1.0 - self.failure[callers]) * survived


def _remember(
    plant: Plant, state: PlantState, arrivals: Floats, station: _Station, answer: _Answers, oom: Floats, dt_s: float
) -> None:
    """Carry slot holding, admission, cache warmth, contention and out-of-memory restarts to the next step."""
    # Admission and holding feed back on each other; averaging two steps keeps the fixed point and stops ringing.
    state.hold_s = 0.5 * (state.hold_s + answer.mean - station.queue_s)
    state.accepted = 0.5 * (state.accepted + (1.0 - station.rejected) * (1.0 - station.shed))
    filled = 1.0 - np.exp(-arrivals * (1.0 - answer.downstream) * dt_s / plant.cache_fill_requests)
    state.cache_hit += (plant.cache_hit - state.cache_hit) * filled
    pools = len(plant.pool_cores)
    used = np.bincount(plant.pool, station.cores_used, pools) / plant.pool_cores
    state.steal = 1.0 + plant.contention * np.maximum(used - CONTENTION_FROM, 0.0)
    if oom.any():
        headroom = plant.memory_limit_mib - plant.memory_base_mib
        state.leaked_mib = np.where(oom > 0, OOM_STAGGER * np.minimum(state.leaked_mib, headroom), state.leaked_mib)
        state.leaked_slots = np.where(oom > 0, 0.0, state.leaked_slots)
