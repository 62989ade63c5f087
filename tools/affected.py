"""The affected set of a command: whom and what it touches, from topology and bindings alone.

Whoever calls a service, directly or through others, is touched by a change of it; so are the tenants that share it.
"""

from collections.abc import Sequence

from domain.ids import PLATFORM, EnvironmentId, TenantId
from domain.tenancy import AffectedSet, RuntimeTenantBinding
from domain.topology import EntityRef, Topology


def affected_by(
    targets: Sequence[EntityRef],
    topology: Topology,
    bound: Sequence[RuntimeTenantBinding],
    environment: EnvironmentId,
) -> AffectedSet:
    """Return tenants, resources and failure domains (regions) that a change of the targets reaches."""
    tenants: set[TenantId] = set()
    regions: set[str] = set()
    for target in targets:
        match target.kind:
            case "service":
                tenants |= _tenants_of(target.id, topology)
                regions |= _regions_of(target.id, topology)
            case "tenant":
                tenants.add(TenantId(target.id))
                regions |= {b.primary_region for b in bound if b.tenant == target.id}
            case "data_store":
                tenants |= {d.tenant for d in topology.data_stores if d.id == target.id}
                regions |= {d.region for d in topology.data_stores if d.id == target.id}
            case "certificate" | "secret":
                for service in _holders(target, topology):
                    tenants |= _tenants_of(service, topology)
                    regions |= _regions_of(service, topology)
            case "region":
                tenants |= {b.tenant for b in bound if b.primary_region == target.id} or {PLATFORM}
                regions.add(target.id)
            case "restore_point" | "experiment" | "operation" | "pack" | "release":
                continue  # a tenant's own document: who asks is whom it touches, besides what its preview names
            case _:
                tenants |= {PLATFORM, *(b.tenant for b in bound)}
    return AffectedSet(
        tenants=tuple(sorted(tenants)),
        environments=(environment,),
        resources=tuple(sorted({t.address for t in targets})),
        failure_domains=tuple(sorted(regions)),
        spans_tenants=len(tenants) > 1,
    )


def _holders(target: EntityRef, topology: Topology) -> tuple[str, ...]:
    held = topology.certificates if target.kind == "certificate" else topology.secrets
    return tuple(one.service for one in held if one.id == target.id)


def _regions_of(service: str, topology: Topology) -> set[str]:
    found = topology.service(service)
    return set(found.regions) if found else set()


def _tenants_of(service: str, topology: Topology) -> set[TenantId]:
    """Owners of the service and of all its callers, and the tenants it is shared by."""
    seen, waiting = {f"service/{service}"}, [f"service/{service}"]
    while waiting:
        here = waiting.pop()
        for edge in topology.edges:
            if edge.kind == "calls" and edge.target == here and edge.source not in seen:
                seen.add(edge.source)
                waiting.append(edge.source)
    owners = {s.tenant for s in topology.services if f"service/{s.id}" in seen}
    shared = topology.service(service)
    return owners | set(shared.used_by if shared else ())
