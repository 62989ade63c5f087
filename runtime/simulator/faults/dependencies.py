"""What others run and we only call: slow or failing. No command of ours reaches it, so a person must."""

from collections.abc import Callable

import numpy as np

from runtime.simulator.faults.base import Answer, Draw, Fault
from runtime.simulator.faults.targets import pick
from runtime.simulator.live import Modifier
from runtime.simulator.world import World


def _drawer(name: str, low: float, high: float) -> Callable[[World, np.random.Generator], Draw]:
    def draw(world: World, rng: np.random.Generator) -> Draw:
        called = {c.to for s in world.spec.services for c in s.calls if c.failure_weight >= 0.5}
        service = pick(rng, [s.id for s in world.spec.services if s.external and s.id in called])
        size = float(rng.uniform(low, high))
        return Draw(fault=name, entity=f"external/{service}", numbers={"size": size}, names={"service": service})

    return draw


def _changer(field: str) -> Callable[[World, Draw], None]:
    def inject(world: World, draw: Draw) -> None:
        columns = tuple(world.layout.columns(draw.names["service"]))
        world.live.modifiers[draw.fault] = (Modifier(field, columns, add=draw.numbers["size"]),)
        world.live.dirty = True

    return inject


def lift(world: World, draw: Draw) -> None:
    """Remove the modifiers a fault put in."""
    world.live.modifiers.pop(draw.fault, None)
    world.live.dirty = True


def hidden(world: World, draw: Draw) -> bool:
    """Whether the modifiers a fault put in are still there."""
    return draw.fault in world.live.modifiers


def _ticket(_world: World, draw: Draw) -> tuple[Answer, ...]:
    return (Answer(kind="ticket.open", target=draw.entity),)


def _row(name: str, field: str, low: float, high: float) -> Fault:
    return Fault(
        name, name, "escalate", self_heals=False, draw=_drawer(name, low, high), inject=_changer(field), undo=lift,
        present=hidden, answers=_ticket,
    )  # fmt: skip


# Slower by most of a caller's patience (two seconds here), so that some calls time out and some only drag.
DEPENDENCY_SLOW = _row("dependency_slow", "io_ms", 700.0, 1400.0)
DEPENDENCY_FAILING = _row("dependency_failing", "error_share", 0.5, 0.8)
