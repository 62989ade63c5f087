"""Processes that exit by themselves soon after they started, and the back-off before they are started again.

The replicas of a version go through it in the cohorts in which they were rolled out, each a little out of step.
"""

from dataclasses import dataclass, field

import numpy as np

from runtime.simulator.live import ROLLOUT_WAVES, Live
from runtime.simulator.queueing import Floats
from runtime.simulator.streams import stream

# CrashLoopBackOff of the kubelet: 10 s, doubled by every exit, at most five minutes.
FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 10.0, 300.0
# How much one life differs from the next (programs fail at the same point, machines are differently fast).
SPREAD = 0.3


@dataclass(slots=True)
class _Cohort:
    starts_s: float
    exits_s: float = np.inf
    backoff_s: float = FIRST_BACKOFF_S
    up: bool = True


@dataclass(slots=True)
class CrashLoop:
    """One version of a service that does not stay up. Times are seconds since the start of the world."""

    version: str
    lives_s: float
    startup_s: float
    rng: np.random.Generator
    cohorts: list[_Cohort] = field(default_factory=list[_Cohort])

    def begin(self, waves: Floats) -> None:
        """Cohorts come up at these instants."""
        self.cohorts = [_Cohort(float(at), float(at) + self.life()) for at in waves]

    def life(self) -> float:
        """How long a process lives this time."""
        return self.lives_s * float(self.rng.uniform(1.0 - SPREAD, 1.0 + SPREAD))

    def step(self, now_s: float) -> int:
        """Let processes exit and start that are due; returns how many cohorts exited."""
        exited = 0
        for cohort in self.cohorts:
            if cohort.up and now_s >= cohort.exits_s:
                cohort.up, exited = False, exited + 1
                cohort.starts_s = now_s + cohort.backoff_s + self.startup_s
                cohort.backoff_s = min(2.0 * cohort.backoff_s, LONGEST_BACKOFF_S)
            elif not cohort.up and now_s >= cohort.starts_s:
                cohort.up, cohort.exits_s = True, now_s + self.life()
        return exited

    def restarted(self, now_s: float) -> None:
        """Everything is started anew by hand: the back-off begins again."""
        for cohort in self.cohorts:
            cohort.up, cohort.exits_s, cohort.backoff_s = True, now_s + self.life(), FIRST_BACKOFF_S

    def up(self, replaced: int) -> float:
        """Share of the replicas that run, where the first `replaced` cohorts have another version again."""
        return (replaced + sum(cohort.up for cohort in self.cohorts[replaced:])) / len(self.cohorts)


@dataclass(slots=True)
class Crashes:
    """Every version that does not stay up, by service."""

    seed: int
    loops: dict[str, CrashLoop] = field(default_factory=dict[str, CrashLoop])

    def watch(self, live: Live, service: str, now_s: float, startup_s: float) -> None:
        """Take in a rollout that begins: its waves come up one start-up apart."""
        version = live.services[service].version
        traits, rollout = live.traits.get((service, version)), live.rollouts[service]
        if traits is not None and traits.exits_after_s > 0.0:
            rng = stream(self.seed, f"crashes-{service}-{version}")
            loop = self.loops[service] = CrashLoop(version, traits.exits_after_s, startup_s, rng)
            loop.begin(np.linspace(now_s, rollout.end_s, ROLLOUT_WAVES, endpoint=False))

    def step(self, live: Live, now_s: float, ready: Floats) -> Floats | None:
        """Take what is down off `ready` (workloads,) in place; returns exits per workload, None where none is known."""
        exits = np.zeros_like(ready) if self.loops else None
        for service, loop in tuple(self.loops.items()):
            columns, rollout = live.layout.columns(service), live.rollouts.get(service)
            gone = live.services[service].version != loop.version
            if gone and rollout is None:
                del self.loops[service]
            elif exits is not None:
                exits[columns] = ready[columns] * loop.step(now_s) / len(loop.cohorts)
                replaced = round(rollout.share(now_s) * ROLLOUT_WAVES) if gone and rollout is not None else 0
                ready[columns] *= loop.up(replaced)
        return exits

    def restarted(self, service: str, now_s: float) -> None:
        """A service's processes are all started anew by hand: for one life they are up, then it begins again."""
        if service in self.loops:
            self.loops[service].restarted(now_s)
