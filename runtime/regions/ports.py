"""What failover asks about regions: where they are paired, what independent witnesses see, how much room there is.

A witness is somebody who looks from a place of its own, by means of its own. None of them is believed alone.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

Says = Literal["up", "down", "silent"]


@dataclass(frozen=True, slots=True)
class RegionPlace:
    """One region of the target."""

    id: str
    paired_with: str | None


@dataclass(frozen=True, slots=True)
class Testimony:
    """What one witness says about one region at this moment."""

    witness: str
    """Who looks: `provider/<region>` for the region's own health signal, `probe/<from>` for a probe from elsewhere."""
    region: str
    says: Says
    detail: str
    """What it saw, in a line a person can check."""


@dataclass(frozen=True, slots=True)
class Room:
    """CPU in one region, in cores."""

    used_cores: float
    """Requested by what runs there now."""
    most_cores: float
    """With every node pool at its largest."""


class Regions(Protocol):
    """The regions of one target."""

    async def places(self) -> tuple[RegionPlace, ...]:
        """Return every region."""
        ...

    async def testimonies(self) -> tuple[Testimony, ...]:
        """Return what every witness says about every region it looks at. One that does not answer is `silent`."""
        ...

    async def room(self, region: str) -> Room:
        """Return the room in a region. Raises NotFound where there is none of that name."""
        ...
