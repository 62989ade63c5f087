"""The network between callers and one service in one region: slow, losing packets, or cut. Both ends are well.

The same service in another region is reached over another path, so traffic led there gets around it.
"""

from collections.abc import Callable

import numpy as np

from runtime.simulator.faults.base import Answer, Draw, Fault
from runtime.simulator.faults.dependencies import hidden, lift
from runtime.simulator.faults.targets import hard_callers, objective_ms, pick, reached_in
from runtime.simulator.live import Modifier
from runtime.simulator.world import World

# A call and its answer are about eight packets; a lost one is sent again after at least 200 ms (RFC 6298 allows a
# second, Linux waits 200 ms), and longer each time.
PACKETS, RESEND_MS = 8.0, 250.0
# Detours add once or twice what the callers' users are promised; queues at a full link vary by a third of that.
DETOUR, JITTER = (1.0, 2.0), 0.33
LOSS, CUT = (0.12, 0.22), 0.97


def _slow(world: World, rng: np.random.Generator, service: str) -> dict[str, float]:
    promised = max(objective_ms(world, caller) for caller in hard_callers(world, service))
    way = float(rng.uniform(*DETOUR)) * promised
    return {"way_ms": way, "jitter_ms": JITTER * way}


def _lossy(_world: World, rng: np.random.Generator, _service: str) -> dict[str, float]:
    """Time for sending again, by how many packets of a call are lost (binomial); connections lose their first ones."""
    loss = float(rng.uniform(*LOSS))
    again, spread = PACKETS * loss, (PACKETS * loss * (1.0 - loss)) ** 0.5
    return {"resent": loss, "way_ms": RESEND_MS * again, "jitter_ms": RESEND_MS * spread, "unreachable": 0.5 * loss}


def _cut(_world: World, _rng: np.random.Generator, _service: str) -> dict[str, float]:
    return {"resent": 0.5, "unreachable": CUT}


def _drawer(
    name: str, size: Callable[[World, np.random.Generator, str], dict[str, float]]
) -> Callable[[World, np.random.Generator], Draw]:
    def draw(world: World, rng: np.random.Generator) -> Draw:
        service, region = pick(rng, [f"{s} {r}" for s, r in reached_in(world)]).split(" ")
        return Draw(
            fault=name, entity=f"service/{service}", numbers=size(world, rng, service),
            names={"service": service, "region": region}, also=(f"region/{region}",),
        )  # fmt: skip

    return draw


def _disturb(world: World, draw: Draw) -> None:
    edges = world.layout.edges(callee=draw.names["service"])
    region = world.layout.regions.index(draw.names["region"])
    there = tuple(e for e in edges if world.layout.region_of[world.plant.graph.callee[e]] == region)
    world.live.modifiers[draw.fault] = tuple(Modifier(name, there, add=size) for name, size in draw.numbers.items())
    world.live.dirty = True


def _around(_world: World, draw: Draw) -> tuple[Answer, ...]:
    return (Answer(kind="traffic.shift", target=draw.entity, arguments={draw.names["region"]: 0.0}),)


def _row(name: str, size: Callable[[World, np.random.Generator, str], dict[str, float]]) -> Fault:
    return Fault(
        name, name, "recover", self_heals=False, draw=_drawer(name, size), inject=_disturb, undo=lift, present=hidden,
        answers=_around,
    )  # fmt: skip


NETWORK_DELAY = _row("network_delay", _slow)
NETWORK_LOSS = _row("network_loss", _lossy)
NETWORK_PARTITION = _row("network_partition", _cut)
