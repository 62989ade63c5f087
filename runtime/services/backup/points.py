"""Taking restore points: choose where they may lie, fix one cut, copy store after store, look whether it fits together.

The manifest is a document and the archives are files, so that a point that was begun is gone on with by whoever comes
next: the cut was fixed at the beginning, and the stores can tell what they held at it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from domain.backup import RestorePoint, StoreCut
from domain.desired import EnvironmentState
from domain.errors import Invalid, NotFound, Refused, Unavailable
from domain.ids import PLATFORM, EnvironmentId, TenantId
from domain.tenancy import RuntimeTenantBinding
from runtime.documents import Documents, Place
from runtime.parts import RuntimeParts
from runtime.planes import offered
from runtime.services.backup.content import index_of, tables_of
from runtime.services.backup.journal import half_done
from runtime.services.backup.vault import Vault, digest_of_bytes
from runtime.stores.ports import Content, DataPlane, Store

POINTS = Documents("restore_point", RestorePoint)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A point somebody wants: of which stores, where, kept for how long."""

    tenant: TenantId
    environment: EnvironmentId
    stores: tuple[Store, ...]
    complete: bool
    region: str
    retention_days: int


def place_for(binding: RuntimeTenantBinding, asked: str | None, regions: Sequence[str]) -> str:
    """Return the region a point may lie in: the one asked for, else the pair's, else the tenant's own.

    Raises Refused for a region that the tenant's residency does not allow, Invalid for one that is not there.
    """
    allowed = binding.residency.allowed_regions
    if asked is not None and asked not in regions:
        raise Invalid(f"there is no region {asked} here", reason="unknown_region")
    candidates = [asked] if asked is not None else [binding.paired_region, binding.primary_region]
    for region in candidates:
        if region is not None and region in allowed:
            return region
    raise Refused(
        f"{' and '.join(str(r) for r in candidates if r)} may not hold data of {binding.tenant}: its residency allows "
        f"{', '.join(allowed) or 'no region'}",
        reason="residency",
    )


def retention_of(stores: Sequence[Store], state: EnvironmentState) -> int:
    """Return for how many days a point of these stores is kept: as long as any of them asks for.

    Raises Refused for a store of which no backups are kept.
    """
    days = {s.id: state.data_stores[s.id].backup_retention_days for s in stores if s.id in state.data_stores}
    off = sorted(s.id for s in stores if not days.get(s.id))
    if off:
        raise Refused(f"no backups are kept of {', '.join(off)}: set its retention first", reason="backups_off")
    return max(days.values())


