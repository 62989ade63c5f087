"""What stands beside every result: nobody at all, the autoscaler alone, a threshold runbook, chance, and an oracle.

Each lives through the same world from the same instant. None goes through governance: they show what the same minutes
are worth to somebody else, not how to do it.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import numpy as np

from domain.errors import Invalid
from domain.policies import ScalingPolicy
from evals.episodes.director import Director
from evals.episodes.measures import Measures, measure
from runtime.simulator import actuators, faults
from runtime.simulator.streams import stream
from runtime.simulator.verdict import hurting
from runtime.simulator.world import World

ROUND = timedelta(seconds=30)
"""As often as the product's own loop looks."""
PATIENCE = timedelta(minutes=3)
"""A threshold alert commonly has `for: 3m`, and a runbook step is given as long again to work (customary)."""
ROOM = 2
"""A runbook's scale-out doubles (customary)."""


class Responder(Protocol):
    """Somebody who may act on the world every thirty seconds."""

    def act(self, director: Director) -> None:
        """Look and act."""
        ...


class Nobody:
    """Nothing acts, not even the autoscalers, once something has happened."""

    def act(self, director: Director) -> None:
        """Stop the autoscalers for good when the first fault is there."""
        if director.struck:
            director.world.autoscaling = False


class AutoscalerOnly:
    """The world as it is configured, and nobody in it."""

    def act(self, director: Director) -> None:
        """Do nothing."""


class Oracle:
    """Takes every cause away at once: what perfect knowledge and an unlimited hand would save."""

    def __init__(self) -> None:
        self._undone = 0

    def act(self, director: Director) -> None:
        """Undo what has just happened."""
        for draw, _ in director.struck[self._undone :]:
            faults.undo(director.world, draw)
        self._undone = len(director.struck)


@dataclass(slots=True)
class Runbook:
    """Per service: restart, then scale, then roll back, one step each time the gate has been left long enough."""

    since: dict[str, object]
    step: dict[str, int]

    @classmethod
    def fresh(cls) -> "Runbook":
        """Return one that has done nothing yet."""
        return cls({}, {})

    def act(self, director: Director) -> None:
        """Take the next step for the service that hurts most and has hurt long enough."""
        world = director.world
        now = world.elapsed_s
        bad = [h.service for h in hurting(world)]
        for service in [s for s in self.since if s not in bad]:
            del self.since[service]
        for service in bad:
            began = self.since.setdefault(service, now)
            if isinstance(began, float) and now - began >= PATIENCE.total_seconds():
                self._next(world, service)
                self.since[service] = now
                return

    def _next(self, world: World, service: str) -> None:
        place = self.step.get(service, 0)
        self.step[service] = place + 1
        steps: tuple[Callable[[World, str], None], ...] = (_restart, _scale_out, _roll_back)
        if place < len(steps):
            steps[place](world, service)


@dataclass(slots=True)
class Chance:
    """A random legal action on a random service whenever something has hurt for three minutes."""

    rng: np.random.Generator
    next_s: float = 0.0

    def act(self, director: Director) -> None:
        """Draw an action and a service."""
        world = director.world
        if world.elapsed_s < self.next_s or not hurting(world):
            return
        self.next_s = world.elapsed_s + 2 * PATIENCE.total_seconds()
        own = [s.id for s in world.layout.services if not s.external]
        actions: tuple[Callable[[World, str], None], ...] = (_restart, _scale_out, _roll_back, _more_memory)
        actions[int(self.rng.integers(len(actions)))](world, own[int(self.rng.integers(len(own)))])


def _operation(world: World, what: str) -> str:
    return f"{what}-{world.elapsed_s:.0f}-{len(world.effects)}"


def _restart(world: World, service: str) -> None:
    actuators.restart(world, service, _operation(world, "restart"))


def _scale_out(world: World, service: str) -> None:
    state = world.live.services[service]
    if state.scaling is None:
        _write(world, service, replicas=state.replicas * ROOM)
        return
    policy = state.scaling
    wider = {"min_replicas": min(policy.min_replicas * ROOM, policy.max_replicas * ROOM),
             "max_replicas": policy.max_replicas * ROOM}  # fmt: skip
    _write(world, service, scaling=ScalingPolicy.model_validate(policy.model_dump() | wider))


def _roll_back(world: World, service: str) -> None:
    released = [c for c in world.journal.changes if c.entity == f"service/{service}" and c.kind == "deployment"]
    before = next((str(c.before) for c in reversed(released) if c.before is not None), None)
    if before is not None:
        _write(world, service, version=before)


def _more_memory(world: World, service: str) -> None:
    _write(world, service, memory_mib=world.live.services[service].memory_mib * ROOM)


def _write(world: World, service: str, **fields: object) -> None:
    state = world.environment_state()
    wanted = state.services[service].model_copy(update=fields)
    goal = state.model_copy(update={"services": {**state.services, service: wanted}})
    try:
        actuators.apply_desired(world, goal, _operation(world, "write"), actor="runbook")
    except Invalid:
        return  # what the world refuses a hand cannot do either


BASELINES: Mapping[str, Callable[[int], Responder]] = {
    "do_nothing": lambda _seed: Nobody(),
    "autoscaler": lambda _seed: AutoscalerOnly(),
    "runbook": lambda _seed: Runbook.fresh(),
    "random": lambda seed: Chance(stream(seed, "random-baseline")),
    "oracle": lambda _seed: Oracle(),
}


def live_through(director: Director, responder: Responder) -> Measures:
    """Play a director's whole timeline with the responder acting; returns the measures of the judged window."""
    world, standing = director.world, 0.0
    untouched = len(world.effects)
    while world.now < director.ends:
        director.act()
        responder.act(director)
        before = world.now
        world.advance(min(before + ROUND, max(director.next_at, before + ROUND / 3), director.ends))
        standing += (world.now - before).total_seconds() / 60.0 if director.present() else 0.0
    return measure(world, director.since_s, standing).model_copy(update={"acted": len(world.effects) - untouched})


def all_baselines(director: Director) -> dict[str, Measures]:
    """Live through copies of the director's world with every baseline; the director itself is left as it is.

    Where nothing is wrong only those two say anything that leave the world alone or might cry wolf.
    """
    names = ("autoscaler", "runbook") if director.setting.scenario.quiet else tuple(BASELINES)
    seed = director.setting.world_seed
    return {name: live_through(deepcopy(director), BASELINES[name](seed)) for name in names}
