"""What a world went through since an instant, by its own truth: the figures every responder is judged on.

SLO minutes count each own service's minutes beyond its error or latency gate; cost and carbon are means per hour.
"""

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from domain.base import Frozen
from runtime.simulator.flow import Ints
from runtime.simulator.pricing import SKUS, carbon_g_per_hour, cost_usd_per_core_hour
from runtime.simulator.queueing import Floats
from runtime.simulator.sensors import ERROR_GATE, SLOW_GATE
from runtime.simulator.world import World

WORTH = 5.0
"""Below five lost service minutes nobody lost anything: a ratio would only be noise. Harm is counted against this."""


class Measures(Frozen):
    """One responder's world over the judged window."""

    slo_minutes_lost: float
    minutes_standing: float
    """How long a cause stood, whether or not it hurt: what exposure and waste are counted in."""
    cost_usd_per_hour: float
    carbon_g_per_hour: float
    requests_served: float
    """Requests answered well, all services: falls when a workload is deleted instead of healed."""
    acted: int = 0
    """How often a baseline laid hands on the world; the product's commands stand in the episode itself."""
    hurting: tuple[int, ...]
    """Own services beyond a gate, minute by minute."""


def measure(world: World, since_s: float, minutes_standing: float) -> Measures:
    """Sum up the window from `since_s` (seconds after the world's start) until now."""
    steps = world.history.rows(round(since_s / world.spec.step_s), world.history.count)
    hurt, served = np.zeros(len(steps)), 0.0
    for service in world.layout.services:
        if service.external:
            continue
        failing, slow, rate = _shares(world, service.id, steps)
        hurt += _hurt(failing, slow)
        if service.demand_rps > 0.0:
            served += float((rate * (1.0 - failing) * (1.0 - slow)).sum()) * world.spec.step_s
    usd, grams = usd_and_grams_per_hour(world, steps)
    return Measures(
        slo_minutes_lost=round(float(hurt.sum()) * world.spec.step_s / 60.0, 3),
        minutes_standing=round(minutes_standing, 2),
        cost_usd_per_hour=round(usd, 4),
        carbon_g_per_hour=round(grams, 2),
        requests_served=round(served),
        hurting=_by_minute(hurt, world.spec.step_s),
    )


def minutes_beyond(world: World, services: Sequence[str], start: datetime, end: datetime) -> float:
    """Return the minutes within [start, end) in which any of the services was beyond a gate."""
    first = round((start - world.spec.start).total_seconds() / world.spec.step_s)
    last = round((end - world.spec.start).total_seconds() / world.spec.step_s)
    steps = world.history.rows(first, last)
    hurt = np.zeros(len(steps))
    for service in services:
        if service in world.layout.service_index:
            failing, slow, _ = _shares(world, service, steps)
            hurt = np.maximum(hurt, _hurt(failing, slow))
    return float(hurt.sum()) * world.spec.step_s / 60.0


def _shares(world: World, service: str, steps: Ints) -> tuple[Floats, Floats, Floats]:
    """Failing share, slow share and request rate of a service over its regions, step by step."""
    columns = world.layout.columns(service)
    rate = world.history.truth("request_rate", steps, columns)
    weight = rate + 1e-9
    failing = (world.history.truth("error_share", steps, columns) * weight).sum(axis=1) / weight.sum(axis=1)
    slow = (world.history.truth("slow_share", steps, columns) * weight).sum(axis=1) / weight.sum(axis=1)
    return failing, slow, rate.sum(axis=1)


def _hurt(failing: Floats, slow: Floats) -> Floats:
    return np.asarray((failing > ERROR_GATE) | (slow > SLOW_GATE), dtype=np.float64)


def usd_and_grams_per_hour(world: World, steps: Ints) -> tuple[float, float]:
    """Return what the requested cores cost and emit per hour, as means over the steps."""
    own = [w for w, s in enumerate(world.layout.rows) if not s.external]
    requested = world.history.truth("replicas_desired", steps, own) * world.plant.cores[own]
    used = world.history.truth("cpu_cores", steps, own)
    grids = [world.spec.regions[int(world.layout.region_of[w])].grid_gco2e_per_kwh for w in own]
    grams = sum(
        carbon_g_per_hour(float(requested[:, k].mean()), float(used[:, k].mean()), grid) for k, grid in enumerate(grids)
    )
    return float((requested * _prices(world)[own]).sum(axis=1).mean()), grams


def _prices(world: World) -> Floats:
    """USD per requested core hour of every workload, by the machine type its pool has now."""
    rows = [cost_usd_per_core_hour(SKUS[world.node_pools[pool].sku]) for pool in world.layout.pools]
    return np.array(rows)[world.layout.pool_of]


def _by_minute(hurt: Floats, step_s: int) -> tuple[int, ...]:
    per = round(60 / step_s)
    whole = hurt[: len(hurt) // per * per].reshape(-1, per)
    return tuple(int(v) for v in whole.max(axis=1))
