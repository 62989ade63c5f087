"""Fit a plant to readings: demand, work per request, call counts, own delay and own failures of every service.

Inputs are what any reader gets: topology, desired state, metric windows, the change feed. The utilisation law gives CPU
per request, and a fixed-point pass through the physics splits what is a service's own from what it inherits. No world,
fault or seed is visible from here.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.simulator.flow import Ints
from runtime.simulator.layout import Layout
from runtime.simulator.live import Live
from runtime.simulator.physics import GC_COST, GC_FROM, SLOT_LIMIT, advance
from runtime.simulator.plant import Plant, PlantState, Readings
from runtime.simulator.prepared import Prepared
from runtime.simulator.queueing import Z95, Floats, attempts_until_success
from runtime.simulator.windowed import Reading

# Passes of the fixed point; each level of the call graph needs one, and real graphs are shallow.
PASSES = 20
# Share of a gap closed per pass: queues answer to delay and spread, so closing all of it at once would ring.
GAIN = 0.6
CPU_FULL, SLOTS_FULL = 0.93, 0.9
# Highest share of its limit at which memory is fitted: what kills cost is in the observed errors already.
BELOW_LIMIT = 0.99
# With kills read and memory steady from this share on, the working set itself does not fit.
TIGHT = 0.95
# Physics steps per pass until queues, slots and admission settle.
SETTLE = 12
STEP_S = 10.0


Flags = NDArray[np.bool_]


@dataclass(slots=True)
class Fitted:
    """Arrays per workload (services split evenly over their regions) that make a healthy `Plant` the observed one."""

    cpu_ms: Floats
    io_ms: Floats
    variability: Floats
    error_share: Floats
    memory_base_mib: Floats
    leak_mib_per_krequest: Floats
    leaked_mib: Floats
    leaked_slots: Floats
    demand: Floats
    ready: Floats
    desired: Floats
    missing: Floats
    """Desired replicas that nothing is bringing back."""
    failing: Floats
    """Observed failures, however caused: what callers retry from the first step on."""
    strange: Floats
    """Log ratio of fitted to read p95, as a distance: what the model cannot make this service do."""
    quality: float
    """Share of the variance over services of log p95 and of load that the fitted plant explains."""


def fit(  # what is fitted, to what, and from where
    layout: Layout, live: Live, readings: dict[str, Reading], per_region: Floats, *,
    prior: Fitted | None = None, changed: str = "",
) -> Fitted:  # fmt: skip
    """Fit all workloads to one window; `per_region` (workloads,) is the share of a service's ready replicas here.

    A full service shows its limits, not its work, and one that is being scaled the queue it had: delay, spread and own
    failures of these and of their callers are taken from `prior` (an earlier fit), unless it is the service whose
    behaviour is known to have `changed` since.
    """
    owner, rows = layout.service_of, layout.rows
    regions = np.array([len(s.regions) for s in rows], dtype=np.float64)
    read = [readings[s.address] for s in rows]
    plant = live.plant(0.0)
    rate = np.array([_or(r.rate, 0.0) for r in read]) / regions
    desired = np.array([_or(r.desired, 2.0 * n) / n for r, n in zip(read, regions, strict=True)])
    total_ready = np.array([_or(r.ready, d * n) for r, d, n in zip(read, desired, regions, strict=True)])
    memory = np.array([_or(r.memory_mib, p * 0.3) for r, p in zip(read, plant.memory_limit_mib, strict=True)])
    # While parameters are fitted, memory is held at what was read; a full one counts as just not killed.
    memory = np.minimum(memory, BELOW_LIMIT * plant.memory_limit_mib)
    per_inflight, plant.memory_per_inflight_mib = plant.memory_per_inflight_mib, np.zeros(layout.size)
    per_replica = rate * regions / np.maximum(total_ready, 1.0)
    # A service that lost a region's replicas fails there as a full one does.
    uneven = np.abs(per_region * regions - 1.0) > 0.05
    full = np.array([_full(r, limit) for r, limit in zip(read, plant.burst, strict=True)]) | uneven
    failing = np.array([_or(r.errors, 0.0) for r in read])
    served = rate * regions * np.where(full, 1.0 - failing, 1.0)
    fitted = Fitted(
        cpu_ms=_cpu_ms(plant, read, served, memory),
        io_ms=np.array([_or(r.mean_s, 0.005) * 250.0 for r in read]),
        variability=np.ones(layout.size),
        error_share=np.zeros(layout.size),
        memory_base_mib=memory,
        leak_mib_per_krequest=np.zeros(layout.size),
        leaked_mib=np.zeros(layout.size),
        leaked_slots=np.zeros(layout.size),
        demand=_own_demand(plant, rate, np.array([s.demand_rps > 0.0 for s in rows])),
        ready=total_ready * per_region,
        desired=desired,
        missing=np.zeros(layout.size),
        failing=failing,
        strange=np.zeros(layout.size),
        quality=0.0,
    )
    inherited = full | np.array([r.moving for r in read])
    inherited = _with_callers(plant, inherited) & np.array([s.id != changed for s in rows])
    if prior is not None:
        _inherit(fitted, prior, inherited, inherited & ~uneven)
        fitted.leaked_slots = np.where(full & inherited, _leaked_slots(plant, read, served, total_ready), 0.0)
    _calibrate(plant, fitted, read, inherited if prior is not None else np.zeros_like(full), owner)
    fitted.quality = _quality(plant, fitted, read, owner)
    leak = np.array([r.leak_mib_per_s for r in read])
    fitted.leak_mib_per_krequest = 1000.0 * leak / np.maximum(per_replica, 1e-6)
    _start_from_newest(fitted, read, per_region, owner, plant.memory_limit_mib)
    held = np.minimum(per_replica * np.array([_or(r.mean_s, 0.0) for r in read]), plant.workers)
    fitted.memory_base_mib = fitted.memory_base_mib - per_inflight * held
    return fitted


def _inherit(fitted: Fitted, prior: Fitted, own: Flags, work: Flags) -> None:
    """Take delay, spread and failures of `own` and CPU work of `work` from an earlier fit."""
    fitted.cpu_ms = np.where(work, prior.cpu_ms, fitted.cpu_ms)
    fitted.io_ms = np.where(own, prior.io_ms, fitted.io_ms)
    fitted.variability = np.where(own, prior.variability, fitted.variability)
    fitted.error_share = np.where(own, prior.error_share, fitted.error_share)


def _start_from_newest(fitted: Fitted, read: list[Reading], per_region: Floats, owner: Ints, limit_mib: Floats) -> None:
    """Replicas and memory are where the newest sample has them: the horizon starts there, not in mid-window."""
    regions = _total(np.ones_like(per_region), owner)
    fitted.desired = np.array([_or(r.desired_now, np.nan) for r in read]) / regions
    fitted.desired = np.where(np.isfinite(fitted.desired), fitted.desired, fitted.ready)
    ready = np.array([_or(r.ready_now, np.nan) for r in read]) * per_region
    fitted.ready = np.where(np.isfinite(ready), ready, fitted.desired)
    short = np.maximum(fitted.desired - fitted.ready, 0.0)
    gone = np.array([_or(r.missing, 0.0) for r in read])
    fitted.missing = np.minimum(short, gone * short / np.maximum(_total(short, owner), 1e-9))
    newest = np.array([_or(r.memory_now_mib, m) for r, m in zip(read, fitted.memory_base_mib, strict=True)])
    killed = np.array([r.killed > 0.0 and r.leak_mib_per_s == 0.0 for r in read]) & (newest > TIGHT * limit_mib)
    fitted.memory_base_mib = np.where(killed, limit_mib, np.minimum(newest, BELOW_LIMIT * limit_mib))


def _total(values: Floats, owner: Ints) -> Floats:
    """Sum over each service's workloads, told to each of them."""
    return np.asarray(np.bincount(owner, values)[owner], dtype=np.float64)


