"""Random worlds by seed: names, sizes, call graphs, tenants and laws drawn, so that no eval is one fixed tape.

Services stand in layers (entry, middle, store, external); calls go to deeper layers only, so graphs are acyclic.
"""

from datetime import UTC, datetime, timedelta

import numpy as np

from domain.ids import PLATFORM, EnvironmentId
from domain.policies import ScalingPolicy
from domain.tenancy import Isolation, Quota, Residency, RuntimeTenantBinding
from domain.topology import Slo
from runtime.grid.table import GRID_GCO2E_PER_KWH
from runtime.simulator.names import Names, feature_flags
from runtime.simulator.spec import CallSpec, Laws, NodePoolSpec, RegionSpec, ServiceSpec, WorldSpec
from runtime.simulator.streams import stream
from runtime.simulator.tuning import tuned

_REGIONS = (
    ("eastus", "westus", -5.0),
    ("francecentral", "francesouth", 1.0),
    ("uksouth", "ukwest", 0.0),
)
# Which entry services are workers that nobody scales (see `_special`).
WORKERS = (0, 1)
# Quota over what a tenant's services may grow to: a remedy that multiplies one of them fits (our choice).
ROOM = 4
ANY_POLICY = ScalingPolicy(min_replicas=2, max_replicas=4, target_cpu_utilisation=0.6)


def random_world(
    seed: int, *, services: int = 24, tenants: int = 3, paired: bool = True, laws: Laws | None = None
) -> WorldSpec:
    """A healthy random world with about that many services; the same arguments give the same world."""
    rng = stream(seed, "world")
    first, second, offset = _REGIONS[int(rng.integers(len(_REGIONS)))]
    regions = (first, second) if paired else (first,)
    names = Names(stream(seed, "names"))
    owners = names.tenants(tenants)
    rows = _flagged(stream(seed, "flags"), _services(rng, names, services, owners, regions))
    start = datetime(2026, 3, 2, tzinfo=UTC) + timedelta(hours=int(rng.integers(24 * 5)))
    prefixes = _pools(services)
    pools = [f"{prefix}-{region}" for prefix in prefixes for region in regions]
    world = tuned(
        WorldSpec(
            name=f"random-{seed}",
            environment=EnvironmentId("prod"),
            start=start,
            regions=tuple(
                RegionSpec(
                    id=region, zones=tuple(f"{region}-{z}" for z in (1, 2, 3)), utc_offset_h=offset,
                    paired_with=next((r for r in regions if r != region), None),
                    grid_gco2e_per_kwh=GRID_GCO2E_PER_KWH[region],
                )
                for region in regions
            ),
            node_pools=tuple(
                NodePoolSpec(id=p, region=p.split("-", 1)[1], sku="D8s_v5", node_count=3, max_nodes=6) for p in pools
            ),
            tenants=tuple(_binding(t, isolation_of(t, rows), regions) for t in ["platform", *owners]),
            services=rows,
            laws=laws or Laws(),
        )
    )  # fmt: skip
    return world.model_copy(update={"tenants": tuple(_granted(tenant, world) for tenant in world.tenants)})


def foreign_laws(seed: int) -> Laws:
    """Laws of nature that an evaluation world obeys and the twin was never told.

    Ranges: service times from smoother to twice as variable as exponential; retry budgets as in Finagle and the SRE
    book (10 % to 30 %) or none; autoscalers from the Kubernetes default of 15 s to slow metric pipelines.
    """
    rng = stream(seed, "laws")
    return Laws(
        service_variability=float(rng.uniform(0.6, 2.0)),
        retry_budget=float(rng.uniform(0.1, 0.3)) if rng.random() < 0.5 else None,
        autoscaler_interval_s=float(rng.choice([15.0, 30.0, 60.0])),
        autoscaler_lag_s=float(rng.choice([0.0, 30.0, 60.0, 120.0])),
        startup_factor=float(rng.uniform(0.6, 2.0)),
        demand_noise=float(rng.uniform(0.03, 0.08)),
        metric_noise=float(rng.uniform(0.01, 0.04)),
        contention=float(rng.uniform(0.6, 1.6)),
    )


