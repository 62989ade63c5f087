"""Restoring one tenant: into copies first, compared row by row; then, when it is for real, in place beside all others.

A copy that differs from what stood at the cut marks the point unproven and ends the matter before anything is touched.
In place means: the tenant's writes are held, what stands there is kept as a point of its own, every store's rows are
replaced in one transaction each, whoever was forgotten since is forgotten again, and the writes go on. Each of these
is idempotent under the operation's key, so that it is gone on with after a crash at any line.
"""

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import JsonValue

from domain.backup import Proof, RestorePoint, StoreCut
from domain.base import Frozen, Slug, UtcDatetime
from domain.errors import Broken, Invalid, Unavailable
from domain.ids import PLATFORM, TenantId
from domain.runtime_api import OperationRecord, Progress
from runtime.documents import Documents, Place
from runtime.services.backup.content import compare, index_of, replayed
from runtime.services.backup.points import Points, Wanted
from runtime.stores.ports import Content, Cut

Result = dict[str, JsonValue]


class Begun(Frozen):
    """A restore in place has begun to change stores: it can be finished and no longer cancelled."""

    point: Slug
    held_at: UtcDatetime
    held_seq: int
    last_commit_at: UtcDatetime


BEGUN = Documents("restore_begun", Begun)


@dataclass(frozen=True, slots=True)
class Trial:
    """What a restore into a copy gave: rows compared, what differs, and how long it took."""

    content: Content
    rows: int
    differences: tuple[str, ...]
    work_ms: float


