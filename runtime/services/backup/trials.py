"""Trials: one store of a point restored into a copy and compared, row by row, with what stood at the cut.

Nothing of it is held in memory between two steps: a copy is made again from the vault whenever it is needed.
"""

import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from domain.backup import RestorePoint, StoreCut
from domain.errors import Invalid
from runtime.services.backup.content import compare, index_of, replayed
from runtime.services.backup.points import Points
from runtime.stores.ports import Content, Cut


@dataclass(frozen=True, slots=True)
class Trial:
    """What a restore into a copy gave: rows compared, what differs, and how long it took."""

    content: Content
    rows: int
    differences: tuple[str, ...]
    work_ms: float


@dataclass(frozen=True, slots=True)
class Trials:
    """Restores into copies, one folder of them per operation."""

    points: Points

    @property
    def folder(self) -> Path:
        """Where the copies of all operations are; they are plain, and are removed when the operation ends."""
        return self.points.parts.home / "restores"

    async def target(self, point: RestorePoint, to: datetime | None) -> Cut:
        """Return the cut to restore to. Raises Invalid for an instant before the point's cut or in the future."""
        if to is None:
            return Cut(point.cut_seq, point.cut_at)
        if to < point.cut_at:
            raise Invalid(f"the point's cut is at {point.cut_at.isoformat()}, after that", reason="before_cut")
        if to > self.points.parts.clock.now():
            raise Invalid("nothing is committed in the future", reason="after_now")
        return await self.points.plane.barrier(point.tenant, to)

    async def trial(self, operation: str, point: RestorePoint, cut: StoreCut, target: Cut) -> Trial:
        """Restore one store into a copy and compare it; what cannot be restored says why."""
        plane, began = self.points.plane, time.perf_counter()
        content: Content = {}
        rows, differences = 0, ()
        try:
            secret = await plane.open_key(cut.key)
            content = self.points.vault.content(point, cut, secret, self.folder / operation / f"{cut.store}.db")
            found = compare(self.points.vault.index(point, cut, secret), content)
            rows, differences = found.rows, found.differences
            if target.seq > point.cut_seq and not differences:
                entries = await plane.log(cut.store, point.tenant, point.cut_seq, target.seq)
                head = await plane.chain(cut.store, point.tenant, target.seq)
                content = replayed(content, cut.chain, entries, head)
                wanted = index_of(await plane.content(cut.store, point.tenant, target.seq))
                found = compare(wanted, content)
                rows, differences = found.rows, found.differences
        except Invalid as error:
            differences = (str(error),)
        told = tuple(f"{cut.store}: {d}" for d in differences)
        return Trial(content, rows, told, (time.perf_counter() - began) * 1000)

    async def copy(self, operation: str, point: RestorePoint, cut: StoreCut, target: Cut) -> Content:
        """Return a sound copy of one store. Raises Invalid where it differs."""
        trial = await self.trial(operation, point, cut, target)
        if trial.differences:
            raise Invalid("; ".join(trial.differences), reason="archive_altered")
        return trial.content
