"""A CPU limit far below the request: the service is stopped in every scheduler period while its use looks modest."""

import numpy as np

from runtime.simulator.faults.base import Answer, Draw, Fault
from runtime.simulator.faults.dependencies import hidden, lift
from runtime.simulator.faults.targets import busiest, cpu_use, pick, scalable
from runtime.simulator.live import Modifier
from runtime.simulator.world import World

# What the service gets of what it uses now: from there queues grow without bound, and its autoscaler, which compares
# use with the request, sees less use than before.
GRANTED = (0.6, 0.85)
# Requests large enough that the limit, which keeps its ratio to them, covers twice today's use.
ROOM = 2.0


def _draw(world: World, rng: np.random.Generator) -> Draw:
    service = pick(rng, busiest(world, scalable(world)))
    limit = float(world.plant.burst[world.layout.columns(service)].mean())
    granted = float(rng.uniform(*GRANTED)) * cpu_use(world, service)
    return Draw(
        fault="cpu_throttle", entity=f"service/{service}", names={"service": service},
        numbers={"factor": granted / limit, "use": cpu_use(world, service)},
    )  # fmt: skip


def _cut(world: World, draw: Draw) -> None:
    """A platform-wide ratio of limit to request was lowered for it: nothing of its own configuration changed."""
    columns = tuple(world.layout.columns(draw.names["service"]))
    world.live.modifiers[draw.fault] = (Modifier("burst", columns, factor=draw.numbers["factor"]),)
    world.live.dirty = True


def _resize(world: World, draw: Draw) -> tuple[Answer, ...]:
    now = world.live.services[draw.names["service"]].cpu_millicores
    least = int(now * ROOM * draw.numbers["use"] / draw.numbers["factor"])
    return (Answer(kind="service.resize", target=draw.entity, arguments={"cpu_millicores": least}),)


CPU_THROTTLE = Fault(
    "cpu_throttle", "cpu_throttle", "recover", self_heals=False, draw=_draw, inject=_cut, undo=lift, present=hidden,
    answers=_resize,
)  # fmt: skip
