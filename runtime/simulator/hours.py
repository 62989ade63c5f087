"""Services that run only in stated hours: no replicas outside them, whoever owns the replicas inside."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.simulator.queueing import Floats
from runtime.simulator.world import World


@dataclass(slots=True)
class Hours:
    """The scheduler's own loop; it ends when nothing has hours any more."""

    world: World

    def __call__(self, _now_s: float) -> None:
        """Look at the clock."""
        keep_hours(self.world)
        if not self.world.asleep.any() and all(s.schedule is None for s in self.world.live.services.values()):
            self.world.processes.pop("hours", None)


def keep_hours(world: World) -> None:
    """Put to sleep what is out of its hours and wake what is in them; between two hours there is nothing to do."""
    asleep = _asleep(world)
    woken = world.asleep & ~asleep
    if not woken.any() and not world.cluster.desired[asleep].any():
        return
    desired = world.cluster.desired.copy()
    desired[asleep] = 0.0
    desired[woken] = _first(world)[woken]
    world.cluster.desired, world.cluster.dirty = desired, True
    for service in dict.fromkeys(world.layout.rows[int(c)].id for c in np.flatnonzero(asleep ^ world.asleep)):
        now = "asleep" if asleep[world.layout.columns(service)].any() else "awake"
        world.note(f"service/{service}", "scaling", None, now, "schedule", f"{service} is {now} by its schedule")
    world.asleep = asleep


def _asleep(world: World) -> NDArray[np.bool_]:
    asleep = np.zeros(world.layout.size, dtype=np.bool_)
    for service, state in world.live.services.items():
        if state.schedule is not None and not state.schedule.runs_at(world.now):
            asleep[world.layout.columns(service)] = True
    return asleep


def _first(world: World) -> Floats:
    """Replicas a service wakes with: the floor of its policy, else what it shall have."""
    first = np.zeros(world.layout.size)
    for service, state in world.live.services.items():
        scales = state.scaling is not None and state.scaling.enabled
        replicas = state.scaling.min_replicas if scales and state.scaling else state.replicas
        first[world.layout.columns(service)] = float(replicas)
    return first
