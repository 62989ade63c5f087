"""A certificate, and a login, that nobody renewed in time. The certificate worker renews both; a rotation heals."""

import numpy as np

from runtime.simulator.faults.base import Answer, Draw, Fault
from runtime.simulator.faults.targets import hard_callers, pick, rate_per_region
from runtime.simulator.world import World

# The agents see it coming by this much; issuing and serving a new certificate is not among their actions.
NOTICE_S = 120.0
# Fewer requests than this a second and nobody would notice.
NOTICED_RPS = 3.0


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


def _secret_draw(world: World, rng: np.random.Generator) -> Draw:
    """A login whose holder fails without it."""
    held = [
        name
        for name, (holder, opens) in world.logins.holders.items()
        if holder in hard_callers(world, opens) and rate_per_region(world, holder) >= NOTICED_RPS
    ]
    name = pick(rng, held)
    return Draw(
        fault="secret_expired", entity=f"secret/{name}", also=(f"service/{world.logins.holders[name][0]}",),
        names={"secret": name}, numbers={"ends_s": world.elapsed_s, "before_s": world.logins.ends_s[name]},
    )  # fmt: skip


def _secret_ends(world: World, draw: Draw) -> None:
    world.logins.ends_s[draw.names["secret"]] = draw.numbers["ends_s"]
    world.check_certificates()


def _secret_lasts(world: World, draw: Draw) -> None:
    world.logins.ends_s[draw.names["secret"]] = draw.numbers["before_s"]
    world.check_certificates()


def _secret_present(world: World, draw: Draw) -> bool:
    return world.logins.ends_s[draw.names["secret"]] == draw.numbers["ends_s"]


SECRET_EXPIRED = Fault(
    "secret_expired", "secret_expired", "escalate", self_heals=False, draw=_secret_draw, inject=_secret_ends,
    undo=_secret_lasts, present=_secret_present, answers=_answers,
)  # fmt: skip
