"""The simulated world's regions: provider signals from its zones, probes from what answers requests, room from pools.

The two kinds of witness read different parts of the world: zones' heartbeats, and replicas that are up to answer.
"""

from dataclasses import dataclass

import numpy as np

from domain.errors import NotFound
from runtime.regions.memory import witnesses_of
from runtime.regions.ports import RegionPlace, Room, Testimony
from runtime.simulator.pricing import SKUS
from runtime.simulator.world import World

REACHES = "probe/"


@dataclass(frozen=True, slots=True)
class SimulatedRegions:
    """Regions over one world."""

    world: World

    async def places(self) -> tuple[RegionPlace, ...]:
        """Return every region."""
        return tuple(RegionPlace(r.id, r.paired_with) for r in self.world.spec.regions)

    async def testimonies(self) -> tuple[Testimony, ...]:
        """Return what every witness sees now."""
        names = self.world.layout.regions
        return tuple(
            self._probe(witness, region) if witness.startswith(REACHES) else self._provider(witness, region)
            for region in names
            for witness in witnesses_of(region, names)
        )

    async def room(self, region: str) -> Room:
        """Return the room in a region."""
        if region not in self.world.layout.regions:
            raise NotFound("no such region")
        used = self.world.cluster.requested_cores()
        pools = [p for p in self.world.spec.node_pools if p.region == region]
        most = sum(p.max_nodes * SKUS[self.world.node_pools[p.id].sku].cores for p in pools)
        return Room(sum(float(used[self.world.layout.pools.index(p.id)]) for p in pools), float(most))

    def _provider(self, witness: str, region: str) -> Testimony:
        zones = self.world.cluster.zone_up[self.world.layout.regions.index(region)]
        up = int(np.count_nonzero(zones))
        return Testimony(witness, region, "up" if up else "down", f"{up} zones send heartbeats")

    def _probe(self, witness: str, region: str) -> Testimony:
        """Try what serves in the region. A probe that stands in a dark region can say nothing."""
        stands = witness.removeprefix(REACHES)
        if stands in self.world.layout.regions and not self._answering(stands):
            return Testimony(witness, region, "silent", f"nothing in {stands} runs that could look")
        count = self._answering(region)
        return Testimony(witness, region, "up" if count else "down", f"{count} services answer")

    def _answering(self, region: str) -> int:
        layout = self.world.layout
        here = layout.region_of == layout.regions.index(region)
        return int(np.count_nonzero(here & (self.world.cluster.ready > 0.0) & ~self.world.external))