def _mean(values: Floats, weight: Floats, owner: Ints) -> Floats:
    """Mean over each service's workloads by `weight`: what its monitoring shows."""
    weight = weight + 1e-9
    return _total(values * weight, owner) / _total(weight, owner)


def _with_callers(plant: Plant, these: Flags) -> Flags:
    """Add whoever waits for them, directly or through others; calls form no cycle."""
    graph = plant.graph
    for _ in graph.layers:
        these = these | (np.bincount(graph.caller, these[graph.callee] * graph.per_call, graph.size) > 0.05)
    return these


def _full(read: Reading, limit: float) -> bool:
    """Whether the service has no CPU or no slots left; beyond nine tenths both turn requests away."""
    return read.cpu > CPU_FULL * min(limit, 1.0) or read.slots > SLOTS_FULL


def _or(value: float, default: float) -> float:
    return value if np.isfinite(value) else default


def _cpu_ms(plant: Plant, read: list[Reading], served: Floats, memory: Floats) -> Floats:
    """Utilisation law U = X S: CPU seconds used over requests served; collector work is taken out again."""
    seconds = np.array([r.busy for r in read]) * plant.cores / np.maximum(served, 1e-6)
    pressure = np.clip((memory / plant.memory_limit_mib - GC_FROM) / (1.0 - GC_FROM), 0.0, 1.0)
    return np.where(np.isfinite(seconds), np.maximum(seconds * 1000.0, 0.05), 1.0) / (1.0 + GC_COST * pressure**2)


