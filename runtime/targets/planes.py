"""The planes of the simulated target, all over the same world."""

from pathlib import Path

from domain.ports import Entropy
from runtime.grid.table import TableGrid
from runtime.planes import Planes
from runtime.regions.simulated import SimulatedRegions
from runtime.simulator.world import World
from runtime.stores.simulated import SimulatedStores
from runtime.targets.billing import SimulatedBilling
from runtime.targets.simulated_faults import SimulatedFaults
from runtime.targets.traffic import SimulatedTraffic
from runtime.targets.trust import SimulatedCertificates, SimulatedCredentials


def simulated_planes(world: World, home: Path, entropy: Entropy) -> Planes:
    """Return every capability of a simulated world; files that planes keep lie under `home`."""
    return Planes(
        billing=SimulatedBilling(world),
        energy=TableGrid(),
        faults=SimulatedFaults(world),
        traffic=SimulatedTraffic(world),
        regions=SimulatedRegions(world),
        stores=SimulatedStores(world, home / "stores"),
        certificates=SimulatedCertificates(world, home / "trust"),
        credentials=SimulatedCredentials(world, home / "trust", entropy),
    )
