"""The standing schedule that desired state declares: a point a day per tenant, each tried once, and none kept too long.

A store with `backup_retention_days` above 0 is backed up. Nothing of a tenant's data changes by any of this.
"""

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from domain.arguments import RestoreRun
from domain.backup import RestorePoint
from domain.desired import EnvironmentState
from domain.errors import Invalid, Refused, Unavailable
from domain.ids import PLATFORM, EnvironmentId, PrincipalId, TenantId
from domain.runtime_api import OperationRecord, Progress
from domain.tenancy import RuntimeTenantBinding
from runtime import state
from runtime.parts import RuntimeParts
from runtime.services.backup.points import Points, Wanted, place_for, retention_of
from runtime.services.backup.restores import Restores

_LOG = logging.getLogger(__name__)
EVERY = timedelta(days=1)
"""A point a day: the simulated platform's own promise (`runtime/simulator/backups.py`)."""
REST = timedelta(minutes=15)
"""Between two looks at what is due: a hundredth of a day."""


@dataclass(slots=True)
class Schedule:
    """The control loop. What it holds in memory is when to look again; all else is in documents."""

    parts: RuntimeParts
    _due: datetime | None = field(default=None)

    async def turn(self) -> None:
        """Take, try and prune what is due."""
        now = self.parts.clock.now()
        if self.parts.planes.stores is None or (self._due is not None and now < self._due):
            return
        self._due = now + REST
        with self.parts.database.read() as connection:
            places = [
                (e, state.current(connection, e), state.bound_tenants(connection, e)) for e in state.names(connection)
            ]
        for environment, desired, bound in places:
            regions = (await self.parts.target.topology(environment)).regions
            for binding in bound:
                try:
                    await self._tenant(environment, binding, desired.effective(now), regions)
                except (Refused, Invalid, Unavailable) as error:
                    # One tenant's point must not keep the others from theirs.
                    _LOG.warning("no restore point of %s in %s: %s", binding.tenant, environment, error)

    async def _tenant(
        self,
        environment: EnvironmentId,
        binding: RuntimeTenantBinding,
        desired: EnvironmentState,
        regions: tuple[str, ...],
    ) -> None:
        points, now = Points(self.parts), self.parts.clock.now()
        held = points.listed(environment, [binding.tenant])
        for old in held:
            if old.expires_at <= now:
                points.drop(old)
        newest = next((p for p in held if p.trigger == "schedule"), None)
        if newest is None or newest.taken_at + EVERY <= now:
            newest = await self._begun(environment, binding, desired, regions)
        if newest is None:
            return
        while newest.status == "taking":
            newest = await points.advance(newest)
        if newest.status == "kept" and newest.proof.status == "untried":
            await self._tried(newest)

    async def _begun(
        self,
        environment: EnvironmentId,
        binding: RuntimeTenantBinding,
        desired: EnvironmentState,
        regions: tuple[str, ...],
    ) -> RestorePoint | None:
        points = Points(self.parts)
        every = await points.plane.stores(binding.tenant)
        stores = tuple(
            s for s in every if s.id in desired.data_stores and desired.data_stores[s.id].backup_retention_days
        )
        if not stores:
            return None
        region, days = place_for(binding, None, regions), retention_of(stores, desired)
        wanted = Wanted(binding.tenant, environment, stores, stores == every, region, days)
        return await points.begin(f"point-{self.parts.ids.ulid()}", wanted, "schedule")

    async def _tried(self, point: RestorePoint) -> None:
        """Try a point once, as `restore.drill` does; an interrupted trial is begun again."""
        restores = Restores(Points(self.parts))
        said = RestoreRun(restore_point=point.id, tenant=point.tenant)
        record = OperationRecord(
            id=f"trial-{point.id}", tenant=TenantId(PLATFORM), environment=point.environment,
            idempotency_key=f"trial-{point.id}", kind="restore.drill", target=f"restore_point/{point.id}",
            arguments=said.model_dump(mode="json"), actor=PrincipalId("service:backup"),
            accepted_at=self.parts.clock.now(), progress=Progress(status="accepted", fraction=0.0),
        )  # fmt: skip
        while record.progress.status in {"accepted", "running"}:
            record = record.model_copy(update={"progress": await restores.step(record)})