def _own_demand(plant: Plant, rate: Floats, open_: Flags) -> Floats:
    """What arrives at a service and none of its callers explains: demand from outside or from callers not in view."""
    graph = plant.graph
    flow = rate[graph.caller] * graph.per_call * plant.route
    explained = np.bincount(graph.callee, flow, graph.size)
    called = np.bincount(graph.callee, minlength=graph.size) > 0
    return np.where(called & ~open_, 0.0, np.maximum(rate - explained, 0.0))


def _calibrate(plant: Plant, fitted: Fitted, read: list[Reading], fixed: Flags, owner: Ints) -> None:
    """Fixed point: move own delay, spread and failures until the physics shows the observed latency and errors.

    Readings are a service's over its regions, so it is the mean over its workloads that is compared.
    """
    target_mean = np.array([_or(r.mean_s, np.nan) for r in read])
    target_variance = np.array([_or(r.variance_s2, np.nan) for r in read])
    target_errors = np.array([_or(r.errors, np.nan) for r in read])
    install(plant, fitted)
    for _ in range(PASSES):
        state = fresh_state(plant, fitted)
        seen = _settle(plant, state, fitted)
        p50, p95 = (_mean(v, seen.request_rate, owner) for v in (seen.latency_p50_ms, seen.latency_p95_ms))
        mean, variance = _moments(p50, p95)
        errors = _mean(seen.error_share, seen.request_rate, owner)
        gap = np.nan_to_num(target_mean - mean)
        moved = np.clip(fitted.io_ms + 1000.0 * GAIN * gap, 0.1, 60_000.0)
        fitted.io_ms = np.where(fixed, fitted.io_ms, moved)
        own = (fitted.io_ms + fitted.cpu_ms) / 1000.0
        missing = np.nan_to_num(target_variance - variance)
        moved = np.clip(fitted.variability + 0.5 * GAIN * missing / np.maximum(own * own, 1e-9), 0.05, 4.0)
        fitted.variability = np.where(fixed, fitted.variability, moved)
        survived = (1.0 - np.nan_to_num(target_errors)) / np.maximum(1.0 - errors, 1e-6)
        moved = np.clip(1.0 - (1.0 - fitted.error_share) * survived, 0.0, 0.999)
        fitted.error_share = np.where(fixed, fitted.error_share, moved)
        _soften(plant, _mean(seen.downstream_failed, seen.request_rate, owner), target_errors)
        install(plant, fitted)


def _settle(plant: Plant, state: PlantState, fitted: Fitted) -> Readings:
    ready = Prepared(plant)
    for _ in range(SETTLE - 1):
        advance(plant, state, fitted.demand, STEP_S, ready)
    return advance(plant, state, fitted.demand, STEP_S, ready)