def _pools(services: int) -> tuple[str, ...]:
    """Pools of at most a few hundred nodes each, as cloud limits on node pools demand."""
    return ("shared", *(("own",) if services <= 800 else tuple(f"own{k}" for k in range(services // 300))))


def isolation_of(tenant: str, services: tuple[ServiceSpec, ...]) -> Isolation:
    """Return how far a tenant was set apart: a binding that promised more would be broken from the start."""
    own = [s for s in services if s.tenant == tenant and not s.external]
    others = [s for s in services if s.tenant != tenant and not s.external]
    stores = {s.id: s.tenant for s in services if s.archetype == "database"}
    mine = {s.id for s in own if s.id in stores}
    if tenant == PLATFORM or any(call.to in mine for s in others for call in s.calls):
        return "shared"
    strange = any(call.to in stores and call.to not in mine for s in own for call in s.calls)
    together = {s.node_pool for s in own} & {s.node_pool for s in others}
    return "pooled" if strange or together else "dedicated"


def _binding(tenant: str, isolation: Isolation, regions: tuple[str, ...]) -> RuntimeTenantBinding:
    return RuntimeTenantBinding.model_validate({
        "tenant": tenant, "environment": "prod", "isolation": isolation, "primary_region": regions[0],
        "paired_region": regions[-1] if len(regions) > 1 else None, "budget_usd_per_month": 5000.0,
        "residency": Residency(allowed_regions=regions),
    })  # fmt: skip


def _granted(binding: RuntimeTenantBinding, world: WorldSpec) -> RuntimeTenantBinding:
    """The binding with a quota that its services do not meet by a usual change, whatever the world's size."""
    usual, cpu, memory = Quota(), 0, 0
    for service in world.services:
        if service.tenant == binding.tenant and not service.external:
            most = service.scaling.max_replicas if service.scaling is not None else service.replicas
            cpu += most * service.cpu_millicores * len(service.regions)
            memory += most * service.memory_mib * len(service.regions)
    nodes = sum(pool.node_count for pool in world.node_pools)
    quota = usual.model_copy(
        update={
            "max_cpu_millicores": max(usual.max_cpu_millicores, ROOM * cpu),
            "max_memory_mib": max(usual.max_memory_mib, ROOM * memory),
            "max_nodes": max(usual.max_nodes, ROOM * nodes),
        }
    )
    return binding.model_copy(update={"quota": quota})


def _services(
    rng: np.random.Generator, names: Names, count: int, owners: list[str], regions: tuple[str, ...]
) -> tuple[ServiceSpec, ...]:
    """Layers from the deepest up, each service calling one to four of the layers below it."""
    shares = {"external": 0.06, "store": 0.2, "middle": 0.5, "entry": 0.24}
    done: dict[str, list[ServiceSpec]] = {"external": [], "store": [], "middle": [], "entry": []}
    for layer, share in shares.items():
        for index in range(max(3 if layer == "entry" else 2, round(count * share))):
            owner = owners[int(rng.integers(len(owners)))]
            name = names.service("worker" if layer == "entry" and index in WORKERS else layer)
            done[layer].append(_one(rng, layer, name, names.team(), owner, done, regions))
    _special(rng, done)
    _connect(rng, done)
    _cache(rng, done)
    _settle(rng, done, count)
    return tuple(s for rows in done.values() for s in rows)


def _one(
    rng: np.random.Generator,
    layer: str,
    name: str,
    team: str,
    owner: str,
    done: dict[str, list[ServiceSpec]],
    regions: tuple[str, ...],
) -> ServiceSpec:
    scales = layer in {"middle", "entry"} and rng.random() < 0.85
    caches = layer == "middle" and rng.random() < 0.3
    base = {
        "id": name, "tenant": "platform" if layer in {"external", "store"} and rng.random() < 0.5 else owner,
        "owner_team": team, "tier": int(rng.integers(0, 4)), "regions": regions,
        "node_pool": "shared" if rng.random() < 0.6 else "own", "external": layer == "external",
        "cpu_ms": float(rng.uniform(3.0, 20.0)), "io_ms": float(rng.uniform(1.0, 10.0)),
        "slo": Slo(availability_target=float(rng.choice([0.999, 0.9995]))),
        "cache_hit": float(rng.uniform(0.75, 0.93)) if caches else 0.0,
        "calls": _calls(rng, layer, done, caches=caches),
        "scaling": ANY_POLICY if scales else None,
    }  # fmt: skip
    if layer == "external":
        base |= {"io_ms": float(rng.uniform(30.0, 90.0)), "variability": 0.6}
    if layer == "store":
        base |= {"archetype": "database", "memory_mib": 8192, "memory_base_mib": 5000.0, "startup_s": 60.0}
    if layer == "entry":
        base |= {"archetype": "frontend", "demand_rps": float(rng.uniform(80.0, 300.0))}
        base |= {"certificate_days": float(rng.uniform(20.0, 80.0))}
    return ServiceSpec.model_validate(base)


def _calls(
    rng: np.random.Generator, layer: str, done: dict[str, list[ServiceSpec]], *, caches: bool
) -> tuple[CallSpec, ...]:
    if layer in {"external", "store"}:
        return ()
    below = [*done["middle"][-12:], *done["store"]] if layer == "middle" else done["middle"]
    picked = [below[int(k)].id for k in rng.permutation(len(below))[: int(rng.integers(1, 4))]]
    calls = [
        CallSpec(
            to=to, per_request=float(rng.uniform(0.2, 1.2)), failure_weight=float(rng.choice([1.0, 1.0, 0.3])),
            on_cache_miss=caches,
        )
        for to in picked
    ]  # fmt: skip
    if layer == "middle" and rng.random() < 0.2:
        outside = done["external"][int(rng.integers(len(done["external"])))].id
        calls.append(CallSpec(to=outside, per_request=float(rng.uniform(0.2, 0.6)), failure_weight=0.9))
    return tuple(calls)


def _flagged(rng: np.random.Generator, services: tuple[ServiceSpec, ...]) -> tuple[ServiceSpec, ...]:
    """Give the services that teams work on daily their feature flags."""
    return tuple(s.model_copy(update={"flags": feature_flags(rng)}) if s.scaling else s for s in services)


def _connect(rng: np.random.Generator, done: dict[str, list[ServiceSpec]]) -> None:
    """Give everything a caller that cannot do without it: nothing stands idle in a healthy world."""
    for layer, above, first in (("store", "middle", 0), ("middle", "entry", len(WORKERS))):
        callers = done[above]
        leaned_on = {c.to for s in callers for c in s.calls if c.failure_weight >= 0.5 and not c.on_cache_miss}
        for service in done[layer]:
            if service.id not in leaned_on:
                k = int(rng.integers(first, len(callers)))
                others = tuple(c for c in callers[k].calls if c.to != service.id)
                call = CallSpec(to=service.id, per_request=float(rng.uniform(0.2, 0.8)))
                callers[k] = callers[k].model_copy(update={"calls": (*others, call)})


def _cache(rng: np.random.Generator, done: dict[str, list[ServiceSpec]]) -> None:
    """One cache that a store stands behind: the large front reads through it, and nothing else calls that store."""
    middle, front = done["middle"], done["entry"][len(WORKERS)]
    k = next((k for k, s in enumerate(middle) if s.cache_hit > 0.0 and not s.pinned_zone), len(middle) - 1)
    load = {s.id: sum(c.per_request for m in middle for c in m.calls if c.to == s.id) for s in done["store"]}
    store = min(load, key=lambda s: load[s])
    # Reads that are work, so that the store is sized for what the cache lets through and for little more.
    nth = next(i for i, s in enumerate(done["store"]) if s.id == store)
    done["store"][nth] = done["store"][nth].model_copy(update={"cpu_ms": float(rng.uniform(16.0, 24.0))})
    for i, other in enumerate(middle):
        middle[i] = other.model_copy(update={"calls": tuple(c for c in other.calls if c.to != store)})
    kept = tuple(c for c in middle[k].calls if not c.on_cache_miss)
    behind = CallSpec(to=store, per_request=float(rng.uniform(2.5, 3.5)), on_cache_miss=True)
    middle[k] = middle[k].model_copy(update={"cache_hit": float(rng.uniform(0.94, 0.97)), "calls": (*kept, behind)})
    others = tuple(c for c in front.calls if c.to != middle[k].id)
    through = CallSpec(to=middle[k].id, per_request=float(rng.uniform(0.8, 1.2)))
    done["entry"][len(WORKERS)] = front.model_copy(update={"calls": (*others, through)})


def _settle(rng: np.random.Generator, done: dict[str, list[ServiceSpec]], count: int) -> None:
    """Spread a large world over its many pools; in small ones everything stays where it was drawn."""
    pools = _pools(count)
    if len(pools) == 2:
        return
    for layer, rows in done.items():
        kept = set(WORKERS) if layer == "entry" else set[int]()
        for index, row in enumerate(rows):
            home = "shared" if index in kept else pools[1 + int(rng.integers(len(pools) - 1))]
            rows[index] = row.model_copy(update={"node_pool": home})


def _special(rng: np.random.Generator, done: dict[str, list[ServiceSpec]]) -> None:
    """What some faults need: a service in one zone, one that scales by hand, one without a CPU limit."""

    def change(layer: str, index: int, **update: object) -> None:
        done[layer][index] = done[layer][index].model_copy(update=update)

    called = {c.to for s in done["entry"] for c in s.calls}
    pinned = next(k for k, s in enumerate(done["middle"]) if s.id in called)
    change("middle", pinned, pinned_zone=True, scaling=ANY_POLICY)
    change("entry", 0, scaling=None, archetype="worker", cpu_ms=float(rng.uniform(40.0, 120.0)), demand_rps=30.0)
    change(
        "entry", 1, scaling=None, archetype="worker", cpu_burst=20.0, cpu_ms=25.0, node_pool="shared", demand_rps=60.0
    )
    lean = tuple(c.model_copy(update={"per_request": 0.02}) for c in done["entry"][1].calls)
    change("entry", 1, calls=lean)
    # Large enough to need several replicas, so that a cap on them can be too low.
    large = {"cpu_ms": float(rng.uniform(10.0, 20.0)), "demand_rps": float(rng.uniform(160.0, 300.0))}
    change("entry", 2, scaling=ANY_POLICY, **large)
    outside = CallSpec(to=done["external"][0].id, per_request=0.5)
    front = done["middle"][pinned]
    change("middle", pinned, calls=(*(c for c in front.calls if c.to != outside.to), outside))
