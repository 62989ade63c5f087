"""Fit a plant to readings: demand, work per request, call counts, own delay and own failures of every service.

Inputs are what any reader gets: topology, desired state, metric windows, the change feed. The utilisation law gives CPU
per request, regression gives calls per request, and a fixed-point pass through the physics splits what is a service's
own from what it inherits. No world, fault or seed is visible from here.
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from domain.evidence import EvidencePack
from runtime.simulator.layout import Layout
from runtime.simulator.live import Live
from runtime.simulator.physics import GC_COST, GC_FROM, SLOT_LIMIT, advance
from runtime.simulator.plant import Plant, PlantState, Readings
from runtime.simulator.queueing import Z95, Floats
from runtime.simulator.windowed import Reading, samples

# Passes of the fixed point; each level of the call graph needs one, and real graphs are shallow.
PASSES = 20
# Share of a gap closed per pass: queues answer to delay and spread, so closing all of it at once would ring.
GAIN = 0.6
CPU_FULL, SLOTS_FULL = 0.93, 0.9
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
    quality: float
    """Share of the variance over services of log p95 and of load that the fitted plant explains."""


def calls_per_request(pack: EvidencePack, callee: str, callers: list[str], start: datetime, end: datetime) -> Floats:
    """Non-negative least squares of the callee's rate on its callers' rates over [start, end), by Lee-Seung updates."""
    rates = [_rate_samples(pack, name, start, end) for name in [callee, *callers]]
    length = min(len(r) for r in rates)
    if length == 0:
        return np.zeros(len(callers))
    target, inputs = rates[0][-length:], np.stack([r[-length:] for r in rates[1:]], axis=1)
    total = inputs.sum(axis=1).mean()
    weights = np.full(len(callers), target.mean() / max(total, 1e-9))
    gram, projection = inputs.T @ inputs, inputs.T @ target
    for _ in range(
        300
    ):  # multiplicative updates never leave the non-negative cone; 300 settle for a handful of callers
        weights *= projection / np.maximum(gram @ weights, 1e-12)
    return weights


def _rate_samples(pack: EvidencePack, entity: str, start: datetime, end: datetime) -> Floats:
    found = [samples(s, start, end) for s in pack.series if s.entity == entity and s.metric == "request_rate"]
    return np.concatenate(found) if found else np.zeros(0)


def fit(
    layout: Layout,
    live: Live,
    readings: dict[str, Reading],
    per_region: Floats,
    *,
    prior: Fitted | None = None,
    changed: str = "",
) -> Fitted:
    """Fit all workloads to one window; `per_region` (workloads,) is the share of a service's ready replicas here.

    A full service shows its limits, not its work: where CPU or slots are exhausted, delay, spread and own failures are
    taken from `prior` (an earlier fit), unless it is the service whose behaviour is known to have `changed`.
    """
    rows, regions = layout.rows, np.array([len(s.regions) for s in layout.rows], dtype=np.float64)
    read = [readings[s.address] for s in rows]
    plant = live.plant(0.0)
    rate = np.array([_or(r.rate, 0.0) for r in read]) / regions
    desired = np.array([_or(r.desired, 2.0 * n) / n for r, n in zip(read, regions, strict=True)])
    total_ready = np.array([_or(r.ready, d * n) for r, d, n in zip(read, desired, regions, strict=True)])
    ready = total_ready * per_region
    memory = np.array([_or(r.memory_mib, p * 0.3) for r, p in zip(read, plant.memory_limit_mib, strict=True)])
    slope = np.array([r.leak_mib_per_s for r in read])
    per_replica = rate * regions / np.maximum(total_ready, 1.0)
    # A service that lost a region's replicas fails there as a full one does.
    uneven = np.abs(per_region * regions - 1.0) > 0.05
    full = np.array([_full(r) for r in read]) | uneven
    served = rate * regions * np.where(full, 1.0 - np.array([_or(r.errors, 0.0) for r in read]), 1.0)
    fitted = Fitted(
        cpu_ms=_cpu_ms(plant, read, served, total_ready, memory),
        io_ms=np.array([_or(r.mean_s, 0.005) * 250.0 for r in read]),
        variability=np.ones(layout.size),
        error_share=np.zeros(layout.size),
        memory_base_mib=memory,
        leak_mib_per_krequest=1000.0 * slope / np.maximum(per_replica, 1e-6),
        leaked_mib=np.zeros(layout.size),
        leaked_slots=np.zeros(layout.size),
        demand=_own_demand(plant, rate),
        ready=ready,
        desired=desired,
        quality=0.0,
    )
    full &= np.array([s.id != changed for s in rows])
    if prior is not None:
        fitted.io_ms = np.where(full, prior.io_ms, fitted.io_ms)
        fitted.variability = np.where(full, prior.variability, fitted.variability)
        fitted.error_share = np.where(full, prior.error_share, fitted.error_share)
        fitted.leaked_slots = np.where(full, _leaked_slots(plant, read, served, total_ready), 0.0)
    _calibrate(plant, fitted, read, full if prior is not None else np.zeros_like(full))
    fitted.quality = _quality(plant, fitted, read, regions)
    return fitted


def _full(read: Reading) -> bool:
    """Whether the service has no CPU or no slots left; beyond nine tenths both turn requests away."""
    return read.cpu > CPU_FULL or read.slots > SLOTS_FULL


def _or(value: float, default: float) -> float:
    return value if np.isfinite(value) else default


def _cpu_ms(plant: Plant, read: list[Reading], served: Floats, ready: Floats, memory: Floats) -> Floats:
    """Utilisation law U = X S: CPU seconds used over requests served; collector work is taken out again."""
    cpu = np.array([r.cpu for r in read])
    seconds = cpu * ready * plant.cores / np.maximum(served, 1e-6)
    pressure = np.clip((memory / plant.memory_limit_mib - GC_FROM) / (1.0 - GC_FROM), 0.0, 1.0)
    return np.where(np.isfinite(seconds), np.maximum(seconds * 1000.0, 0.05), 1.0) / (1.0 + GC_COST * pressure**2)


def _own_demand(plant: Plant, rate: Floats) -> Floats:
    """What arrives at a service and none of its callers explains: its demand from outside."""
    graph = plant.graph
    flow = rate[graph.caller] * graph.per_call * plant.route
    explained = np.bincount(graph.callee, flow, graph.size)
    called = np.bincount(graph.callee, minlength=graph.size) > 0
    return np.where(called, 0.0, np.maximum(rate - explained, 0.0))


def _calibrate(plant: Plant, fitted: Fitted, read: list[Reading], fixed: Flags) -> None:
    """Fixed point: move own delay, spread and failures until the physics shows the observed latency and errors."""
    target_mean = np.array([_or(r.mean_s, np.nan) for r in read])
    target_variance = np.array([_or(r.variance_s2, np.nan) for r in read])
    target_errors = np.array([_or(r.errors, np.nan) for r in read])
    install(plant, fitted)
    for _ in range(PASSES):
        state = fresh_state(plant, fitted)
        seen = _settle(plant, state, fitted)
        mean, variance = seen.latency_mean_ms / 1000.0, _variance(seen.latency_p50_ms, seen.latency_p95_ms)
        gap = np.nan_to_num(target_mean - mean)
        moved = np.clip(fitted.io_ms + 1000.0 * GAIN * gap, 0.1, 60_000.0)
        fitted.io_ms = np.where(fixed, fitted.io_ms, moved)
        own = (fitted.io_ms + fitted.cpu_ms) / 1000.0
        missing = np.nan_to_num(target_variance - variance)
        moved = np.clip(fitted.variability + 0.5 * GAIN * missing / np.maximum(own * own, 1e-9), 0.05, 4.0)
        fitted.variability = np.where(fixed, fitted.variability, moved)
        survived = (1.0 - np.nan_to_num(target_errors)) / np.maximum(1.0 - seen.error_share, 1e-6)
        moved = np.clip(1.0 - (1.0 - fitted.error_share) * survived, 0.0, 0.999)
        fitted.error_share = np.where(fixed, fitted.error_share, moved)
        _soften(plant, seen, target_errors)
        install(plant, fitted)


def _settle(plant: Plant, state: PlantState, fitted: Fitted) -> Readings:
    for _ in range(SETTLE - 1):
        advance(plant, state, fitted.demand, STEP_S)
    return advance(plant, state, fitted.demand, STEP_S)


def _leaked_slots(plant: Plant, read: list[Reading], served: Floats, ready: Floats) -> Floats:
    """Slots that are taken although no request needs them: all of the pool but what is in flight (Little's law)."""
    inflight = served * np.array([_or(r.mean_s, 0.0) for r in read]) / np.maximum(ready, 1.0)
    idle = np.array([r.slots > SLOTS_FULL and r.cpu < CPU_FULL for r in read])
    return np.where(idle & (inflight < 0.5 * plant.workers), plant.workers - inflight / SLOT_LIMIT, 0.0)


def _soften(plant: Plant, seen: Readings, observed: Floats) -> None:
    """Where callees' failures would fail more requests than were seen to fail, the caller degrades instead."""
    graph = plant.graph
    too_much = seen.downstream_failed > 1.05 * np.nan_to_num(observed) + 0.002
    keep = np.where(too_much, np.nan_to_num(observed) / np.maximum(seen.downstream_failed, 1e-9), 1.0)
    graph.weight[:] = graph.weight * keep[graph.caller]


def install(plant: Plant, fitted: Fitted) -> None:
    """Write the fitted arrays into a plant."""
    plant.cpu_ms, plant.io_ms, plant.variability = fitted.cpu_ms, fitted.io_ms, fitted.variability
    plant.error_share, plant.memory_base_mib = fitted.error_share, fitted.memory_base_mib
    plant.leak_mib_per_krequest = fitted.leak_mib_per_krequest
    plant.tls_failure = np.zeros_like(fitted.cpu_ms)


def fresh_state(plant: Plant, fitted: Fitted) -> PlantState:
    """The plant's state as it was when the readings were taken."""
    state = PlantState.fresh(plant, fitted.ready)
    state.leaked_mib = fitted.leaked_mib.copy()
    state.leaked_slots = np.minimum(fitted.leaked_slots, plant.workers - 0.05)
    return state


def _variance(p50_ms: Floats, p95_ms: Floats) -> Floats:
    sigma = np.log(np.maximum(p95_ms / np.maximum(p50_ms, 1e-6), 1.0001)) / Z95
    mean = p50_ms / 1000.0 * np.exp(0.5 * sigma * sigma)
    return mean * mean * (np.exp(sigma * sigma) - 1.0)


def _quality(plant: Plant, fitted: Fitted, read: list[Reading], regions: Floats) -> float:
    """R2 over services of log p95 and of log rate, the smaller: the plant as fitted against what was read."""
    seen = _settle(plant, fresh_state(plant, fitted), fitted)
    known = np.array([r.complete and r.rate > 0.0 for r in read])
    if known.sum() < 3:
        return 0.0
    p95 = np.array([max(r.p95_s, 1e-6) for r in read])[known]
    rate = np.array([max(r.rate, 1e-6) for r in read])[known]
    shown = seen.request_rate[known] * regions[known]
    slow = _r2(np.log(p95), np.log(seen.latency_p95_ms[known] / 1000.0))
    return max(0.0, min(slow, _r2(np.log(rate), np.log(np.maximum(shown, 1e-6)))))


def _r2(observed: Floats, shown: Floats) -> float:
    spread = float(((observed - observed.mean()) ** 2).sum())
    return 1.0 - float(((observed - shown) ** 2).sum()) / max(spread, 1e-9)
