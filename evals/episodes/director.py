"""Plays a scenario's timeline on a world, the same way for whoever answers it: the product or a baseline.

The director holds the truth; nothing of it is written where readers look.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from domain.errors import NotFound
from evals.scenarios.decoys import DECOYS
from evals.scenarios.drawing import Moment, Setting, number
from evals.scenarios.model import DecoyAt, FaultAt
from runtime.simulator import faults
from runtime.simulator.faults import Draw, Truth
from runtime.simulator.faults.targets import callers_of
from runtime.simulator.streams import stream
from runtime.simulator.world import World


@dataclass(slots=True)
class Director:
    """One performance: what is still to come, what has happened, what is true now."""

    setting: Setting
    world: World
    moments: tuple[Moment, ...]
    opened: datetime = field(init=False)
    struck: list[tuple[Draw, Truth]] = field(default_factory=list[tuple[Draw, Truth]])
    """Faults that came, in order."""
    lifted: set[int] = field(default_factory=set[int])
    """Places in `struck` whose cause went away by itself."""
    _next: int = 0
    _lifts: list[tuple[datetime, int]] = field(default_factory=list[tuple[datetime, int]])

    def __post_init__(self) -> None:
        self.opened = self.world.now
        for moment in self.moments:
            # teams pause the pipeline of what is being worked on: nobody releases over the fault that was aimed
            if moment.draw is not None and (service := moment.draw.names.get("service")) is not None:
                self.world.live.held.add(service)

    @property
    def ends(self) -> datetime:
        """When judging ends."""
        return self.opened + timedelta(minutes=self.setting.minutes)

    @property
    def since_s(self) -> float:
        """World seconds at which the first fault comes; judging starts there. Opening, where nothing is wrong."""
        first = next((m.minute for m in self.moments if isinstance(m.what, FaultAt)), 0.0)
        return (self.opened - self.world.spec.start).total_seconds() + first * 60.0

    @property
    def next_at(self) -> datetime:
        """When the director acts next; the end where nothing is to come."""
        waiting = [at for at, _ in self._lifts]
        if self._next < len(self.moments):
            waiting.append(self.opened + timedelta(minutes=self.moments[self._next].minute))
        return min([*waiting, self.ends])

    def act(self) -> tuple[Moment, ...]:
        """Do everything that is due; returns the moments that need more than a world (freezes, rivals, blindness)."""
        for at, place in [lift for lift in self._lifts if lift[0] <= self.world.now]:
            faults.undo(self.world, self.struck[place][0])
            self.lifted.add(place)
            self._lifts.remove((at, place))
        mine: list[Moment] = []
        while self._next < len(self.moments) and self._due(self.moments[self._next]):
            moment = self.moments[self._next]
            self._next += 1
            if isinstance(moment.what, FaultAt) and moment.draw is not None:
                self._strike(moment, moment.draw)
            elif isinstance(moment.what, DecoyAt):
                self._deceive(moment, moment.what)
            else:
                mine.append(moment)
        return tuple(mine)

    def _due(self, moment: Moment) -> bool:
        return self.world.now >= self.opened + timedelta(minutes=moment.minute)

    def _strike(self, moment: Moment, draw: Draw) -> None:
        self.struck.append((draw, faults.inject(self.world, draw)))
        if moment.lasts_minutes is not None:
            self._lifts.append((self.world.now + timedelta(minutes=moment.lasts_minutes), len(self.struck) - 1))

    def _deceive(self, moment: Moment, what: DecoyAt) -> None:
        if what.decoy not in DECOYS:
            raise NotFound(f"no such decoy: {what.decoy}; there are {', '.join(DECOYS)}")
        rng = stream(moment.rng_seed, "decoy")
        for _ in range(max(1, round(number(what.times, rng)))):
            DECOYS[what.decoy](self.world, self.service(what.where, rng), rng)

    def service(self, where: str, rng: np.random.Generator) -> str:
        """Return a service of the platform's own by its place beside the (first) fault; any, where nothing is wrong."""
        own = [s.id for s in self.world.layout.services if not s.external]
        draw = next((m.draw for m in self.moments if m.draw is not None), None)
        struck = None if draw is None else draw.entity.partition("/")[2]
        if struck is None or struck not in self.world.layout.service_index:
            return own[int(rng.integers(len(own)))]
        near = [*callers_of(self.world, struck), *_callees(self.world, struck)]
        if where == "same" and struck in own:
            return struck
        if where == "near" and (beside := [s for s in own if s in near]):
            return beside[int(rng.integers(len(beside)))]
        away = [s for s in own if s not in near and s != struck] or [s for s in own if s != struck]
        return away[int(rng.integers(len(away)))]

    def causes(self) -> tuple[tuple[Draw, Truth], ...]:
        """Return the faults that stay until somebody ends them: what a diagnosis must find."""
        stays = [isinstance(m.what, FaultAt) and m.what.lasts is None for m in self.moments if m.draw is not None]
        return tuple(pair for pair, stay in zip(self.struck, stays, strict=False) if stay)

    def present(self) -> bool:
        """Tell whether any cause is still there."""
        return any(faults.present(self.world, draw) for k, (draw, _) in enumerate(self.struck) if k not in self.lifted)


def _callees(world: World, service: str) -> list[str]:
    spec = world.spec.services[world.layout.service_index[service]]
    return [c.to for c in spec.calls]
