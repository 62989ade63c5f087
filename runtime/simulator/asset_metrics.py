"""What the estate's books tell about things that serve no request: what services cost, how old backups are."""

import numpy as np

from domain.evidence import SignalKind
from runtime.simulator.flow import Ints
from runtime.simulator.queueing import Floats
from runtime.simulator.world import World

Row = tuple[str, tuple[str, SignalKind, str, str], Floats]
"""(address, (metric, kind, unit, statistic), values per step)."""
_COST: tuple[str, SignalKind, str, str] = ("cost_usd_per_hour", "other", "USD/h", "avg")
_AGE: tuple[str, SignalKind, str, str] = ("backup_age_h", "other", "h", "avg")


def asset_rows(world: World, steps: Ints) -> list[Row]:
    """Running cost of every own service and age of every data store's newest backup, per step."""
    rows: list[Row] = [
        (s.address, _COST, world.history.service("cost_usd_per_hour", steps, world.layout.columns(s.id)))
        for s in world.layout.services
        if not s.external
    ]
    ends_s = (steps.astype(np.float64) + 1.0) * world.spec.step_s
    rows += [(f"data_store/{store}", _AGE, world.backups.age_h(store, ends_s)) for store in sorted(world.data_stores)]
    return rows
