"""Span statistics as a tracing backend would answer them: samples of self time per service, and of time to callees."""

from datetime import datetime

import numpy as np

from domain.evidence import SpanStats
from domain.ids import EvidenceId
from runtime.simulator.flow import Ints
from runtime.simulator.spec import ServiceSpec
from runtime.simulator.streams import stream
from runtime.simulator.wayspans import call_spans
from runtime.simulator.windows import steps_between
from runtime.simulator.world import World

SAMPLES = 60
# Spread of self times around their mean, as a lognormal sigma: exponential-like service times have 0.83.
SIGMA = 0.83


def spans(world: World, start: datetime, split: datetime, end: datetime) -> tuple[SpanStats, ...]:
    """Self times of every service's request operation in [start, split) and [split, end), sampled evenly."""
    before, after = steps_between(world, start, split), steps_between(world, split, end)
    if not len(before) or not len(after):
        return ()
    label = f"{split:%Y%m%dT%H%M%S}"
    found: list[SpanStats] = []
    for service in world.layout.services:
        if not service.external:
            found.append(_stats(world, service, before, after, label))
            found += call_spans(world, service, before, after, label)
    return tuple(found)


def _stats(world: World, service: ServiceSpec, before: Ints, after: Ints, label: str) -> SpanStats:
    baseline, baseline_errors = _sample(world, service, before)
    current, current_errors = _sample(world, service, after)
    return SpanStats(
        evidence=EvidenceId(f"span:{service.id}:{label}"),
        entity=service.address,
        operation=f"{service.id}.handle",
        baseline_self_ms=baseline,
        current_self_ms=current,
        baseline_errors=baseline_errors,
        current_errors=current_errors,
    )


def _sample(world: World, service: ServiceSpec, steps: Ints) -> tuple[tuple[float, ...], int]:
    """Self times of `SAMPLES` traces spread over the steps, and how many of them failed by the service's own doing."""
    columns = world.layout.columns(service.id)
    rng = stream(world.seed, "spans", world.layout.service_index[service.id], int(steps[0]), int(steps[-1]))
    picked = steps[np.linspace(0, len(steps) - 1, SAMPLES).astype(np.int64)]
    rate = world.history.truth("request_rate", picked, columns) + 1e-9
    mean = (world.history.truth("self_ms", picked, columns) * rate).sum(axis=1) / rate.sum(axis=1)
    failed = np.zeros(len(picked))
    for channel in ("own_failed", "rejected", "shed", "tls_refused"):
        failed += (world.history.truth(channel, picked, columns) * rate).sum(axis=1) / rate.sum(axis=1)
    times = mean * rng.lognormal(-0.5 * SIGMA * SIGMA, SIGMA, len(picked))
    errors = int((rng.random(len(picked)) < failed).sum())
    return tuple(round(float(t), 3) for t in times), errors
