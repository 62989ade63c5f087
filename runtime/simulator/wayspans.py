"""Time that calls spend on the way to a callee and back, per region of the callee, as a tracing backend keeps it apart.

A backend prunes what takes next to no time: calls whose way is as short as ever are not listed.
"""

import numpy as np

from domain.evidence import SpanStats
from domain.ids import EvidenceId
from runtime.simulator.flow import Ints
from runtime.simulator.queueing import Floats, lognormal_shape
from runtime.simulator.spec import ServiceSpec
from runtime.simulator.streams import stream
from runtime.simulator.world import World

SAMPLES = 60
# A round trip within a region takes under a millisecond (cloud providers' published figures), varying by half.
USUAL_MS, USUAL_SIGMA = 0.7, 0.5
PRUNED_MS = 5.0
ON_THE_WAY = ("way_ms", "unreachable")


def call_spans(world: World, service: ServiceSpec, before: Ints, after: Ints, label: str) -> list[SpanStats]:
    """Ways of a service's calls that took time in either window."""
    if not any(world.history.rare.get(field) for field in ON_THE_WAY):
        return []
    found: list[SpanStats] = []
    for nth, call in enumerate(service.calls):
        for edge in world.layout.edges(caller=service.id, callee=call.to):
            if world.plant.route[edge] > 0.0:
                found += _way(world, service, nth, edge, before, after, label)
    return found


def _way(
    world: World, service: ServiceSpec, nth: int, edge: int, before: Ints, after: Ints, label: str
) -> list[SpanStats]:
    usual, usual_lost = _sample(world, service, edge, before)
    now, lost = _sample(world, service, edge, after)
    if max(float(np.quantile(usual, 0.9)), float(np.quantile(now, 0.9))) < PRUNED_MS and not usual_lost + lost:
        return []
    callee = world.layout.services[world.layout.service_index[service.calls[nth].to]]
    region = world.layout.regions[int(world.layout.region_of[world.plant.graph.callee[edge]])]
    return [
        SpanStats(
            evidence=EvidenceId(f"span:{service.id}:way{nth}:{region}:{label}"), entity=service.address,
            operation=f"{service.id}.handle", peer=callee.address, peer_region=region,
            baseline_self_ms=_rounded(usual), current_self_ms=_rounded(now), baseline_errors=usual_lost,
            current_errors=lost,
        )
    ]  # fmt: skip


def _sample(world: World, service: ServiceSpec, edge: int, steps: Ints) -> tuple[Floats, int]:
    """Times of `SAMPLES` calls spread over the steps; one without an answer took the caller's whole patience."""
    rng = stream(world.seed, "way-spans", edge, int(steps[0]), int(steps[-1]))
    picked = steps[np.linspace(0, len(steps) - 1, SAMPLES).astype(np.int64)]
    way, jitter, gone = (world.history.rarely(f, picked, [edge])[:, 0] for f in ("way_ms", "jitter_ms", "unreachable"))
    times = USUAL_MS * rng.lognormal(0.0, USUAL_SIGMA, SAMPLES)
    median, sigma = lognormal_shape(np.maximum(way, 1e-6), jitter * jitter)
    times = times + np.where(way > 0.0, median * np.exp(sigma * rng.standard_normal(SAMPLES)), 0.0)
    lost = rng.random(SAMPLES) < gone
    patience = float(world.plant.timeout_ms[world.layout.columns(service.id)[0]])
    return np.minimum(np.where(lost, patience, times), patience), int(lost.sum())


def _rounded(times: Floats) -> tuple[float, ...]:
    return tuple(round(float(t), 3) for t in times)
