"""Demand that outgrows what was provided for it, and policies that will not follow it: it hurts at a peak to come."""

from collections.abc import Callable
from datetime import timedelta
from math import ceil

import numpy as np

from runtime.simulator.demand import DAILY_SWING, SECOND_HARMONIC, Trend, daily_shape
from runtime.simulator.faults.base import Answer, Draw, Fault
from runtime.simulator.faults.targets import bears, entries, pick
from runtime.simulator.faults.writes import field_draw, reset_by_pipeline, set_by_pipeline, still_set
from runtime.simulator.world import World

PIPELINE = "config-pipeline"
# Days until growth has eaten the room: a launch that goes well, in the span an episode can be watched over.
EATEN_IN_DAYS = (0.8, 1.8)
# Demand at its peak against what the largest allowed fleet serves at full CPU.
OUTGROWN = (1.05, 1.2)
# Habits that move the day's peak by some hours, either way.
MOVED_H = 4.0


def _coming_peak(world: World, days: float = 1.0) -> float:
    """Highest point of the daily shape within the next days."""
    offset = world.spec.regions[0].utc_offset_h
    hours = range(ceil(days * 24.0))
    return max(daily_shape(world.now + timedelta(hours=h), offset) for h in hours)


def _capacity_rps(world: World, service: str, replicas: float) -> float:
    """Requests per second that so many replicas per region serve at full CPU, over all regions."""
    columns = world.layout.columns(service)
    cores = world.live.services[service].cpu_millicores / 1000.0
    return replicas * cores * 1000.0 / float(world.plant.cpu_ms[columns].mean()) * len(columns)


def _mean_rps(world: World, service: str) -> float:
    return float(world.demand.base[world.layout.columns(service)].sum())


def _room(world: World, service: str) -> float:
    """How many times its mean demand the largest allowed fleet serves at full CPU."""
    policy = world.live.services[service].scaling
    most = policy.max_replicas if policy else world.live.services[service].replicas
    return _capacity_rps(world, service, most) / _mean_rps(world, service)


def _narrow(world: World, rng: np.random.Generator) -> str:
    """An entry service that is its own narrowest part: more replicas of it help, because all behind it could follow."""
    now = daily_shape(world.now, world.spec.regions[0].utc_offset_h)
    found = [s for s in entries(world) if bears(world, s, OUTGROWN[1] * _room(world, s) / now)]
    return pick(rng, found or entries(world))


def _growth_draw(world: World, rng: np.random.Generator) -> Draw:
    service, days = _narrow(world, rng), float(rng.uniform(*EATEN_IN_DAYS))
    factor = float(rng.uniform(*OUTGROWN)) * _room(world, service) / _coming_peak(world, days + 1.0)
    return Draw(
        fault="organic_growth", entity=f"service/{service}", names={"service": service},
        numbers={"growth_per_day": factor ** (1.0 / days) - 1.0},
    )  # fmt: skip


def _season_draw(world: World, rng: np.random.Generator) -> Draw:
    service = _narrow(world, rng)
    peak = float(rng.uniform(*OUTGROWN)) * _room(world, service)
    swing = (peak / min(_coming_peak(world) / 1.4, 1.0) - 1.0) / (DAILY_SWING + SECOND_HARMONIC)
    return Draw(
        fault="seasonality_shift", entity=f"service/{service}", names={"service": service},
        numbers={"later_h": float(rng.uniform(-MOVED_H, MOVED_H)), "swing": swing},
    )  # fmt: skip


def _trend(world: World, draw: Draw) -> None:
    columns = tuple(world.layout.columns(draw.names["service"]))
    world.demand.trends[f"{draw.fault}/{draw.names['service']}"] = Trend(
        columns, since=world.now, growth_per_day=draw.numbers.get("growth_per_day", 0.0),
        later_h=draw.numbers.get("later_h", 0.0), swing=draw.numbers.get("swing", 1.0),
    )  # fmt: skip


def _untrend(world: World, draw: Draw) -> None:
    world.demand.trends.pop(f"{draw.fault}/{draw.names['service']}", None)


def _trending(world: World, draw: Draw) -> bool:
    return f"{draw.fault}/{draw.names['service']}" in world.demand.trends


def _cap_draw(world: World, rng: np.random.Generator) -> Draw:
    """A cap that the next peak would need a fifth to a third more than, even at full CPU."""

    def needed(service: str) -> float:
        return _mean_rps(world, service) * _coming_peak(world) / _capacity_rps(world, service, 1.0)

    service = pick(rng, [s for s in entries(world) if needed(s) > 1.3])
    policy = world.live.services[service].scaling
    most = policy.max_replicas if policy else 1
    after = max(1, int(needed(service) / float(rng.uniform(1.2, 1.5))))
    return _policy_draw(world, "cap_too_low", service, "max_replicas", most, after)


def _policy_draw(world: World, fault: str, service: str, key: str, before: float, after: float) -> Draw:
    """One field of a scaling policy; a minimum that would stand above its maximum goes down with it."""
    policy = world.live.services[service].scaling
    document = policy.model_dump(mode="json") if policy else {}
    wrong = {**document, key: after}
    if key == "max_replicas":
        wrong["min_replicas"] = min(int(document["min_replicas"]), int(after))
    return field_draw(fault, ("services", service, "scaling"), {**document, key: before}, wrong, PIPELINE)


def _slow_draw(world: World, rng: np.random.Generator) -> Draw:
    """A target so high that replicas are added when they are full already: within the tolerance, never before."""
    service = pick(rng, entries(world))
    policy = world.live.services[service].scaling
    usual = policy.target_cpu_utilisation if policy else 0.6
    after = round(float(rng.uniform(0.92, 0.98)), 2)
    return _policy_draw(world, "slow_scaling_policy", service, "target_cpu_utilisation", usual, after)


def _provide(_world: World, draw: Draw) -> tuple[Answer, ...]:
    return (Answer(kind="scaling_policy.update", target=draw.entity),)


def _provide_more(world: World, draw: Draw) -> tuple[Answer, ...]:
    """A higher cap, and machines for it where the pool is full."""
    columns = world.layout.columns(draw.names["service"])
    pools = [f"node_pool/{world.layout.pools[int(p)]}" for p in world.layout.pool_of[columns]]
    return (*_provide(world, draw), *(Answer(kind="node_pool.scale", target=p) for p in pools))


def _trend_row(name: str, draw: Callable[[World, np.random.Generator], Draw]) -> Fault:
    return Fault(
        name, name, "recover", self_heals=False, draw=draw, inject=_trend, undo=_untrend, present=_trending,
        answers=_provide_more, domain="capacity",
    )  # fmt: skip


def _policy_row(name: str, draw: Callable[[World, np.random.Generator], Draw]) -> Fault:
    return Fault(
        name, name, "recover", self_heals=False, draw=draw, inject=set_by_pipeline, undo=reset_by_pipeline,
        present=still_set, answers=_provide, domain="capacity",
    )  # fmt: skip


ORGANIC_GROWTH = _trend_row("organic_growth", _growth_draw)
SEASONALITY_SHIFT = _trend_row("seasonality_shift", _season_draw)
SLOW_SCALING_POLICY = _policy_row("slow_scaling_policy", _slow_draw)
CAP_TOO_LOW = _policy_row("cap_too_low", _cap_draw)
