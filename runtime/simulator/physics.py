"""One step of the plant: load flows down the call graph, stations queue, answers and failures flow up.

A service is a CPU station (G/G/c) followed by a pure delay; overload beyond the steady state is a fluid backlog.
Means and variances of response times add along the calls (Whitt's QNA decomposition, 1983), read as a lognormal.
Sources stand at each formula; docs/simulator.md tells the whole model.
"""

from dataclasses import dataclass

import numpy as np

from runtime.simulator.answers import Answers
from runtime.simulator.plant import Plant, PlantState, Readings
from runtime.simulator.prepared import Prepared
from runtime.simulator.queueing import STABLE_UTILISATION, Z95, Floats, share_beyond, spread, wait_moments

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


def advance(plant: Plant, state: PlantState, demand: Floats, dt_s: float, prepared: Prepared | None = None) -> Readings:
    """Advance `state` in place by one step of `dt_s` under external `demand` (requests per second per workload).

    `prepared` belongs to this plant as it is; who runs many steps of one plant prepares it once.
    """
    ready = prepared or Prepared(plant)
    calls = ready.calls
    if ready.cached is not None:
        calls = calls * (1.0 - ready.cached * state.cache_hit[plant.graph.caller])
    sent = calls * state.attempts
    arrivals = plant.graph.push_down(demand, sent if plant.undisturbed else sent * plant.reach(), state.accepted)
    memory = _memory(plant, ready, state, arrivals, dt_s)
    station = _station(plant, ready, state, arrivals, memory, dt_s)
    oom = (memory >= plant.memory_limit_mib).astype(np.float64)
    sound = ready.sound * (1.0 - station.shed) * (1.0 - station.rejected) * (1.0 - OOM_FAILED * oom)
    self_s = station.queue_s + station.own_s
    answers = Answers(plant, ready, calls, self_s, station.variance, sound)
    answers.fold_all(state)
    _remember(plant, state, arrivals, station, answers, oom, dt_s)
    sigma2 = spread(answers.mean_s, answers.variance)
    median_ms = answers.mean_s * np.exp(-0.5 * sigma2) * 1000.0
    return Readings(
        request_rate=arrivals,
        error_share=answers.failure,
        latency_mean_ms=answers.mean_s * 1000.0,
        latency_p50_ms=median_ms,
        latency_p95_ms=median_ms * np.exp(Z95 * np.sqrt(sigma2)),
        slow_share=share_beyond(ready.log_slo, answers.mean_s, answers.variance),
        cpu_cores=station.cores_used,
        cpu_utilisation=station.cores_used / np.maximum(state.ready * plant.cores, 1e-9),
        memory_mib=np.minimum(memory, plant.memory_limit_mib),
        pool_use=station.slots_used,
        cache_hit=state.cache_hit,
        rejected=station.rejected,
        shed=station.shed,
        timed_out=answers.late,
        downstream_failed=answers.downstream,
        oom=oom,
        self_ms=self_s * 1000.0,
        own_failed=plant.error_share,
        tls_refused=plant.tls_failure,
        lock_waiters=station.lock_waiters,
    )


def _memory(plant: Plant, ready: Prepared, state: PlantState, arrivals: Floats, dt_s: float) -> Floats:
    """Memory per replica: base + in-flight requests (Little's law) + what leaked since the start."""
    per_replica = arrivals / np.maximum(state.ready, 1.0)
    if ready.leaks:
        state.leaked_mib += ready.leak_mib_per_request * per_replica * dt_s
    inflight = np.minimum(per_replica * state.hold_s, plant.workers)
    return plant.memory_base_mib + plant.memory_per_inflight_mib * inflight + state.leaked_mib


