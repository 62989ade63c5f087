"""A certificate that nobody renewed in time."""

import numpy as np

from runtime.simulator.faults.base import Answer, Draw, Fault
from runtime.simulator.faults.targets import pick
from runtime.simulator.world import World

# The agents see it coming by this much; issuing and serving a new certificate is not among their actions.
NOTICE_S = 120.0


def _draw(world: World, rng: np.random.Generator) -> Draw:
    name = pick(rng, sorted(world.certificates))
    return Draw(
        fault="certificate_expiry", entity=f"certificate/{name}", names={"certificate": name},
        also=(f"service/{name.removesuffix('-tls')}",),
        numbers={"ends_s": world.elapsed_s + NOTICE_S, "before_s": world.certificates[name]},
    )  # fmt: skip


def _inject(world: World, draw: Draw) -> None:
    world.certificates[draw.names["certificate"]] = draw.numbers["ends_s"]
    world.check_certificates()


def _undo(world: World, draw: Draw) -> None:
    world.certificates[draw.names["certificate"]] = draw.numbers["before_s"]
    world.check_certificates()


def _present(world: World, draw: Draw) -> bool:
    return world.certificates[draw.names["certificate"]] == draw.numbers["ends_s"]


def _answers(_world: World, draw: Draw) -> tuple[Answer, ...]:
    return (Answer(kind="ticket.open", target=draw.entity),)


CERTIFICATE_EXPIRY = Fault(
    "certificate_expiry", "certificate_expiry", "escalate", self_heals=False, draw=_draw, inject=_inject, undo=_undo,
    present=_present, answers=_answers,
)  # fmt: skip