def _leaked_slots(plant: Plant, read: list[Reading], served: Floats, ready: Floats) -> Floats:
    """Slots that are taken although no request needs them: all of the pool but what is in flight (Little's law)."""
    inflight = served * np.array([_or(r.mean_s, 0.0) for r in read]) / np.maximum(ready, 1.0)
    idle = np.array([r.slots > SLOTS_FULL and r.cpu < CPU_FULL for r in read])
    return np.where(idle & (inflight < 0.5 * plant.workers), plant.workers - inflight / SLOT_LIMIT, 0.0)


def _soften(plant: Plant, downstream: Floats, observed: Floats) -> None:
    """Where callees' failures would fail more requests than were seen to fail, the caller degrades instead."""
    graph = plant.graph
    too_much = downstream > 1.05 * np.nan_to_num(observed) + 0.002
    keep = np.where(too_much, np.nan_to_num(observed) / np.maximum(downstream, 1e-9), 1.0)
    graph.weight[:] = graph.weight * keep[graph.caller]


def install(plant: Plant, fitted: Fitted) -> None:
    """Write the fitted arrays into a plant."""
    plant.cpu_ms, plant.io_ms, plant.variability = fitted.cpu_ms, fitted.io_ms, fitted.variability
    plant.error_share, plant.memory_base_mib = fitted.error_share, fitted.memory_base_mib
    plant.leak_mib_per_krequest = fitted.leak_mib_per_krequest
    plant.tls_failure = np.zeros_like(fitted.cpu_ms)


def fresh_state(plant: Plant, fitted: Fitted, *, copies: int = 1) -> PlantState:
    """The plant's state as it was when the readings were taken; `plant` may be several copies side by side."""
    state = PlantState.fresh(plant, np.tile(fitted.ready, copies))
    state.leaked_mib = np.tile(fitted.leaked_mib, copies)
    state.leaked_slots = np.minimum(np.tile(fitted.leaked_slots, copies), plant.workers - 0.05)
    failing = np.tile(fitted.failing, copies)[plant.graph.callee]
    attempts = attempts_until_success(failing, plant.retries[plant.graph.caller])
    state.attempts = np.minimum(attempts, 1.0 + plant.retry_budget[plant.graph.caller])
    return state


def _moments(p50_ms: Floats, p95_ms: Floats) -> tuple[Floats, Floats]:
    """Mean (s) and variance (s2) of the lognormal through two quantiles."""
    sigma = np.log(np.maximum(p95_ms / np.maximum(p50_ms, 1e-6), 1.0001)) / Z95
    mean = p50_ms / 1000.0 * np.exp(0.5 * sigma * sigma)
    return mean, mean * mean * (np.exp(sigma * sigma) - 1.0)


def _quality(plant: Plant, fitted: Fitted, read: list[Reading], owner: Ints) -> float:
    """R2 over services of log p95 and of log rate, the smaller: the plant as fitted against what was read."""
    seen = _settle(plant, fresh_state(plant, fitted), fitted)
    slow_s = _mean(seen.latency_p95_ms, seen.request_rate, owner) / 1000.0
    fitted.strange = np.array([abs(np.log(max(r.p95_s, 1e-6) / s)) if r.complete else 0.0
                               for r, s in zip(read, slow_s, strict=True)])  # fmt: skip
    first = np.zeros(len(owner), dtype=np.bool_)
    first[np.unique(owner, return_index=True)[1]] = True
    known = np.array([r.complete and r.rate > 0.0 for r in read]) & first
    if known.sum() < 3:
        return 0.0
    p95 = np.array([max(r.p95_s, 1e-6) for r in read])[known]
    rate = np.array([max(r.rate, 1e-6) for r in read])[known]
    shown = _total(seen.request_rate, owner)[known]
    slow = _r2(np.log(p95), np.log(slow_s[known]))
    return max(0.0, min(slow, _r2(np.log(rate), np.log(np.maximum(shown, 1e-6)))))


def _r2(observed: Floats, shown: Floats) -> float:
    spread = float(((observed - observed.mean()) ** 2).sum())
    return 1.0 - float(((observed - shown) ** 2).sum()) / max(spread, 1e-9)
