"""When an incident gets its next agent run: a pure decision over what was run and what became of its commands.

One incident, one run at a time. A run waits while a command of the incident is on its way; a fix that did not hold
gives a new attempt, and after a few attempts a person is paged instead of trying further.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from domain.commands import TERMINAL, CommandRecord, State
from domain.incidents import Incident

SETTLE = timedelta(minutes=2)
"""Evidence gathers before the first run: a dozen ten-second samples, and the neighbours' symptoms fold in."""
AGAIN = timedelta(minutes=5)
"""An undecided incident is looked at again after another five-minute window of metrics."""
MAX_RUNS = 8
"""Undecided for forty minutes: a person looks (our choice, within an hour's error budget of a 99.9 % SLO)."""
MAX_ATTEMPTS = 3
"""Tried three different commands without success: a person decides. Published agents that try longer do more harm."""
_BAD: frozenset[State] = frozenset(
    {State.UNDONE, State.UNDO_FAILED, State.FAILED, State.INCONCLUSIVE, State.REJECTED, State.DENIED, State.EXPIRED}
)


@dataclass(frozen=True, slots=True)
class PastRun:
    """What the journal says of one finished run."""

    ended_at: datetime
    look_again_at: datetime | None = None
    """The run said to wait until then."""
    healthy: bool = False
    """It found nothing out of its usual range: no riddle for a person, however often it is asked."""


@dataclass(frozen=True, slots=True)
class Next:
    """What to do with an incident now."""

    action: Literal["run", "wait", "page"]
    attempt: int
    reason: str


def next_step(incident: Incident, runs: Sequence[PastRun], commands: Sequence[CommandRecord], *, at: datetime) -> Next:
    """Decide on the next run of an incident. `commands` are its forward commands."""
    attempt = 1 + sum(record.state in _BAD for record in commands)
    if open_ones := [r for r in commands if r.state not in TERMINAL]:
        return Next("wait", attempt, f"command {open_ones[0].command.id} is {open_ones[0].state}")
    if incident.status in {"resolved", "closed", "escalated"}:
        return Next("wait", attempt, f"incident is {incident.status}")
    if attempt > MAX_ATTEMPTS:
        return Next("page", attempt, f"{MAX_ATTEMPTS} attempts did not hold")
    if not runs:
        ready = incident.opened_at + SETTLE
        return Next("run" if at >= ready else "wait", attempt, "first run")
    last = runs[-1]
    if commands and commands[-1].updated_at >= last.ended_at:
        return Next("run", attempt, f"command {commands[-1].command.id} ended {commands[-1].state}")
    if sum(not past.healthy for past in runs) >= MAX_RUNS:
        return Next("page", attempt, f"undecided after {MAX_RUNS} runs")
    due = max(last.look_again_at or last.ended_at + AGAIN, last.ended_at)
    return Next("run" if at >= due else "wait", attempt, "looking again")
