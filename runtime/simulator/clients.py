"""How the users of an entry behave while it does not answer: they give up after a while and ask again.

Repeats are load like any other. Where answers come later than users wait, all of the work is for nothing, and the
repeats keep it so after whatever began it is gone (metastable failure: Bronson et al., 2021; Huang et al., 2022).
"""

from dataclasses import dataclass, field

import numpy as np

from runtime.simulator.plant import Readings
from runtime.simulator.queueing import Z95, Floats, attempts_until_success, share_above

# Users come back within some twenty seconds: half of a step's change shows in the next.
COMING_BACK = 0.5
# Below one repeat in a hundred requests nothing is told apart from noise.
NOTICED = 0.01


@dataclass(slots=True, frozen=True)
class Habit:
    """The users of some workloads: how long they wait for an answer, and how often they ask again."""

    columns: tuple[int, ...]
    patience_s: float
    repeats: float


@dataclass(slots=True)
class Clients:
    """All habits by name, and how many attempts a request takes at present; most users here ask once."""

    attempts: Floats
    """(workloads,) requests sent per request meant."""
    habits: dict[str, Habit] = field(default_factory=dict[str, Habit])

    def observe(self, readings: Readings, admitted: Floats) -> None:
        """Let users see what became of their requests; `admitted` (workloads,) is what no limit turned away."""
        for habit in self.habits.values():
            columns = list(habit.columns)
            p50, p95 = readings.latency_p50_ms[columns], readings.latency_p95_ms[columns]
            late = share_above(np.array(1000.0 * habit.patience_s), p50, np.log(p95 / p50) / Z95)
            answered = (1.0 - readings.error_share[columns]) * (1.0 - late) * admitted[columns]
            wanted = attempts_until_success(1.0 - answered, np.array(habit.repeats))
            self.attempts[columns] += COMING_BACK * (wanted - self.attempts[columns])

    def drop(self, name: str) -> None:
        """These users are as patient as others again."""
        habit = self.habits.pop(name, None)
        if habit is not None:
            self.attempts[list(habit.columns)] = 1.0

    def repeated(self) -> Floats | None:
        """(workloads,) share of requests that are repeats; None where hardly any are."""
        share = 1.0 - 1.0 / self.attempts
        return share if (share > NOTICED).any() else None