def _station(
    plant: Plant, ready: Prepared, state: PlantState, arrivals: Floats, memory: Floats, dt_s: float
) -> _Station:
    """Admission by worker slots, then the CPU queue: steady-state G/G/c up to `STABLE_UTILISATION`, backlog beyond.

    Slots bound throughput to slots / hold time (Little's law) and the backlog to the slots that are left.
    """
    slots = np.maximum(state.ready * (plant.workers - state.leaked_slots), 0.05)
    rejected = 1.0 - SLOT_LIMIT * slots / np.maximum(arrivals * state.hold_s, 1e-9)
    rejected = np.minimum(np.maximum(rejected, 0.0), 0.98)
    none_left = state.ready < 0.5
    if none_left.any():
        rejected[none_left] = 0.98
    served = arrivals * (1.0 - rejected)
    busy_s = ready.busy_s * _collecting(plant, memory)
    service_s = busy_s * state.steal[plant.pool] * ready.stretch
    servers = np.maximum(state.ready * ready.per_core, 0.05)
    capacity = servers / service_s
    if ready.queued:
        rejected, capacity = _queued_outside(plant, state, slots, rejected, capacity)
        served = arrivals * (1.0 - rejected)
    stable = np.minimum(served / capacity, STABLE_UTILISATION)
    wait, variance = wait_moments(servers, stable, service_s, ready.noise)
    waiting = None
    if ready.locked:
        capacity, waiting = _one_at_a_time(plant, served, capacity)
        wait, variance = wait + waiting[0], variance + waiting[1]
    growth = state.backlog + (served - capacity) * dt_s
    through = np.minimum(served, capacity)
    held = through * state.hold_s
    room = np.maximum(slots - held, 0.1 * slots) + state.ready * plant.surge_queue
    state.backlog = np.minimum(np.maximum(growth, 0.0), room)
    shed = np.minimum(np.maximum((growth - room) / np.maximum(served * dt_s, 1e-9), 0.0), 1.0)
    queue = np.minimum(wait, room / capacity) + state.backlog / capacity
    own = service_s + ready.io_s
    leaked = state.leaked_slots / plant.workers
    used = np.minimum((held + through * queue) / slots, 1.0)
    return _Station(
        queue_s=queue,
        own_s=own,
        variance=variance + plant.variability * own * own,
        rejected=rejected,
        shed=shed,
        slots_used=leaked + (1.0 - leaked) * used,
        cores_used=through * busy_s + plant.background_cores,
        lock_waiters=None if waiting is None else _at_lock(plant, through, waiting[0], state),
    )


def _collecting(plant: Plant, memory: Floats) -> Floats | float:
    """How much longer work takes while the collector runs for want of memory."""
    filled = memory / plant.memory_limit_mib
    if filled.max() <= GC_FROM:
        return 1.0
    pressure = np.minimum(np.maximum((filled - GC_FROM) / (1.0 - GC_FROM), 0.0), 1.0)
    return 1.0 + GC_COST * pressure * pressure


def _queued_outside(
    plant: Plant, state: PlantState, slots: Floats, rejected: Floats, capacity: Floats
) -> tuple[Floats, Floats]:
    """Where requests may wait outside for a slot nobody is rejected for it: slots bound the capacity instead."""
    queued = (plant.surge_queue > 0.0) & (state.ready >= 0.5)
    through = SLOT_LIMIT * slots / np.maximum(state.hold_s, 1e-9)
    return np.where(queued, 0.0, rejected), np.where(queued, np.minimum(capacity, through), capacity)


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


def _remember(
    plant: Plant, state: PlantState, arrivals: Floats, station: _Station, answer: Answers, oom: Floats, dt_s: float
) -> None:
    """Carry slot holding, admission, cache warmth, contention and out-of-memory restarts to the next step."""
    # Admission and holding feed back on each other; averaging two steps keeps the fixed point and stops ringing.
    state.hold_s = 0.5 * (state.hold_s + answer.mean_s - station.queue_s)
    state.accepted = 0.5 * (state.accepted + (1.0 - station.rejected) * (1.0 - station.shed))
    filled = 1.0 - np.exp(-arrivals * (1.0 - answer.downstream) * dt_s / plant.cache_fill_requests)
    state.cache_hit = state.cache_hit + (plant.cache_hit - state.cache_hit) * filled
    pools = len(plant.pool_cores)
    used = np.bincount(plant.pool, station.cores_used, pools) / plant.pool_cores
    state.steal = 1.0 + plant.contention * np.maximum(used - CONTENTION_FROM, 0.0)
    if oom.any():
        headroom = plant.memory_limit_mib - plant.memory_base_mib
        state.leaked_mib = np.where(oom > 0, OOM_STAGGER * np.minimum(state.leaked_mib, headroom), state.leaked_mib)
        state.leaked_slots = np.where(oom > 0, 0.0, state.leaked_slots)
