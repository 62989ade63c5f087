"""What bindings allow, held against what a command leads to: quotas and regions of every tenant that it concerns.

Pure functions over the state before and after the preview. Doubt means no: a concerned tenant without a binding, a
thing whose owner nobody knows, a masked value where it counts.
"""

from collections.abc import Iterator, Sequence

from analysis.compliance.changes import after_changes
from analysis.compliance.estate import sharing_of
from analysis.quotas import usage, within
from domain.changes import ResourceChange
from domain.commands import Command
from domain.desired import SECTIONS, EnvironmentState
from domain.ids import TenantId
from domain.tenancy import RuntimeTenantBinding
from domain.topology import Topology

_DOCUMENTED = {kind: section for section, kind in SECTIONS}
_COUNTED = frozenset(
    {
        "", "replicas", "scaling", "cpu_millicores", "memory_mib", "traffic", "cache_tier", "node_count",
        "primary_region", "logs_region", "replica_region", "backup_region",
    }
)  # fmt: skip
"""First parts of the paths that quotas and residency are read off."""
_WEIGHTS = "traffic.region_weights"
_TENANT_REGIONS = ("primary_region", "logs_region")
_STORE_REGIONS = ("replica_region", "backup_region")
_REGION_ARGUMENTS = ("region", "to_region", "primary_region")


def quota_ok(
    command: Command, bindings: Sequence[RuntimeTenantBinding], state: EnvironmentState, topology: Topology
) -> bool:
    """Tell whether no tenant comes to use more than before and more than its quota. Raises Invalid as after_changes."""
    if _doubtful(command, bindings, topology):
        return False
    after, _ = after_changes(state, command.preview)
    return all(within(usage(b.tenant, state, topology), usage(b.tenant, after, topology), b.quota) for b in bindings)


def residency_ok(
    command: Command, bindings: Sequence[RuntimeTenantBinding], state: EnvironmentState, topology: Topology
) -> bool:
    """Tell whether every region that comes to hold data or take requests is allowed for every tenant whose they are.

    A failover takes along only whom its preview names: those it holds back stay where they are. A drill moves nobody.
    Raises Invalid as after_changes.
    """
    if _doubtful(command, bindings, topology):
        return False
    allowed = {b.tenant: b.residency.allowed_regions for b in bindings}
    return all(region in allowed.get(t, ()) for region, tenants in _led_to(command, state, topology) for t in tenants)


def _concerned(command: Command) -> frozenset[TenantId]:
    return frozenset({command.tenant, *command.affected.tenants})


def _doubtful(command: Command, bindings: Sequence[RuntimeTenantBinding], topology: Topology) -> bool:
    """Tell whether somebody concerned has no binding, a thing has no known owner, or a value that counts is masked."""
    owners = {f"service/{s.id}": s.tenant for s in topology.services}
    owners |= {f"data_store/{d.id}": d.tenant for d in topology.data_stores}
    touched = {c.address for c in command.preview if c.address.partition("/")[0] in {"service", "data_store"}}
    if not touched <= set(owners):
        return True
    if not _concerned(command) | {owners[address] for address in touched} <= {b.tenant for b in bindings}:
        return True
    return any((c.secret or c.unknown) and _documented(c) and _first(c) in _COUNTED for c in command.preview)


def _led_to(command: Command, state: EnvironmentState, topology: Topology) -> Iterator[tuple[str, frozenset[TenantId]]]:
    """Yield each region that data or requests come to, with the tenants whose they are."""
    if command.kind == "failover.drill":
        return
    everybody = _concerned(command)
    if command.kind == "region.failover":
        everybody = frozenset(_name(c) for c in command.preview if c.address.startswith("tenant/"))
    for field in _REGION_ARGUMENTS:
        if isinstance(region := command.arguments.get(field), str):
            yield region, everybody
    after, _ = after_changes(state, command.preview)
    for change in command.preview:
        if _documented(change):
            yield from _documented_regions(change, after, topology, everybody)
        elif change.path.endswith("region") and isinstance(change.after, str):
            yield change.after, everybody


def _documented_regions(
    change: ResourceChange, after: EnvironmentState, topology: Topology, everybody: frozenset[TenantId]
) -> Iterator[tuple[str, frozenset[TenantId]]]:
    """Yield where a change of a state document leads, also when other regions are gone."""
    kind, name, first = change.address.partition("/")[0], _name(change), _first(change)
    held = getattr(after, _DOCUMENTED[kind]).get(name)
    if held is None:
        return
    if kind == "service" and first in {"traffic", ""}:
        led = {region for region, weight in held.traffic.region_weights.items() if weight > 0}
        if not held.traffic.region_weights and change.path.startswith(_WEIGHTS):
            led |= {region for s in topology.services if s.id == name for region in s.regions}  # each to the nearest
        for region in led | set(held.traffic.region_failover):
            yield region, everybody
    fields = {"tenant": _TENANT_REGIONS, "data_store": _STORE_REGIONS}.get(kind, ())
    whose = frozenset({TenantId(name)}) if kind == "tenant" else sharing_of(topology).get(change.address, everybody)
    for field in fields:
        if first in {field, ""} and (region := getattr(held, field)) is not None:
            yield region, whose


def _documented(change: ResourceChange) -> bool:
    return change.address.partition("/")[0] in _DOCUMENTED and change.operation != "run"


def _first(change: ResourceChange) -> str:
    return change.path.partition(".")[0]


def _name(change: ResourceChange) -> TenantId:
    return TenantId(change.address.partition("/")[2])
