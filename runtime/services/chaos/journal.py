"""What happened in a run, in the Chaos Toolkit's journal format."""

from typing import Literal

from pydantic import Field, JsonValue

from domain.base import Frozen, UtcDatetime

RunStatus = Literal["running", "completed", "failed", "aborted", "interrupted"]
"""completed: it ran to its end, deviated or not; aborted: a safeguard, a person or the global stop ended it;
interrupted: whoever ran it died; failed: it did not start, or a rollback failed.
"""


class ActivityResult(Frozen):
    """One activity that was carried out."""

    activity: dict[str, JsonValue]
    status: Literal["succeeded", "failed"]
    start: UtcDatetime
    end: UtcDatetime
    duration: float
    output: JsonValue = None
    exception: str | None = None
    tolerance_met: bool | None = None


class SteadyState(Frozen):
    """One look at the hypothesis."""

    steady_state_met: bool
    probes: tuple[ActivityResult, ...]


class SteadyStates(Frozen):
    """The looks before and after."""

    before: SteadyState | None = None
    after: SteadyState | None = None


class Journal(Frozen):
    """One run of one experiment."""

    platform: str = "opsmesh"
    node: str
    """The environment it ran in."""
    experiment: dict[str, JsonValue]
    status: RunStatus = "running"
    deviated: bool = False
    start: UtcDatetime
    end: UtcDatetime | None = None
    duration: float | None = None
    steady_states: SteadyStates = SteadyStates()
    run: tuple[ActivityResult, ...] = ()
    rollbacks: tuple[ActivityResult, ...] = ()
    detail: str = Field(default="", max_length=2000)
    """Why it ended as it did, in a sentence."""
