"""What would emit less: first waste, then another region. Each is a write for the door, checked before it is shown.

A region is only named where the service runs already, every tenant it serves may be there, the difference between the
grids is surer than their figures, and the region has room under the scaling policy.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from domain.carbon import CarbonAdvice
from domain.changes import Patch
from domain.costs import Recommendation
from domain.desired import ServiceState
from domain.findings import Act
from domain.ids import PLATFORM
from domain.runtime_api import PatchBody
from domain.topology import RuntimeService
from runtime.grid.ports import GridPoint
from runtime.services.carbon.around import Emitter, Surroundings, write_path
from runtime.services.carbon.energy import EMBODIED_G_PER_CORE_HOUR, IDLE_W_PER_CORE, PUE, Z90, Amount
from runtime.services.cost.anomalies import MONTH_H

MOVED: Final = 0.2
"""Share of requests led to the cleaner region in one step: what an autoscaler follows within its usual target."""


def advise(
    around: Surroundings, emitters: Sequence[Emitter], wasted: Sequence[Recommendation]
) -> tuple[CarbonAdvice, ...]:
    """Return what is worth doing: waste first, then regions, each by what it saves."""
    waste = sorted(_waste(around, wasted), key=lambda one: -one.saving_g_per_month)
    regions = sorted(_regions(around, emitters), key=lambda one: -one.saving_g_per_month)
    return (*waste, *regions)


def _waste(around: Surroundings, wasted: Sequence[Recommendation]) -> Iterator[CarbonAdvice]:
    """Cores that the cost service found nobody needs: they idle, and were made."""
    skus = {f"node_pool/{p.id}": p.sku for p in around.topology.node_pools}
    for one in wasted:
        patches = _patches(one.act)
        runs_on = [e.target for e in around.topology.edges if e.kind == "runs_on" and e.source == one.resource]
        prices = [p for t in runs_on if t in skus and (p := around.usd_per_core_hour.get(skus[t])) is not None]
        if not patches or not prices or not around.grids:
            continue
        core_hours = one.saving_usd_per_month / (sum(prices) / len(prices))
        grid = sum(p.location_g_per_kwh for p in around.grids.values()) / len(around.grids)
        grams = core_hours * (IDLE_W_PER_CORE * PUE / 1000.0 * grid + EMBODIED_G_PER_CORE_HOUR)
        yield CarbonAdvice(
            lever="waste", tenant=one.tenant, resource=one.resource, saving_g_per_month=grams, why=one.evidence,
            path=write_path(around), body=PatchBody(patches=patches, rationale=one.act.rationale),
        )  # fmt: skip


def _patches(act: Act) -> tuple[Patch, ...]:
    """Return the write that stands for the act at the door; none where the act exchanges machines: same cores."""
    said = dict(act.arguments)
    service = str(said.pop("service", ""))
    match act.kind:
        case "scaling_policy.update":
            return (Patch(op="set", path=("services", service, "scaling"), value=said["policy"]),)
        case "service.schedule":
            return (Patch(op="set", path=("services", service, "schedule"), value=said),)
        case "service.scale" | "service.resize":
            return tuple(Patch(op="set", path=("services", service, key), value=v) for key, v in said.items())
        case _:
            return ()


def _regions(around: Surroundings, emitters: Sequence[Emitter]) -> Iterator[CarbonAdvice]:
    by: dict[str, dict[str, Amount]] = {}
    for one in emitters:
        by.setdefault(one.address, {})[one.region] = one.amount
    for service in around.topology.services:
        held, took = around.desired.services.get(service.id), by.get(f"service/{service.id}", {})
        if held is None or service.archetype in {"database", "cache", "queue"}:
            continue
        allowed = [r for r in took if r in around.grids and _allowed(around, service, r)]
        if len(allowed) < 2:
            continue
        clean, dirty = (pick(allowed, key=lambda r: around.grids[r].location_g_per_kwh) for pick in (min, max))
        if _surely_cleaner(around.grids[clean], around.grids[dirty]) and _has_room(held, took, clean, around.window_h):
            yield _led(around, service, held, took, (clean, dirty))


def _allowed(around: Surroundings, service: RuntimeService, region: str) -> bool:
    """Everybody it serves may be there; a shared service that names nobody serves everybody."""
    served = set(service.used_by) | {service.tenant}
    everybody = service.tenant == PLATFORM and not service.used_by
    return all(region in b.residency.allowed_regions for b in around.bound if everybody or b.tenant in served)


def _surely_cleaner(clean: GridPoint, dirty: GridPoint) -> bool:
    sds = [p.location_g_per_kwh * p.relative_sd for p in (clean, dirty)]
    return dirty.location_g_per_kwh - clean.location_g_per_kwh > Z90 * (sds[0] ** 2 + sds[1] ** 2) ** 0.5


def _has_room(held: ServiceState, took: Mapping[str, Amount], clean: str, window_h: float) -> bool:
    """The replicas that would follow fit under the maximum of the region's policy: the objective is not at stake."""
    policy = held.scaling
    if policy is None or not policy.enabled:
        return False
    whole = sum(a.core_hours for a in took.values()) / window_h
    wanted = took[clean].core_hours / window_h + MOVED * whole
    return wanted <= policy.max_replicas * held.cpu_millicores / 1000.0


def _led(
    around: Surroundings, service: RuntimeService, held: ServiceState, took: Mapping[str, Amount], ends: tuple[str, str]
) -> CarbonAdvice:
    """Return the write that leads a share of requests from the second region to the first."""
    clean, dirty = ends
    whole = sum(a.requests for a in took.values()) or 1.0
    now = held.traffic.region_weights or {r: a.requests / whole for r, a in took.items()}
    moved = min(MOVED, now.get(dirty, 0.0))
    weights = {**now, clean: now.get(clean, 0.0) + moved, dirty: now.get(dirty, 0.0) - moved}
    total = sum(weights.values()) or 1.0
    policy = held.traffic.model_copy(update={"region_weights": {r: w / total for r, w in weights.items()}})
    share = moved / now[dirty] if now.get(dirty) else 0.0
    here, there = (around.grids[r].location_g_per_kwh for r in (dirty, clean))
    grams = took[dirty].energy_kwh * share * (here - there) / around.window_h * MONTH_H
    why = (
        f"{dirty} emits {here:.0f} g/kWh, {clean} {there:.0f}",
        f"everybody it serves may be in {clean}, and the replicas that follow fit under its scaling policy",
    )
    patch = Patch(op="set", path=("services", service.id, "traffic"), value=policy.model_dump(mode="json"))
    return CarbonAdvice(
        lever="region", tenant=service.tenant, resource=f"service/{service.id}", saving_g_per_month=grams, why=why,
        path=write_path(around), body=PatchBody(patches=(patch,), rationale=f"{clean} is the cleaner grid."),
    )  # fmt: skip
