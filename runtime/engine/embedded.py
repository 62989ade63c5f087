"""The embedded engine: previews by comparing states, applies by handing the effective state to a compute target."""

from domain.changes import ResourceChange
from domain.desired import DesiredState, EnvironmentState
from domain.ports import Clock
from runtime.differences import state_changes
from runtime.ports import ComputeTarget


class EmbeddedEngine:
    """The domain's Engine over a ComputeTarget."""

    def __init__(self, target: ComputeTarget, clock: Clock) -> None:
        self._target = target
        self._clock = clock

    async def preview(self, before: EnvironmentState, after: EnvironmentState) -> tuple[ResourceChange, ...]:
        """Return every field that an apply would change."""
        return state_changes(before, after)

    async def apply(self, desired: DesiredState, *, key: str) -> None:
        """Make the effective state live, once per key."""
        await self._target.apply(desired.environment, desired.effective(self._clock.now()), key=key)
