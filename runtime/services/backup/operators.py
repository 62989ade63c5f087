"""What runs `restore_point.create`, `restore.drill` and `restore.run` as long-running operations."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from domain.arguments import RestorePointCreate, RestoreRun
from domain.changes import CONTENT, Operation, ResourceChange
from domain.command_kinds import CommandKind
from domain.errors import Invalid, NotFound, OpsmeshError, Refused, Unavailable
from domain.ids import TenantId
from domain.runtime_api import OperationRecord, Progress
from runtime import state
from runtime.parts import RuntimeParts
from runtime.ports import Asked, OperationPlan, Operator
from runtime.services.backup.points import Points, Wanted, place_for, retention_of
from runtime.services.backup.restores import Restores
from runtime.stores.ports import Store


@dataclass(frozen=True, slots=True)
class TakePoint:
    """Takes one restore point, a store a step."""

    points: Points

    async def plan(self, asked: Asked) -> OperationPlan:
        """Plan the cut. Raises NotFound for a tenant or store out of view, Refused by residency or retention."""
        wanted = await self._wanted(asked)
        said: dict[str, JsonValue] = {"region": wanted.region, "retention_days": wanted.retention_days}
        tenant = wanted.tenant
        changes = tuple(_change(asked, store, tenant, "create", "restore_points", said) for store in wanted.stores)
        return OperationPlan(changes=changes, resources=(f"tenant/{tenant}/restore_points",))

    async def step(self, record: OperationRecord) -> Progress:
        """Copy the next store. The first step fixes the cut."""
        point = self.points.known(record.environment, TenantId(str(record.arguments["tenant"])), record.id)
        if point is None:
            point = await self.points.begin(record.id, await self._again(record), "request")
        try:
            point = await self.points.advance(point)
        except Unavailable:
            raise
        except OpsmeshError as error:
            point = self.points.fail(point, str(error))
        result: dict[str, JsonValue] = {
            "restore_point": point.id, "region": point.region, "cut_seq": point.cut_seq,
            "cut_at": point.cut_at.isoformat(),
            "rows": sum(t.rows for s in point.stores for t in s.tables.values()),
            "archive_bytes": sum(s.archive_bytes for s in point.stores),
        }  # fmt: skip
        if point.status == "taking":
            share = len(point.stores) / max(len(point.asked), 1)
            return Progress(status="running", fraction=share * 0.9, result=result)
        failed = point.status == "failed"
        return Progress(status="failed" if failed else "done", result=result, detail=point.reason)

    async def cancel(self, record: OperationRecord) -> Progress:
        """Remove what was copied so far."""
        tenant = TenantId(str(record.arguments["tenant"]))
        if (point := self.points.known(record.environment, tenant, record.id)) is not None:
            self.points.drop(point)
        return Progress(status="cancelled", fraction=record.progress.fraction, detail="its files are removed")

    async def _wanted(self, asked: Asked) -> Wanted:
        said = RestorePointCreate.model_validate(asked.meaning.arguments)
        tenant = TenantId(said.tenant)
        asked.view.check_owned(f"tenant/{tenant}")
        binding = next(b for b in asked.view.bindings() if b.tenant == tenant)
        every = await self.points.plane.stores(tenant)
        stores = _chosen(every, said.data_stores)
        region = place_for(binding, said.region, asked.view.topology().regions)
        days = retention_of(stores, asked.desired.effective(asked.at))
        return Wanted(tenant, asked.environment, stores, stores == every, region, days)

    async def _again(self, record: OperationRecord) -> Wanted:
        """What was planned, worked out from the record; refused where residency or retention has changed since."""
        said = RestorePointCreate.model_validate(record.arguments)
        tenant, parts = TenantId(said.tenant), self.points.parts
        with parts.database.read() as connection:
            bound = state.bound_tenants(connection, record.environment)
            desired = state.current(connection, record.environment)
        every = await self.points.plane.stores(tenant)
        stores = _chosen(every, said.data_stores)
        regions = (await parts.target.topology(record.environment)).regions
        region = place_for(next(b for b in bound if b.tenant == tenant), said.region, regions)
        days = retention_of(stores, desired.effective(record.accepted_at))
        return Wanted(tenant, record.environment, stores, stores == every, region, days)


@dataclass(frozen=True, slots=True)
class RunRestore:
    """Restores a tenant from a point: as a trial beside everything, or for real."""

    restores: Restores
    real: bool

    async def plan(self, asked: Asked) -> OperationPlan:
        """Plan the restore. Raises NotFound for a point that is missing or another's, Invalid for an instant out of it.

        For real it is Refused while the tenant's residency does not allow where the point lies.
        """
        said = RestoreRun.model_validate(asked.meaning.arguments)
        tenant = TenantId(said.tenant)
        asked.view.check_owned(f"tenant/{tenant}")
        point = self.restores.points.find(asked.environment, tenant, said.restore_point)
        if point.status != "kept":
            raise Invalid(f"{point.id} is {point.status}: there is nothing to restore", reason="point_unfinished")
        await self.restores.trials.target(point, said.to)
        binding = next(b for b in asked.view.bindings() if b.tenant == tenant)
        place_for(binding, point.region, asked.view.topology().regions)
        if self.real and point.proof.status == "unproven":
            raise Refused(f"{point.id} was tried and is not sound: {point.proof.differences[0]}", reason="unproven")
        after: dict[str, JsonValue] = {"restore_point": point.id, "cut_at": point.cut_at.isoformat()}
        after |= {} if said.to is None else {"to": said.to.isoformat()}
        operation: Operation = "replace" if self.real else "run"
        path = f"rows of {tenant}" if self.real else "restore_drill"
        stores = [s for s in await self.restores.points.plane.stores(tenant) if s.id in point.asked]
        changes = tuple(_change(asked, store, tenant, operation, path, after) for store in stores)
        lock = f"tenant/{tenant}/restore" if self.real else f"restore_point/{point.id}"
        return OperationPlan(changes=changes, resources=(lock,))

    async def step(self, record: OperationRecord) -> Progress:
        """Go on with the restore."""
        return await self.restores.step(record)

    async def cancel(self, record: OperationRecord) -> Progress:
        """Stop, where nothing in place was touched yet. Raises Refused."""
        return await self.restores.cancel(record)


def operators(parts: RuntimeParts) -> Mapping[CommandKind, Operator]:
    """Return the service's operators."""
    points = Points(parts)
    restores = Restores(points)
    return {
        "restore_point.create": TakePoint(points),
        "restore.drill": RunRestore(restores, real=False),
        "restore.run": RunRestore(restores, real=True),
    }


def _change(
    asked: Asked, store: Store, tenant: TenantId, operation: Operation, path: str, after: JsonValue
) -> ResourceChange:
    """A change of one store; of a shared one it is a change of the tenant only, for nobody else's rows are in it."""
    own = asked.view.owns(store.address) and store.tenant == tenant
    address, where = (store.address, path) if own else (f"tenant/{tenant}", f"{store.address}/{path}")
    where = f"{CONTENT}{where}"
    return ResourceChange(address=address, operation=operation, path=where, after=after)


def _chosen(every: tuple[Store, ...], named: tuple[str, ...]) -> tuple[Store, ...]:
    missing = set(named) - {s.id for s in every}
    if missing or not every:
        raise NotFound("no such resource")
    return tuple(s for s in every if not named or s.id in named)