@dataclass(frozen=True, slots=True)
class Points:
    """Restore points of every tenant, over the runtime's parts."""

    parts: RuntimeParts

    @property
    def plane(self) -> DataPlane:
        """Where the data is. Raises Unavailable where the target has none."""
        return offered(self.parts.planes.stores, "data stores")

    @property
    def vault(self) -> Vault:
        """Where the archives are."""
        return Vault(self.parts.home / "vault", self.parts.entropy)

    def known(self, environment: EnvironmentId, tenant: TenantId, name: str) -> RestorePoint | None:
        """Return a tenant's point, None where there is none of that name."""
        with self.parts.database.read() as connection:
            found = POINTS.get(connection, Place(environment=environment, tenant=tenant), name)
        return None if found is None else found.body

    def find(self, environment: EnvironmentId, tenant: TenantId, name: str) -> RestorePoint:
        """Return a tenant's point. Raises NotFound."""
        if (found := self.known(environment, tenant, name)) is None:
            raise NotFound("no such resource")
        return found

    def seen(self, environment: EnvironmentId, tenant: TenantId, name: str) -> RestorePoint:
        """Return a point a tenant may see: its own, of the platform everybody's. Raises NotFound."""
        mine = None if tenant == PLATFORM else [tenant]
        found = next((p for p in self.listed(environment, mine) if p.id == name), None)
        if found is None:
            raise NotFound("no such resource")
        return found

    def listed(self, environment: EnvironmentId, tenants: Sequence[TenantId] | None) -> tuple[RestorePoint, ...]:
        """Return the points of some tenants, all where None, newest first."""
        with self.parts.database.read() as connection:
            found = [d.body for d in POINTS.list(connection, environment, tenants)]
        return tuple(sorted(found, key=lambda p: (p.taken_at, p.id), reverse=True))

    def keep(self, point: RestorePoint) -> RestorePoint:
        """Write a manifest."""
        place = Place(environment=point.environment, tenant=point.tenant)
        with self.parts.database.begin() as connection:
            POINTS.put(connection, place, point.id, point, at=self.parts.clock.now())
        return point

    def drop(self, point: RestorePoint) -> None:
        """Remove a point, its manifest first: nobody is shown a point whose files are gone. Files left are swept."""
        with self.parts.database.begin() as connection:
            POINTS.delete(connection, Place(environment=point.environment, tenant=point.tenant), point.id)
        self.vault.drop(point)

    def fail(self, point: RestorePoint, reason: str) -> RestorePoint:
        """End a point that is none, and say why; its files are of no use."""
        ended = self.keep(point.model_copy(update={"status": "failed", "reason": reason}))
        self.vault.drop(point)
        return ended

    async def begin(
        self, name: str, wanted: Wanted, trigger: Literal["schedule", "request", "restore"]
    ) -> RestorePoint:
        """Fix the cut and write the manifest; a point that was begun under that name is returned as it is.

        Raises Unavailable while a restore has left the tenant's stores between two states.
        """
        if (found := self.known(wanted.environment, wanted.tenant, name)) is not None:
            return found
        with self.parts.database.read() as connection:
            half = half_done(connection, wanted.environment, wanted.tenant)
        if half is not None and trigger != "restore":
            raise Unavailable(f"{half.operation} is in the middle of restoring {wanted.tenant}", reason="restoring")
        cut, now = await self.plane.barrier(wanted.tenant), self.parts.clock.now()
        return self.keep(
            RestorePoint(
                id=name,
                tenant=wanted.tenant,
                environment=wanted.environment,
                trigger=trigger,
                status="taking",
                region=wanted.region,
                cut_seq=cut.seq,
                cut_at=cut.at,
                taken_at=now,
                expires_at=now + timedelta(days=wanted.retention_days),
                asked=tuple(s.id for s in wanted.stores),
                complete=wanted.complete,
            )
        )

    async def advance(self, point: RestorePoint) -> RestorePoint:
        """Copy the next store; after the last one see whether it fits together, and end."""
        done = {cut.store for cut in point.stores}
        rest = [store for store in point.asked if store not in done]
        if point.status == "taking" and rest:
            cut = await self._copied(point, rest[0])
            point = self.keep(point.model_copy(update={"stores": (*point.stores, cut)}))
        if point.status == "taking" and len(rest) <= 1:
            wrong = "; ".join(await self._misfits(point)) if point.complete else ""
            if wrong and point.trigger != "restore":
                return self.fail(point, wrong)
            # What stood there before a restore is kept however it stood: that may be why somebody restores.
            point = self.keep(point.model_copy(update={"status": "kept", "reason": wrong}))
            for store in point.asked if point.trigger == "request" else ():
                await self.plane.kept(store, key=point.id)
        return point

    async def _copied(self, point: RestorePoint, store: str) -> StoreCut:
        key = await self.plane.seal_key(store, point.tenant, point.taken_at, scheduled=point.trigger == "schedule")
        content = await self.plane.content(store, point.tenant, point.cut_seq)
        # Read a second time: a copy is held to the store, not to itself.
        index = index_of(await self.plane.content(store, point.tenant, point.cut_seq))
        sealed = self.vault.store(point, store, content, index, key)
        return StoreCut(
            store=store, tables=tables_of(index), key=key.id, archive=digest_of_bytes(sealed),
            archive_bytes=len(sealed), chain=await self.plane.chain(store, point.tenant, point.cut_seq),
        )  # fmt: skip

    async def _misfits(self, point: RestorePoint) -> tuple[str, ...]:
        contents: dict[str, Content] = {}
        for store in point.asked:
            contents[store] = await self.plane.content(store, point.tenant, point.cut_seq)
        return await self.plane.misfits(point.tenant, contents)
