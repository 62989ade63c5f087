"""Yearly averages of grids: the figures that are there without a feed. They say nothing about hours.

The one place of these figures: the carbon service and the simulator's twin read them here.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from domain.errors import Unavailable
from runtime.grid.ports import GridPoint

GRID_GCO2E_PER_KWH: Final[Mapping[str, float]] = {
    "westeurope": 253.0, "northeurope": 280.0, "francecentral": 45.0, "francesouth": 45.0, "uksouth": 210.0,
    "ukwest": 210.0, "eastus": 370.0, "westus": 370.0,
}  # fmt: skip
"""By region: the yearly average of its country. Nobody's contracts are known here: no market-based figure."""
SOURCE: Final = "Ember electricity data, country average, rounded"
YEAR: Final = "2024"
YEARLY_SD: Final = 0.1
"""Assumed, not measured: years differ, and a region is not its country. Nothing published states it for a region."""


class TableGrid:
    """A `GridIntensity` over the table."""

    async def at(self, region: str, instant: datetime) -> GridPoint:
        """Return the year's average, whatever the instant. Raises Unavailable for a region outside the table."""
        del instant
        if (grams := GRID_GCO2E_PER_KWH.get(region)) is None:
            raise Unavailable(f"no grid intensity is known for {region}", reason="grid_unknown")
        return GridPoint(region=region, location_g_per_kwh=grams, relative_sd=YEARLY_SD, source=SOURCE, dated=YEAR)
