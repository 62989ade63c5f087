"""The standing schedule that desired state declares: a point a day per tenant, each tried once, and none kept too long.

A store with `backup_retention_days` above 0 is backed up. Nothing of a tenant's data changes by any of this. A turn
copies or tries one store and no more, however many are due: turns of other loops wait behind it.
"""

import logging
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from domain.arguments import RestoreRun
from domain.backup import RestorePoint
from domain.desired import EnvironmentState
from domain.errors import Broken, Invalid, Refused, Unavailable
from domain.ids import PLATFORM, EnvironmentId, PrincipalId, TenantId
from domain.runtime_api import OperationRecord, Progress
from domain.tenancy import RuntimeTenantBinding
from runtime import operations, state
from runtime.parts import RuntimeParts
from runtime.services.backup.housekeeping import Housekeeping
from runtime.services.backup.points import Points, Wanted, place_for, retention_of
from runtime.services.backup.restores import Restores

_LOG = logging.getLogger(__name__)
EVERY = timedelta(days=1)
"""A point a day: the simulated platform's own promise (`runtime/simulator/backups.py`)."""
REST = timedelta(minutes=15)
"""Between two rounds of looking at what is due: a hundredth of a day."""
Place = tuple[EnvironmentId, RuntimeTenantBinding]


@dataclass(slots=True)
class Schedule:
    """The control loop. What it holds in memory is when to look again and whom to look at; all else is in documents."""

    parts: RuntimeParts
    _due: datetime | None = field(default=None)
    _left: deque[Place] = field(default_factory=deque[Place])
    _trial: OperationRecord | None = field(default=None)

    async def turn(self) -> None:
        """Do the next piece of what is due; begin a round where the last one has rested long enough."""
        now = self.parts.clock.now()
        if self.parts.planes.stores is None:
            return
        if not self._left and (self._due is None or now >= self._due):
            self._due, self._trial = now + REST, None
            with self.parts.database.read() as connection:
                self._left.extend((e, b) for e in state.names(connection) for b in state.bound_tenants(connection, e))
            await Housekeeping(Points(self.parts)).tidy()
        while self._left and not await self._worked(*self._left[0]):
            self._left.popleft()

    async def _worked(self, environment: EnvironmentId, binding: RuntimeTenantBinding) -> bool:
        """Do one piece for a tenant; tell whether there was one."""
        try:
            return await self._piece(environment, binding)
        except (Refused, Invalid, Unavailable, Broken) as error:
            # One tenant's point must not keep the others from theirs.
            _LOG.warning("no restore point of %s in %s: %s", binding.tenant, environment, error)
            return False

    async def _piece(self, environment: EnvironmentId, binding: RuntimeTenantBinding) -> bool:
        points, now = Points(self.parts), self.parts.clock.now()
        held = points.listed(environment, [binding.tenant])
        self._pruned(environment, binding.tenant, held)
        newest = next((p for p in held if p.trigger == "schedule"), None)
        if newest is None or newest.taken_at + EVERY <= now:
            newest = await self._begun(environment, binding)
        if newest is None:
            return False
        if newest.status == "taking":
            await points.advance(newest)
            return True
        return newest.status == "kept" and newest.proof.status == "untried" and await self._tried(newest)

    def _pruned(self, environment: EnvironmentId, tenant: TenantId, held: tuple[RestorePoint, ...]) -> None:
        """Drop what is too old, unless a restore of the tenant is going on, which may need it."""
        now = self.parts.clock.now()
        with self.parts.database.read() as connection:
            going_on = operations.open_ones(connection)
        if any(r.environment == environment and r.arguments.get("tenant") == tenant for r in going_on):
            return
        for old in held:
            if old.expires_at <= now:
                Points(self.parts).drop(old)

    async def _begun(self, environment: EnvironmentId, binding: RuntimeTenantBinding) -> RestorePoint | None:
        points = Points(self.parts)
        with self.parts.database.read() as connection:
            desired: EnvironmentState = state.current(connection, environment).effective(self.parts.clock.now())
        regions = (await self.parts.target.topology(environment)).regions
        every = await points.plane.stores(binding.tenant)
        stores = tuple(
            s for s in every if s.id in desired.data_stores and desired.data_stores[s.id].backup_retention_days
        )
        if not stores:
            return None
        region, days = place_for(binding, None, regions), retention_of(stores, desired)
        wanted = Wanted(binding.tenant, environment, stores, stores == every, region, days)
        return await points.begin(f"point-{self.parts.ids.ulid()}", wanted, "schedule")

    async def _tried(self, point: RestorePoint) -> bool:
        """Try the next store of a point, as `restore.drill` does; an interrupted trial is begun again."""
        record = self._trial
        if record is None or record.target != f"restore_point/{point.id}":
            record = self._record(point)
        progress = await Restores(Points(self.parts)).step(record)
        self._trial = record.model_copy(update={"progress": progress})
        return True

    def _record(self, point: RestorePoint) -> OperationRecord:
        said = RestoreRun(restore_point=point.id, tenant=point.tenant)
        return OperationRecord(
            id=f"trial-{point.id}", tenant=TenantId(PLATFORM), environment=point.environment,
            idempotency_key=f"trial-{point.id}", kind="restore.drill", target=f"restore_point/{point.id}",
            arguments=said.model_dump(mode="json"), actor=PrincipalId("service:backup"),
            accepted_at=self.parts.clock.now(), progress=Progress(status="accepted", fraction=0.0),
        )  # fmt: skip
