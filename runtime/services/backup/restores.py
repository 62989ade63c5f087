"""Restoring one tenant: into copies first, compared row by row; then, when it is for real, in place beside all others.

A copy that differs from what stood at the cut marks the point unproven and ends the matter before anything is touched.
Every step is idempotent under the operation's key, so that it is gone on with after a crash at any line.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pydantic import JsonValue

from domain.backup import Proof, RestorePoint
from domain.errors import Unavailable
from domain.ids import TenantId
from domain.runtime_api import OperationRecord, Progress
from runtime.services.backup.in_place import InPlace
from runtime.services.backup.points import Points
from runtime.services.backup.trials import Trials
from runtime.stores.ports import Content, Cut

Result = dict[str, JsonValue]
SAID = 2000
"""Characters of a progress's detail: what its shape holds."""


@dataclass(frozen=True, slots=True)
class Restores:
    """Trial restores and restores in place."""

    points: Points

    @property
    def trials(self) -> Trials:
        """Restores into copies."""
        return Trials(self.points)

    @property
    def in_place(self) -> InPlace:
        """Restores of the stores themselves."""
        return InPlace(self.trials)

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
            trial = await self.trials.trial(record.id, point, rest[0], target)
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
        journal = await self.in_place.run(record, point, target)
        result |= journal.result
        match journal.phase:
            case "done":
                return await self._end(record, point, target, result)
            case "undone":
                return self._failed(record, result, f"everything stands as it stood before: {journal.reason}")
            case _:
                held = f"the tenant's writes stay held until a restore succeeds, say of {journal.before}"
                return self._failed(record, result, f"{held}: {journal.reason}")

    async def cancel(self, record: OperationRecord) -> Progress:
        """Stop before anything in place was touched, and remove the copies. Raises Refused."""
        await self.in_place.stop(record)
        self._clean(record)
        return Progress(status="cancelled", fraction=record.progress.fraction, result=record.progress.result)

    async def _target(self, point: RestorePoint, to: JsonValue, result: Result) -> Cut:
        """The cut is settled once: what is newest moves on."""
        if "target_seq" in result:
            return Cut(int(_number(result, "target_seq")), _instant(result["target_at"]))
        target = await self.trials.target(point, None if to is None else _instant(to))
        result["target_seq"], result["target_at"] = target.seq, target.at.isoformat()
        return target

    async def _judge(self, record: OperationRecord, point: RestorePoint, target: Cut, result: Result) -> None:
        """Say whether the copies are sound, each and together, and mark the point."""
        differences = [str(d) for d in _list(result.get("differences"))]
        if point.complete and not differences:
            copies: dict[str, Content] = {}
            for cut in point.stores:
                copies[cut.store] = await self.trials.copy(record.id, point, cut, target)
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

    async def _end(self, record: OperationRecord, point: RestorePoint, target: Cut, result: Result) -> Progress:
        now = self.points.parts.clock.now()
        if "rpo_s" not in result:
            result["rpo_s"] = await self._lost_if_now(point, target)
        result["rto_s"] = (now - record.accepted_at).total_seconds()
        self._clean(record)
        wrong = "; ".join(str(d) for d in _list(result["differences"]))
        if record.kind == "restore.run" and not result["proven"]:
            detail = f"nothing was changed: {point.id} cannot be restored: {wrong}"
            return self._failed(record, result, detail)
        detail = f"{point.id} is {'proven' if result['proven'] else f'unproven: {wrong}'}"
        if record.kind == "restore.run":
            stores = ", ".join(cut.store for cut in point.stores)
            rows = int(_number(result, "rows_compared"))
            detail = f"restored {rows} rows of {stores} from {point.id} as of {target.at.isoformat()}"
        return Progress(status="done", fraction=1.0, result=result, detail=detail[:SAID])

    def _failed(self, record: OperationRecord, result: Result, detail: str) -> Progress:
        self._clean(record)
        return Progress(status="failed", fraction=1.0, result=result, detail=detail[:SAID])

    async def _lost_if_now(self, point: RestorePoint, target: Cut) -> float | None:
        """Seconds of commits that would be lost if this were all there is; None where the stores are out of reach."""
        try:
            newest = await self.points.plane.barrier(point.tenant)
        except Unavailable:
            return None
        return (newest.at - target.at).total_seconds()

    def _clean(self, record: OperationRecord) -> None:
        shutil.rmtree(self.trials.folder / record.id, ignore_errors=True)


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []


def _number(result: Mapping[str, JsonValue], name: str) -> float:
    value = result.get(name, 0)
    return value if isinstance(value, int | float) else 0


def _instant(value: JsonValue) -> datetime:
    return datetime.fromisoformat(str(value))
