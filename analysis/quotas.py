"""How much a tenant may come to use in a state of an environment, and whether that is within its quota."""

from collections.abc import Mapping
from dataclasses import dataclass

from analysis.compliance.estate import sharing_of
from domain.desired import EnvironmentState, ServiceState
from domain.ids import PLATFORM, TenantId
from domain.tenancy import Quota
from domain.topology import Topology


@dataclass(frozen=True, slots=True)
class Usage:
    """What a tenant may come to use without asking again: services at their policies' ceilings, in all regions."""

    cpu_millicores: int
    memory_mib: int
    nodes: int
    """Of the pools that nobody else runs on; shared ones are the platform's."""
    replicas: Mapping[str, int]
    """Per service, in each of its regions: as state documents count them."""


def usage(tenant: TenantId, state: EnvironmentState, topology: Topology) -> Usage:
    """Return what a tenant may come to use in a state."""
    mine = [(s, state.services[s.id]) for s in topology.services if s.tenant == tenant and s.id in state.services]
    sharing = sharing_of(topology)
    pools = [p.id for p in topology.node_pools if _owner_of(sharing.get(f"node_pool/{p.id}", frozenset())) == tenant]
    running = [(s, held, _most(held) * _sets(held) * max(1, len(s.regions))) for s, held in mine]
    return Usage(
        cpu_millicores=sum(held.cpu_millicores * count for _, held, count in running),
        memory_mib=sum(held.memory_mib * count for _, held, count in running)
        + sum(held.cache_tier.memory_mib * max(1, len(s.regions)) for s, held in mine if held.cache_tier),
        nodes=sum(state.node_pools[p].node_count for p in pools if p in state.node_pools),
        replicas={s.id: _most(held) for s, held in mine},
    )


def within(before: Usage, after: Usage, quota: Quota) -> bool:
    """What lay above its quota already may shrink or stay."""
    rows = [
        (before.cpu_millicores, after.cpu_millicores, quota.max_cpu_millicores),
        (before.memory_mib, after.memory_mib, quota.max_memory_mib),
        (before.nodes, after.nodes, quota.max_nodes),
    ]
    rows += [(before.replicas.get(s, 0), now, quota.max_replicas_per_service) for s, now in after.replicas.items()]
    return all(now <= max(was, most) for was, now, most in rows)


def _most(service: ServiceState) -> int:
    policy = service.scaling
    return policy.max_replicas if policy is not None and policy.enabled else service.replicas


def _sets(service: ServiceState) -> int:
    """Two while a blue-green release has its second version up in full beside the first, or is about to."""
    release = service.traffic.release
    if release is None or release.strategy != "blue_green":
        return 1
    begins = release.intent in {"run", "promote"} and release.candidate != service.version
    return 2 if begins or service.split is not None else 1


def _owner_of(tenants: frozenset[TenantId]) -> TenantId:
    return next(iter(tenants)) if len(tenants) == 1 else PLATFORM
