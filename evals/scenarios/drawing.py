"""From a scenario and a seed to one situation: the world, the minutes, and which fault strikes whom.

Everything is drawn from the scenario's name and the seed, so two scenarios never share a world and a seed repeats.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from zlib import crc32

import numpy as np

from domain.errors import Invalid
from evals.scenarios.model import Drawn, FaultAt, Happening, Scenario
from runtime.simulator import faults
from runtime.simulator.faults import Draw
from runtime.simulator.generator import foreign_laws, random_world
from runtime.simulator.record import launch
from runtime.simulator.spec import WorldSpec
from runtime.simulator.streams import stream
from runtime.simulator.world import World

WARM_UP = timedelta(hours=3, minutes=30)
"""What a world lives through before anybody looks: the baseline of an evidence pack, and half an hour."""
TRIES = 12
"""Worlds drawn before a fault that finds nobody to strike is given up (one in three worlds suits the rarest fault)."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing that happens, with everything about it drawn."""

    minute: float
    what: Happening
    lasts_minutes: float | None = None
    draw: Draw | None = None
    rng_seed: int = 0


@dataclass(frozen=True, slots=True)
class Setting:
    """One situation, ready to be lived through."""

    scenario: Scenario
    seed: int
    world_seed: int
    spec: WorldSpec
    minutes: float


def setting(one: Scenario, seed: int) -> Setting:
    """Draw the situation of a seed. Raises Invalid when no drawn world holds what the scenario needs."""
    return _draw(one, seed, 0)


def _draw(one: Scenario, seed: int, attempt: int) -> Setting:
    world_seed = crc32(f"{one.name}/{seed}/{attempt}".encode()) & 0x7FFFFFFF
    rng = stream(world_seed, "scenario")
    plan = one.world
    laws = foreign_laws(world_seed) if plan.laws == "foreign" else None
    spec = random_world(
        world_seed, services=round(number(plan.services, rng)), tenants=round(number(plan.tenants, rng)),
        paired=plan.regions == "paired", laws=laws,
    )  # fmt: skip
    minutes = number(one.minutes, rng)
    acting = tuple(t.model_copy(update={"autonomy": "act"}) for t in spec.tenants)
    return Setting(one, seed, world_seed, spec.model_copy(update={"chatter": plan.chatter, "tenants": acting}), minutes)


Opened = tuple[Setting, World, tuple[Moment, ...]]
"""The situation, its world after the warm-up, and the moments to come, faults aimed."""


def open_world(one: Scenario, seed: int) -> Opened:
    """Return a seed's first situation. Raises Invalid when no world of it holds somebody for every fault to strike."""
    return next(worlds(one, seed))


def worlds(one: Scenario, seed: int) -> Iterator[Opened]:
    """Yield a seed's situations, the same for everybody who plays it. Raises Invalid when none has a target."""
    found = False
    for attempt in range(TRIES):
        drawn = _draw(one, seed, attempt)
        world = launch(drawn.spec, drawn.world_seed)
        world.advance(world.now + WARM_UP)
        world.journal.drain(world.elapsed_s)
        try:
            moments = _moments(drawn, world)
        except Invalid as error:
            if error.reason != "fault_has_no_target":
                raise
            continue
        found = True
        yield drawn, world, moments
    if not found:
        raise Invalid(f"{one.name}: no world of seed {seed} has a target for its fault", reason="fault_has_no_target")


def _moments(drawn: Setting, world: World) -> tuple[Moment, ...]:
    rng = stream(drawn.world_seed, "timeline")
    found: list[Moment] = []
    for place, what in enumerate(drawn.scenario.timeline):
        minute = number(what.at, rng)
        lasts = getattr(what, "lasts", None) or getattr(what, "freeze_minutes", None)
        draw = _aim(world, what.fault, drawn.world_seed + place, found) if isinstance(what, FaultAt) else None
        found.append(
            Moment(minute, what, None if lasts is None else number(lasts, rng), draw, int(rng.integers(1 << 31)))
        )
    return tuple(sorted(found, key=lambda m: m.minute))


def _aim(world: World, fault: str, seed: int, before: list[Moment]) -> Draw:
    """Draw the fault's target; a second fault strikes somebody else than the first."""
    struck = {m.draw.entity for m in before if m.draw is not None}
    for attempt in range(TRIES):
        draw = faults.draw(world, fault, seed + 1000 * attempt)
        if draw.entity not in struck:
            return draw
    raise Invalid(f"{fault} finds no second target", reason="fault_has_no_target")


def number(drawn: Drawn, rng: np.random.Generator) -> float:
    """Return the number, or one drawn between its bounds."""
    return float(rng.uniform(*drawn)) if isinstance(drawn, tuple) else float(drawn)
