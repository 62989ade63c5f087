"""What the carbon service asks of whoever knows grids: a table, a live feed."""

from datetime import datetime
from typing import Protocol

from pydantic import Field

from domain.base import Frozen, Slug


class GridPoint(Frozen):
    """What a kilowatt hour emits in one region at one instant, with where the figure is from."""

    region: Slug
    location_g_per_kwh: float = Field(ge=0)
    """gCO2e of the grid's own mix."""
    relative_sd: float = Field(ge=0, le=1)
    """Standard uncertainty of the figure, relative, as whoever tells it states or assumes it."""
    market_g_per_kwh: float | None = Field(ge=0, default=None)
    """gCO2e of what was contracted, or of the residual mix; None where nobody stated one."""
    source: str
    dated: str
    """What the figure is about: a year, a day, an instant."""


class GridIntensity(Protocol):
    """Says what grids emit."""

    async def at(self, region: str, instant: datetime) -> GridPoint:
        """Return the region's figure that holds at the instant. Raises Unavailable for a region it does not know."""
        ...
