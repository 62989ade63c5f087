"""Step windows that all readers share."""

from datetime import datetime, timedelta
from math import ceil

from runtime.simulator.flow import Ints
from runtime.simulator.world import World


def steps_between(world: World, start: datetime, end: datetime) -> Ints:
    """Kept steps that begin in [start, end) and are over."""
    step = timedelta(seconds=world.spec.step_s)
    first = max(0, ceil((start - world.spec.start) / step))
    return world.history.rows(first, max(0, ceil((end - world.spec.start) / step)))