@dataclass(frozen=True, slots=True)
class Restores:
    """Trial restores and restores in place."""

    points: Points

    async def target(self, point: RestorePoint, to: datetime | None) -> Cut:
        """Return the cut to restore to. Raises Invalid for an instant before the point's cut or in the future."""
        if to is None:
            return Cut(point.cut_seq, point.cut_at)
        if to < point.cut_at:
            raise Invalid(f"the point's cut is at {point.cut_at.isoformat()}, after that", reason="before_cut")
        if to > self.points.parts.clock.now():
            raise Invalid("nothing is committed in the future", reason="after_now")
        return await self.points.plane.barrier(point.tenant, to)

    async def trial(self, point: RestorePoint, cut: StoreCut, target: Cut, into: Path) -> Trial:
        """Restore one store into a copy and compare it; what cannot be restored says why."""
        plane, began = self.points.plane, time.perf_counter()
        content: Content = {}
        rows, differences = 0, ()
        try:
            secret = await plane.open_key(cut.key)
            content = self.points.vault.content(point, cut, secret, into)
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

    async def step(self, record: OperationRecord) -> Progress:
        """Restore the next store into a copy; after the last one judge, and go on in place where that is asked."""
        arguments, result = record.arguments, dict(record.progress.result)
        tenant, name = str(arguments["tenant"]), str(arguments["restore_point"])
        point = self.points.find(record.environment, TenantId(tenant), name)
        to = arguments.get("to")
        target = await self._target(point, to, result)
        done = _list(result.get("stores"))
        rest = [cut for cut in point.stores if cut.store not in done]
        if rest:
            trial = await self.trial(point, rest[0], target, self._copy(record, rest[0].store))
            result["stores"] = [*done, rest[0].store]
            result["rows_compared"] = _number(result, "rows_compared") + trial.rows
            result["differences"] = [*_list(result.get("differences")), *trial.differences]
            result["work_ms"] = _number(result, "work_ms") + round(trial.work_ms, 1)
            if len(rest) > 1:
                share = 1.0 - (len(rest) - 1) / len(point.stores)
                return Progress(
                    status="running", fraction=share * 0.6, result=result, detail=f"restored {rest[0].store}"
                )
        if "proven" not in result:
            await self._judge(record, point, target, result)
        if record.kind == "restore.drill" or not result["proven"]:
            return await self._end(record, point, target, result)
        if "agreed" not in result:
            result["agreed"] = True
            return Progress(status="running", fraction=0.7, result=result, detail="copies are sound, going in place")
        await self._in_place(record, point, target, result)
        return await self._end(record, point, target, result)

    async def cancel(self, record: OperationRecord) -> Progress:
        """Stop before anything in place was touched, and remove the copies."""
        self._clean(record)
        return Progress(status="cancelled", fraction=record.progress.fraction, result=record.progress.result)

    def begun(self, record: OperationRecord) -> Begun | None:
        """Return since when the restore changes stores, None while it does not."""
        place = Place(environment=record.environment, tenant=PLATFORM)
        with self.points.parts.database.read() as connection:
            found = BEGUN.get(connection, place, record.id)
        return None if found is None else found.body

    async def _target(self, point: RestorePoint, to: JsonValue, result: Result) -> Cut:
        """The cut is settled once: what is newest moves on."""
        if "target_seq" in result:
            return Cut(int(_number(result, "target_seq")), _instant(result["target_at"]))
        target = await self.target(point, None if to is None else _instant(to))
        result["target_seq"], result["target_at"] = target.seq, target.at.isoformat()
        return target

    async def _judge(self, record: OperationRecord, point: RestorePoint, target: Cut, result: Result) -> None:
        """Say whether the copies are sound, each and together, and mark the point."""
        differences = [str(d) for d in _list(result.get("differences"))]
        if point.complete and not differences:
            copies = {cut.store: (await self._read(record, point, cut, target)).content for cut in point.stores}
            differences += await self.points.plane.misfits(point.tenant, copies)
        result["differences"], result["proven"] = list[JsonValue](differences), not differences
        proof = Proof(
            status="unproven" if differences else "proven",
            at=self.points.parts.clock.now(),
            operation=record.id,
            rows_compared=int(_number(result, "rows_compared")),
            differences=tuple(differences),
        )
        self.points.keep(point.model_copy(update={"proof": proof}))
        for store in point.asked:
            own = "; ".join(d for d in differences if d.startswith(f"{store}: "))
            found = own or "restored and readable"
            await self.points.plane.drilled(store, sound=not own, found=found, key=record.id)

    async def _in_place(self, record: OperationRecord, point: RestorePoint, target: Cut, result: Result) -> None:
        plane, key = self.points.plane, record.idempotency_key
        begun = await self._begin(record, point, key)
        kept = await self._kept_before(record, point)
        lost: set[int] = set()
        for cut in point.stores:
            copy = (await self._read(record, point, cut, target)).content
            replaced = await plane.replace(cut.store, point.tenant, copy, key=key)
            stands = await plane.content(cut.store, point.tenant, replaced.seq)
            wrong = compare(index_of(copy), stands).differences
            if wrong or replaced.others_before != replaced.others_after:
                # The tenant stays on hold: half a restore must not be written on.
                raise Broken(
                    f"{cut.store} does not hold what was restored: {'; '.join(wrong)}", reason="restore_unequal"
                )
            lost |= {e.seq for e in await plane.log(cut.store, point.tenant, target.seq, begun.held_seq)}
            result[f"others_unchanged/{cut.store}"] = replaced.others_after
        again = await plane.erasures(point.tenant, target.seq)
        for erasure in again:
            await plane.erase(point.tenant, erasure.subject)
        await plane.release(point.tenant, key)
        result |= {
            "kept_before": kept.id,
            "erased_again": len(again),
            "commits_taken_back": len(lost),
            "rpo_s": max((begun.last_commit_at - target.at).total_seconds(), 0.0),
            "held_s": (self.points.parts.clock.now() - begun.held_at).total_seconds(),
        }

    async def _begin(self, record: OperationRecord, point: RestorePoint, key: str) -> Begun:
        if (known := self.begun(record)) is not None:
            return known
        cut, now = await self.points.plane.hold(point.tenant, key), self.points.parts.clock.now()
        begun = Begun(point=point.id, held_at=now, held_seq=cut.seq, last_commit_at=cut.at)
        with self.points.parts.database.begin() as connection:
            BEGUN.put(connection, Place(environment=record.environment, tenant=PLATFORM), record.id, begun, at=now)
        return begun

    async def _kept_before(self, record: OperationRecord, point: RestorePoint) -> RestorePoint:
        """Keep what stands there now: a restore of the wrong point can be restored from."""
        stores = tuple(s for s in await self.points.plane.stores(point.tenant) if s.id in point.asked)
        days = max((point.expires_at - point.taken_at).days, 1)
        wanted = Wanted(point.tenant, point.environment, stores, point.complete, point.region, days)
        kept = await self.points.begin(f"{record.id}-before", wanted, "restore")
        while kept.status == "taking":
            kept = await self.points.advance(kept)
        return kept

    async def _read(self, record: OperationRecord, point: RestorePoint, cut: StoreCut, target: Cut) -> Trial:
        """The copy again, from the vault: nothing is held in memory between two steps."""
        trial = await self.trial(point, cut, target, self._copy(record, cut.store))
        if trial.differences:
            raise Invalid("; ".join(trial.differences), reason="archive_altered")
        return trial

    async def _end(self, record: OperationRecord, point: RestorePoint, target: Cut, result: Result) -> Progress:
        now = self.points.parts.clock.now()
        if "rpo_s" not in result:
            result["rpo_s"] = await self._lost_if_now(point, target)
        result["rto_s"] = (now - record.accepted_at).total_seconds()
        self._clean(record)
        wrong = "; ".join(str(d) for d in _list(result["differences"]))
        if record.kind == "restore.run" and not result["proven"]:
            detail = f"nothing was changed: {point.id} cannot be restored: {wrong}"
            return Progress(status="failed", fraction=1.0, result=result, detail=detail[:2000])
        detail = f"{point.id} is {'proven' if result['proven'] else f'unproven: {wrong}'}"
        return Progress(status="done", fraction=1.0, result=result, detail=detail[:2000])

    async def _lost_if_now(self, point: RestorePoint, target: Cut) -> float | None:
        """Seconds of commits that would be lost if this were all there is; None where the stores are out of reach."""
        try:
            newest = await self.points.plane.barrier(point.tenant)
        except Unavailable:
            return None
        return (newest.at - target.at).total_seconds()

    def _copy(self, record: OperationRecord, store: str) -> Path:
        return self.points.parts.home / "restores" / record.id / f"{store}.db"

    def _clean(self, record: OperationRecord) -> None:
        shutil.rmtree(self.points.parts.home / "restores" / record.id, ignore_errors=True)


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []


def _number(result: Mapping[str, JsonValue], name: str) -> float:
    value = result.get(name, 0)
    return value if isinstance(value, int | float) else 0


def _instant(value: JsonValue) -> datetime:
    return datetime.fromisoformat(str(value))
