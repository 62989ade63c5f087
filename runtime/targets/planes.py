"""The planes of the simulated target, all over the same world."""

from pathlib import Path

from runtime.planes import Planes
from runtime.targets.billing import SimulatedBilling
from runtime.simulator.world import World


def simulated_planes(world: World, home: Path) -> Planes:
    """Return every capability of a simulated world; files that planes keep lie under `home`."""
    del home
    return Planes(billing=SimulatedBilling(world))
