"""More demand than the world was sized for."""

import numpy as np

from runtime.simulator.demand import daily_shape
from runtime.simulator.faults.base import Answer, Draw, Fault
from runtime.simulator.faults.targets import entries, pick
from runtime.simulator.world import World


def _surge_draw(world: World, rng: np.random.Generator) -> Draw:
    service = pick(rng, entries(world))
    numbers = {"factor": float(rng.uniform(1.25, 1.5)) * _room(world, service)}
    return Draw(fault="traffic_surge", entity=f"service/{service}", numbers=numbers, names={"service": service})


def _room(world: World, service: str) -> float:
    """How many times today's demand the largest replicas the policy allows could serve at full CPU."""
    state, columns = world.live.services[service], world.layout.columns(service)
    most = state.scaling.max_replicas if state.scaling else state.replicas
    capacity = most * state.cpu_millicores / float(world.plant.cpu_ms[columns].mean()) * len(columns)
    offset = world.spec.regions[0].utc_offset_h
    return capacity / float(world.demand.base[columns].sum() * daily_shape(world.now, offset))


def _surge(world: World, draw: Draw) -> None:
    world.demand.surge[world.layout.columns(draw.names["service"])] *= draw.numbers["factor"]


def _subside(world: World, draw: Draw) -> None:
    world.demand.surge[world.layout.columns(draw.names["service"])] /= draw.numbers["factor"]


def _surge_answers(world: World, draw: Draw) -> tuple[Answer, ...]:
    service = world.spec.services[world.layout.service_index[draw.names["service"]]]
    return (
        Answer(kind="scaling_policy.update", target=draw.entity),
        Answer(kind="tenant.throttle", target=f"tenant/{service.demand_tenant or service.tenant}"),
    )


TRAFFIC_SURGE = Fault(
    "traffic_surge", "traffic_surge", "recover", self_heals=False, draw=_surge_draw, inject=_surge, undo=_subside,
    answers=_surge_answers,
)  # fmt: skip
