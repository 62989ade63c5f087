"""Calls that never get through though both ends are well: a name that is no longer found."""

import numpy as np

from runtime.simulator.faults.base import Answer, Draw, Fault
from runtime.simulator.faults.dependencies import hidden, lift
from runtime.simulator.faults.targets import hard_callers, own, pick, rate_per_region
from runtime.simulator.live import Modifier
from runtime.simulator.world import World

# Fewer requests than this a second and nobody would notice.
NOTICED_RPS = 3.0


def _name_draw(world: World, rng: np.random.Generator) -> Draw:
    """A service that several others look up by its name."""
    counted = {s.id: sorted({c for c in hard_callers(world, s.id) if rate_per_region(world, c) >= NOTICED_RPS})
               for s in own(world)}  # fmt: skip
    shared = [name for name, callers in counted.items() if len(callers) > 1]
    service = pick(rng, shared or [name for name, callers in counted.items() if callers])
    numbers = {"lost": float(rng.uniform(0.6, 0.9)), "slow_ms": float(rng.uniform(50.0, 200.0))}
    return Draw(fault="dns_failure", entity=f"service/{service}", numbers=numbers, names={"service": service})


def _name_lost(world: World, draw: Draw) -> None:
    """Most look-ups fail, the others are answered late by what resolvers still remember or try again."""
    edges = tuple(world.layout.edges(callee=draw.names["service"]))
    slow = draw.numbers["slow_ms"]
    world.live.modifiers[draw.fault] = (
        Modifier("unresolved", edges, add=draw.numbers["lost"]),
        Modifier("way_ms", edges, add=slow),
        Modifier("jitter_ms", edges, add=slow),
    )
    world.live.dirty = True


def _ticket(_world: World, draw: Draw) -> tuple[Answer, ...]:
    return (Answer(kind="ticket.open", target=draw.entity),)


DNS_FAILURE = Fault(
    "dns_failure", "dns_failure", "escalate", self_heals=False, draw=_name_draw, inject=_name_lost, undo=lift,
    present=hidden, answers=_ticket,
)  # fmt: skip
