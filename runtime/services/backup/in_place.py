"""A restore in place: hold the tenant's writes, keep what stands there, replace store by store, let the writes go on.

Until the first row is replaced, whatever goes wrong lets the writes go on at once. From then on the restore is
finished, or what stood there is put back; a store that does not answer is waited for, and not forever. Every turn is in
the journal first, and every effect is idempotent under the operation's key: it is gone on with after a crash.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from pydantic import JsonValue

from domain.backup import RestorePoint, StoreCut
from domain.errors import Broken, OpsmeshError, Refused, Unavailable
from domain.ids import TenantId
from domain.runtime_api import OperationRecord
from runtime.documents import Place
from runtime.services.backup.content import compare, index_of
from runtime.services.backup.journal import JOURNALS, Journal, Phase, half_done
from runtime.services.backup.points import Points, Wanted
from runtime.services.backup.trials import Trials
from runtime.stores.ports import Content, Cut, DataPlane, Replaced

_LOG = logging.getLogger(__name__)
PATIENCE = timedelta(minutes=30)
"""For how long a store that went out of reach in the middle is waited for before what stood there is put back: longer
than a failover takes (`evals/services/recovery.py` bounds it), shorter than people bear writes that are turned away."""


@dataclass(frozen=True, slots=True)
class InPlace:
    """Restores in place, over the trials that give their copies."""

    trials: Trials

    @property
    def points(self) -> Points:
        """The points restored from."""
        return self.trials.points

    @property
    def plane(self) -> DataPlane:
        """Where the data is."""
        return self.points.plane

    def journal(self, record: OperationRecord) -> Journal | None:
        """Return how far an operation has come, None where it has held nothing yet."""
        place = Place(environment=record.environment, tenant=TenantId(str(record.arguments["tenant"])))
        with self.points.parts.database.read() as connection:
            found = JOURNALS.get(connection, place, record.id)
        return None if found is None else found.body

    async def run(self, record: OperationRecord, point: RestorePoint, target: Cut) -> Journal:
        """Go on to an end: `done`, `undone`, or `stuck` with the writes still held.

        Raises whatever keeps it from beginning, the writes going on; Unavailable where it is to be called again.
        """
        journal = self.journal(record) or self._opened(record, point)
        if journal.phase == "restoring" and not journal.touched:
            journal = await self._prepared(journal, point, target)
        if journal.phase == "restoring":
            journal = await self._replaced(journal, point, target)
        if journal.phase == "undoing":
            journal = await self._undone(journal)
        if journal.phase in {"done", "undone"}:
            await self.plane.release(journal.tenant, journal.key)
        if journal.phase == "done":
            await self._freed(journal)
        return journal

    async def stop(self, record: OperationRecord) -> None:
        """Let the writes go on. Raises Refused where rows may have been replaced."""
        journal = self.journal(record)
        if journal is not None and journal.touched:
            raise Refused("stores are being replaced: half a restore is worse than a whole one", reason="too_late")
        if journal is not None:
            await self.abandon(journal)

    async def abandon(self, journal: Journal) -> None:
        """End a restore that has touched nothing: the writes go on, and what was kept of the stores is not needed."""
        await self.plane.release(journal.tenant, journal.key)
        with self.points.parts.database.begin() as connection:
            JOURNALS.delete(connection, journal.place, journal.operation)
        if (before := self.points.known(journal.environment, journal.tenant, journal.before)) is not None:
            self.points.drop(before)

    def _opened(self, record: OperationRecord, point: RestorePoint) -> Journal:
        with self.points.parts.database.read() as connection:
            other = half_done(connection, point.environment, point.tenant)
        if other is not None and other.phase != "stuck":
            raise Unavailable(f"{other.operation} is still restoring {point.tenant}", reason="restoring")
        return self._keep(
            Journal(
                operation=record.id, environment=point.environment, tenant=point.tenant, point=point.id,
                key=record.idempotency_key, held_at=self.points.parts.clock.now(),
            )
        )  # fmt: skip

    async def _prepared(self, journal: Journal, point: RestorePoint, target: Cut) -> Journal:
        """Hold the writes, keep what stands there, and see that both ways are open; else let the writes go on."""
        ready = False
        try:
            cut = await self.plane.hold(journal.tenant, journal.key)
            before = await self._kept_before(journal, point, cut)
            for way, wanted in ((before, Cut(before.cut_seq, before.cut_at)), (point, target)):
                for part in way.stores:
                    await self.trials.copy(journal.operation, way, part, wanted)
            journal = self._keep(journal, held_seq=cut.seq, last_commit_at=cut.at)
            ready = True
        finally:
            if not ready:
                await self.abandon(journal)
        return journal

    async def _kept_before(self, journal: Journal, point: RestorePoint, cut: Cut) -> RestorePoint:
        """Keep what stands there now: what is put back when the restore fails, and restored from when it was wrong."""
        kept = self.points.known(journal.environment, journal.tenant, journal.before)
        if kept is not None and await self._written_since(kept, cut):
            self.points.drop(kept)  # of an earlier try, after which writes went on
        stores = tuple(s for s in await self.plane.stores(point.tenant) if s.id in point.asked)
        days = max((point.expires_at - point.taken_at).days, 1)
        wanted = Wanted(point.tenant, point.environment, stores, point.complete, point.region, days)
        kept = await self.points.begin(journal.before, wanted, "restore")
        while kept.status == "taking":
            kept = await self.points.advance(kept)
        return kept

    async def _written_since(self, kept: RestorePoint, cut: Cut) -> bool:
        logs = [await self.plane.log(store, kept.tenant, kept.cut_seq, cut.seq) for store in kept.asked]
        return any(logs)

    async def _replaced(self, journal: Journal, point: RestorePoint, target: Cut) -> Journal:
        """Replace every store, and forget again who was forgotten; what cannot be finished is to be put back."""
        since = self.points.parts.clock.now() - journal.held_at
        lost: set[int] = set()
        told: dict[str, JsonValue] = {}
        try:
            for part in point.stores:
                copy = await self.trials.copy(journal.operation, point, part, target)
                if part.store not in journal.touched:
                    journal = self._keep(journal, touched=(*journal.touched, part.store))
                replaced = await self._put(part, journal, copy, journal.key)
                log = await self.plane.log(part.store, journal.tenant, target.seq, journal.held_seq)
                lost |= {entry.seq for entry in log}
                told[f"others_unchanged/{part.store}"] = replaced.others_after
            erased = await self._forgotten(journal.tenant, target)
        except OpsmeshError as error:
            waiting = isinstance(error, Unavailable)
            if not journal.touched:
                await self.abandon(journal)
            if not journal.touched or (waiting and since < PATIENCE):
                raise
            reason = f"waited {since} in vain: {error}" if waiting else str(error)
            return self._keep(journal, phase="undoing", reason=reason)
        last = journal.last_commit_at or target.at
        told |= {
            "kept_before": journal.before,
            "erased_again": erased,
            "commits_taken_back": len(lost),
            "rpo_s": max((last - target.at).total_seconds(), 0.0),
            "held_s": since.total_seconds(),
        }
        return self._keep(journal, phase="done", result=told)

    async def _undone(self, journal: Journal) -> Journal:
        """Put back what stood there in every store that may have been touched."""
        told: dict[str, JsonValue] = {"kept_before": journal.before}
        try:
            before = self.points.find(journal.environment, journal.tenant, journal.before)
            there = Cut(before.cut_seq, before.cut_at)
            for part in _of(before.stores, journal.touched):
                copy = await self.trials.copy(journal.operation, before, part, there)
                await self._put(part, journal, copy, f"{journal.key}-back")
            told["erased_again"] = await self._forgotten(journal.tenant, there)
        except Unavailable:
            raise
        except OpsmeshError as error:
            wrong = f"{journal.reason}; and what stood there cannot be put back: {error}"
            _LOG.error("%s of %s is stuck, its writes stay held: %s", journal.operation, journal.tenant, wrong)
            return self._keep(journal, phase="stuck", reason=wrong, result=told | {"left": [*journal.touched]})
        _LOG.error("%s of %s failed and was taken back: %s", journal.operation, journal.tenant, journal.reason)
        return self._keep(journal, phase="undone", result=told)

    async def _put(self, part: StoreCut, journal: Journal, copy: Content, key: str) -> Replaced:
        """Replace one store's rows and read them again. Raises Broken where they are not what was put."""
        replaced = await self.plane.replace(part.store, journal.tenant, copy, key=key)
        wrong = compare(index_of(copy), await self.plane.content(part.store, journal.tenant, replaced.seq)).differences
        if replaced.others_before != replaced.others_after:
            wrong = (*wrong, "rows of others moved")
        if wrong:
            raise Broken(f"{part.store} does not hold what was put there: {'; '.join(wrong)}", reason="restore_unequal")
        return replaced

    async def _forgotten(self, tenant: TenantId, since: Cut) -> int:
        """Forget again whoever was forgotten since a cut; return how many."""
        again = await self.plane.erasures(tenant, since.seq)
        for erasure in again:
            await self.plane.erase(tenant, erasure.subject)
        return len(again)

    async def _freed(self, journal: Journal) -> None:
        """A whole restore ends what an earlier one left stuck."""
        with self.points.parts.database.read() as connection:
            other = half_done(connection, journal.environment, journal.tenant, but=journal.operation)
        while other is not None:
            await self.plane.release(other.tenant, other.key)
            with self.points.parts.database.begin() as connection:
                JOURNALS.delete(connection, other.place, other.operation)
                other = half_done(connection, journal.environment, journal.tenant, but=journal.operation)

    def _keep(self, journal: Journal, *, phase: Phase | None = None, **changed: object) -> Journal:
        newer = journal.model_copy(update=changed | {"phase": phase or journal.phase})
        with self.points.parts.database.begin() as connection:
            JOURNALS.put(connection, newer.place, newer.operation, newer, at=self.points.parts.clock.now())
        return newer


def _of(parts: Sequence[StoreCut], stores: Sequence[str]) -> tuple[StoreCut, ...]:
    return tuple(part for part in parts if part.store in stores)
