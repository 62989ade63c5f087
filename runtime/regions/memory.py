"""Regions in memory, for tests of everything above: witnesses say what they are told to say."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from domain.errors import NotFound
from runtime.regions.ports import RegionPlace, Room, Says, Testimony


@dataclass(slots=True)
class MemoryRegions:
    """Two or more regions, each seen by its own signal, by every other one, and from outside."""

    paired: dict[str, str | None]
    """Region -> the region it is paired with."""
    said: dict[tuple[str, str], Says] = field(default_factory=dict[tuple[str, str], Says])
    """(witness, region) -> what it says; `up` where nothing is set."""
    rooms: dict[str, Room] = field(default_factory=dict[str, Room])

    async def places(self) -> tuple[RegionPlace, ...]:
        """Return every region."""
        return tuple(RegionPlace(name, pair) for name, pair in self.paired.items())

    async def testimonies(self) -> tuple[Testimony, ...]:
        """Return what was set."""
        return tuple(
            Testimony(witness, region, self.said.get((witness, region), "up"), "as told")
            for region in self.paired
            for witness in witnesses_of(region, tuple(self.paired))
        )

    async def room(self, region: str) -> Room:
        """Return the room that was set; ample where none was."""
        if region not in self.paired:
            raise NotFound("no such region")
        return self.rooms.get(region, Room(used_cores=10.0, most_cores=100.0))

    def lose(self, region: str) -> None:
        """Let every witness of a region see it gone."""
        for witness in witnesses_of(region, tuple(self.paired)):
            self.said[witness, region] = "down"


def witnesses_of(region: str, regions: Sequence[str]) -> tuple[str, ...]:
    """Return who looks at a region: its provider, probes from every other region, and probes from outside."""
    return (f"provider/{region}", *(f"probe/{other}" for other in regions if other != region), *OUTSIDE)


OUTSIDE = ("probe/edge-1", "probe/edge-2")
"""Points of presence outside every region, on networks of their own."""
