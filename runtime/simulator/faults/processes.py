"""Faults inside running processes: slots that never come back, a working set that outgrew its memory, a cold cache."""

import numpy as np

from runtime.simulator.faults.base import Answer, Draw, Fault
from runtime.simulator.faults.dependencies import hidden, lift
from runtime.simulator.faults.targets import inflight_per_replica, leaning_on_cache, pick, scalable
from runtime.simulator.live import Modifier
from runtime.simulator.world import World

# A cache within a tenth of its usual hit ratio is warm for whoever stands behind it.
WARM = 0.9


def _leak_slots_draw(world: World, rng: np.random.Generator) -> Draw:
    service = pick(rng, scalable(world))
    left = float(rng.uniform(0.3, 0.55)) * inflight_per_replica(world, service)
    return Draw(
        fault="pool_exhaustion", entity=f"service/{service}", numbers={"left": left}, names={"service": service}
    )  # fmt: skip


def _leak_slots(world: World, draw: Draw) -> None:
    """Connections that a broken peer left half-open hold their slots until the process is restarted."""
    columns = world.layout.columns(draw.names["service"])
    world.state.leaked_slots[columns] = np.maximum(world.plant.workers[columns] - draw.numbers["left"], 0.0)


def _free_slots(world: World, draw: Draw) -> None:
    world.state.leaked_slots[world.layout.columns(draw.names["service"])] = 0.0


def _slots_gone(world: World, draw: Draw) -> bool:
    return bool(world.state.leaked_slots[world.layout.columns(draw.names["service"])].any())


def _restart(_world: World, draw: Draw) -> tuple[Answer, ...]:
    return (Answer(kind="service.restart", target=draw.entity),)


def _memory_draw(world: World, rng: np.random.Generator) -> Draw:
    service = pick(rng, scalable(world))
    return Draw(
        fault="memory_pressure", entity=f"service/{service}", numbers={"share": float(rng.uniform(0.97, 1.02))},
        names={"service": service},
    )  # fmt: skip


def _grow(world: World, draw: Draw) -> None:
    """The working set grows to about the limit: the collector thrashes and processes are killed, over and over."""
    columns = world.layout.columns(draw.names["service"])
    grown = float(world.plant.memory_limit_mib[columns].mean()) * draw.numbers["share"]
    change = Modifier("memory_base_mib", tuple(columns), factor=0.0, add=grown)
    # What a process loads again after a kill counts as leaked, so that kills repeat instead of ending it.
    world.live.modifiers[draw.fault] = (change,)
    world.live.dirty = True


def _resize(world: World, draw: Draw) -> tuple[Answer, ...]:
    least = int(world.live.services[draw.names["service"]].memory_mib * 1.3)
    return (Answer(kind="service.resize", target=draw.entity, arguments={"memory_mib": least}),)


def _cache_draw(world: World, rng: np.random.Generator) -> Draw:
    service = pick(rng, leaning_on_cache(world))
    return Draw(fault="cache_flush", entity=f"service/{service}", names={"service": service})


def _flush(world: World, draw: Draw) -> None:
    world.state.cache_hit[world.layout.columns(draw.names["service"])] = 0.0


def _warm(world: World, draw: Draw) -> None:
    columns = world.layout.columns(draw.names["service"])
    world.state.cache_hit[columns] = world.plant.cache_hit[columns]


def _cold(world: World, draw: Draw) -> bool:
    columns = world.layout.columns(draw.names["service"])
    return bool((world.state.cache_hit[columns] < WARM * world.plant.cache_hit[columns]).any())


def _no_command(_world: World, _draw: Draw) -> tuple[Answer, ...]:
    return ()


POOL_EXHAUSTION = Fault(
    "pool_exhaustion", "pool_exhaustion", "recover", self_heals=False, draw=_leak_slots_draw, inject=_leak_slots,
    undo=_free_slots, present=_slots_gone, answers=_restart,
)  # fmt: skip
MEMORY_PRESSURE = Fault(
    "memory_pressure", "memory_pressure", "recover", self_heals=False, draw=_memory_draw, inject=_grow, undo=lift,
    present=hidden, answers=_resize,
)  # fmt: skip
CACHE_FLUSH = Fault(
    "cache_flush", "cache_flush", "wait", self_heals=True, draw=_cache_draw, inject=_flush, undo=_warm,
    present=_cold, answers=_no_command,
)  # fmt: skip
