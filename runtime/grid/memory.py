"""A grid feed in memory: holds the figures it was given, each from its instant on. Ships for tests."""

from dataclasses import dataclass, field
from datetime import datetime

from domain.errors import Unavailable
from runtime.grid.ports import GridPoint


@dataclass(slots=True)
class MemoryGrid:
    """A `GridIntensity` over a list of (since, point), oldest first."""

    told: list[tuple[datetime, GridPoint]] = field(default_factory=list[tuple[datetime, GridPoint]])

    async def at(self, region: str, instant: datetime) -> GridPoint:
        """Return the newest figure of the region that is not later than the instant."""
        held = [point for since, point in self.told if point.region == region and since <= instant]
        if not held:
            raise Unavailable(f"no grid intensity is known for {region}", reason="grid_unknown")
        return held[-1]
