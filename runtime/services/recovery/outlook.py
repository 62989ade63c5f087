"""Who would move if a region's tenants went to its pair, who may not, and how far the copies there are behind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from domain.desired import EnvironmentState
from domain.errors import NotFound
from domain.ids import PLATFORM, EnvironmentId, TenantId
from domain.tenancy import RuntimeTenantBinding
from runtime import state
from runtime.parts import RuntimeParts
from runtime.stores.ports import DataPlane, Store


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a failover from one region to another means for each tenant and store."""

    moves: tuple[TenantId, ...]
    """Tenants whose primary region this is and whose residency allows the other, the platform first."""
    held: tuple[TenantId, ...]
    """Tenants that stay, because their residency forbids the other region."""
    stores: tuple[Store, ...]
    """Stores whose primary copy is in the region and whose rows may all lie in the other, by the residency of everybody
    whose they are; also where the owner's users are led elsewhere already."""
    no_copy: tuple[Store, ...]
    """Such stores without a standby in the other region."""


async def outlook(
    parts: RuntimeParts, environment: EnvironmentId, source: str, target: str, *, only: Sequence[str] = ()
) -> Outlook:
    """Return it as desired state, bindings and placements are now, for some tenants or, where none is named, all."""
    with parts.database.read() as connection:
        bound = state.bound_tenants(connection, environment)
        now = state.current(connection, environment).effective(parts.clock.now())
    here = [b for b in bound if primary_of(b, now) == source and (not only or b.tenant in only)]
    moves = tuple(b.tenant for b in here if target in b.residency.allowed_regions)
    may = {PLATFORM, *(b.tenant for b in bound if target in b.residency.allowed_regions)}
    found: list[Store] = []
    if (plane := parts.planes.stores) is not None:
        barred = {s.id for b in bound if b.tenant not in may for s in await plane.stores(b.tenant)}
        for tenant in sorted(may):
            stores = await plane.stores(tenant) if not only or tenant in only else ()
            found += [s for s in stores if s.tenant == tenant and s.region == source and s.id not in barred]
    fit = tuple(s for s in found if s.replica_region == target)
    return Outlook(
        moves=moves,
        held=tuple(b.tenant for b in here if b.tenant not in moves),
        stores=fit,
        no_copy=tuple(s for s in found if s not in fit),
    )


def primary_of(binding: RuntimeTenantBinding, now: EnvironmentState) -> str:
    """Return the region a tenant is bound to: where it was rebound, else where it was bound first."""
    rebound = now.tenants.get(binding.tenant)
    return (rebound.primary_region if rebound is not None else None) or binding.primary_region


async def lag_s(plane: DataPlane, stores: Sequence[Store]) -> Mapping[str, float]:
    """Return per store how many seconds of commits its standby does not hold yet."""
    found: dict[str, float] = {}
    for store in stores:
        try:
            head, copy = await plane.commit_head(store.id), await plane.replica_head(store.id)
        except NotFound:
            continue
        found[store.id] = round((head.at - copy.at).total_seconds(), 1) if head.seq > copy.seq else 0.0
    return found
