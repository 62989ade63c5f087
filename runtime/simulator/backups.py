"""Backups of data stores: taken every night, kept as long as their store's setting says, and good or not.

Whether a restore point can be restored is not written on it: only a restore drill tells.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from domain.desired import DataStoreState
from runtime.simulator.queueing import Floats
from runtime.simulator.streams import stream

DAY_S = 86_400.0


@dataclass(slots=True, frozen=True)
class RestorePoint:
    """One cut of a store, so many seconds after the start of the world (before it: negative)."""

    taken_s: float
    sound: bool = True


class Backups:
    """Restore points per store, oldest first, and the jobs that write what nobody could restore."""

    def __init__(self, stores: Mapping[str, DataStoreState], seed: int) -> None:
        rng = stream(seed, "backups")
        # Each store has its own minute of the day, so the newest points are between zero and one day old.
        self._points = {store: [RestorePoint(-float(rng.uniform(0.0, DAY_S)))] for store in sorted(stores)}
        self._next_s = {store: points[-1].taken_s + DAY_S for store, points in self._points.items()}
        self._due_s = min(self._next_s.values(), default=np.inf)
        self.unsound: dict[str, float] = {}
        """Stores whose nightly job succeeds and writes what cannot be restored, and since when."""

    def step(self, now_s: float, stores: Mapping[str, DataStoreState]) -> None:
        """Run the jobs that are due; a store that keeps no backups takes none."""
        if now_s < self._due_s:
            return
        for store, due_s in self._next_s.items():
            if now_s >= due_s:
                self._next_s[store] = due_s + DAY_S
                days = stores[store].backup_retention_days
                if days > 0:
                    kept = [p for p in self._points[store] if p.taken_s >= now_s - days * DAY_S]
                    self._points[store] = [*kept, RestorePoint(now_s, sound=store not in self.unsound)]
        self._due_s = min(self._next_s.values(), default=np.inf)

    def take(self, store: str, now_s: float) -> None:
        """A restore point by hand: a snapshot of the disks, which owes nothing to the nightly job."""
        self._points[store].append(RestorePoint(now_s))

    def newest(self, store: str) -> RestorePoint | None:
        """What a restore would start from."""
        return self._points[store][-1] if self._points[store] else None

    def spoil(self, store: str, *, since_s: float) -> None:
        """Every point since then turns out to be worthless, and so does what the job writes from now on."""
        self._points[store] = [p if p.taken_s < since_s else RestorePoint(p.taken_s, sound=False)
                               for p in self._points[store]]  # fmt: skip
        self.unsound[store] = since_s

    def mend(self, store: str) -> None:
        """Let the job write sound points again and repair those there are."""
        self._points[store] = [RestorePoint(p.taken_s) for p in self._points[store]]
        self.unsound.pop(store, None)

    def lost_h(self, store: str, now_s: float) -> float:
        """Hours of data that would be lost if the store were lost now; inf where nothing can be restored."""
        return (now_s - max((p.taken_s for p in self._points[store] if p.sound), default=-np.inf)) / 3600.0

    def age_h(self, store: str, at_s: Floats) -> Floats:
        """(instants,) hours since the newest point then, as a monitor tells it: sound or not."""
        taken = np.array(sorted(p.taken_s for p in self._points[store]))
        where = np.searchsorted(taken, at_s, side="right") - 1
        newest = np.where(where >= 0, taken[np.maximum(where, 0)], -DAY_S)
        return (np.asarray(at_s, dtype=np.float64) - newest) / 3600.0
