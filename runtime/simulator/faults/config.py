"""Configuration writes: sizes and limits that starve a service of slots or patience, and features switched on.

Both are a change of one key. A flag turns code on that nobody ran before; a size makes the same code run worse.
"""

import numpy as np

from runtime.simulator.actuators import write_externally
from runtime.simulator.faults.base import Answer, Draw, Fault
from runtime.simulator.faults.targets import (
    busiest,
    inflight_per_replica,
    objective_ms,
    own,
    pick,
    response_ms,
    scalable,
)
from runtime.simulator.live import OFF, ON, Traits
from runtime.simulator.world import World

PIPELINE, FLAG_SERVICE = "config-pipeline", "flag-service"


def _hard_calls(world: World, service: str) -> list[str]:
    spec = next(s for s in own(world) if s.id == service)
    return [c.to for c in spec.calls if c.failure_weight >= 0.5 and not c.on_cache_miss]


def _draw(world: World, rng: np.random.Generator) -> Draw:
    busy = {s: inflight_per_replica(world, s) for s in scalable(world)}
    service = pick(rng, [s for s in busy if busy[s] >= 2.0 or _hard_calls(world, s)])
    if busy[service] >= 2.0:
        key, value = "pool_size", max(1.0, rng.uniform(0.3, 0.5) * busy[service])
    else:
        slowest = max(response_ms(world, c) for c in _hard_calls(world, service))
        key, value = "timeout_ms", max(1.0, rng.uniform(0.3, 0.5) * slowest)
    names = {"service": service, "key": key, "before": world.live.services[service].config[key]}
    return Draw(fault="config_regression", entity=f"service/{service}", names={**names, "after": str(int(value))})


def _inject(world: World, draw: Draw) -> None:
    path = ("services", draw.names["service"], "config", draw.names["key"])
    write_externally(world, path, draw.names["after"], PIPELINE)


def _undo(world: World, draw: Draw) -> None:
    path = ("services", draw.names["service"], "config", draw.names["key"])
    write_externally(world, path, draw.names["before"], PIPELINE)


def _present(world: World, draw: Draw) -> bool:
    return world.live.services[draw.names["service"]].config.get(draw.names["key"]) == draw.names["after"]


def _flag_draw(world: World, rng: np.random.Generator) -> Draw:
    """A feature that waits for somebody one to two objectives long and burns CPU, or fails."""
    flagged = {s.id: s.flags for s in own(world) if s.flags and s.id in scalable(world)}
    service = pick(rng, busiest(world, sorted(flagged)))
    key = pick(rng, flagged[service])
    slow = {"cpu_factor": float(rng.uniform(1.2, 1.8)), "io_add_ms": float(rng.uniform(1.0, 2.0))}
    slow["io_add_ms"] *= objective_ms(world, service)
    failing = {"error_add": float(rng.uniform(0.08, 0.3))}
    numbers = slow if rng.random() < 0.5 else failing
    names = {"service": service, "key": key, "before": OFF, "after": ON}
    return Draw(fault="feature_flag", entity=f"service/{service}", numbers=numbers, names=names)


def _switch(world: World, draw: Draw) -> None:
    service, key = draw.names["service"], draw.names["key"]
    world.live.traits[service, key] = Traits(**draw.numbers)
    write_externally(world, ("services", service, "config", key), ON, FLAG_SERVICE)


def _switch_back(world: World, draw: Draw) -> None:
    path = ("services", draw.names["service"], "config", draw.names["key"])
    write_externally(world, path, OFF, FLAG_SERVICE)


def _answers(_world: World, draw: Draw) -> tuple[Answer, ...]:
    arguments = {"key": draw.names["key"], "value": draw.names["before"]}
    return (Answer(kind="service.configure", target=draw.entity, arguments={**arguments}),)


CONFIG_REGRESSION = Fault(
    "config_regression", "config_regression", "recover", self_heals=False, draw=_draw, inject=_inject, undo=_undo,
    present=_present, answers=_answers,
)  # fmt: skip
FEATURE_FLAG = Fault(
    "feature_flag", "feature_flag", "recover", self_heals=False, draw=_flag_draw, inject=_switch, undo=_switch_back,
    present=_present, answers=_answers,
)  # fmt: skip
