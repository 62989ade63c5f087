"""What controls judge: one state of an environment with its topology and bindings, indexed once for all of them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from domain.desired import EnvironmentState, TenantState
from domain.ids import PLATFORM, TenantId
from domain.tenancy import Isolation, RuntimeTenantBinding
from domain.topology import Certificate, DataStore, EntityKind, RuntimeService, Topology

Sharing = Mapping[str, frozenset[TenantId]]
"""Address of a node pool or data store -> the tenants whose services run on it or keep data in it."""


@dataclass(frozen=True, slots=True)
class Estate:
    """One state of an environment. `unsettled` holds addresses whose values nobody knows before the effect.

    `sharing` is of the whole environment, also where the topology is one tenant's part of it.
    """

    state: EnvironmentState
    topology: Topology
    bindings: Mapping[TenantId, RuntimeTenantBinding]
    at: datetime
    sharing: Sharing = field(default_factory=dict[str, frozenset[TenantId]])
    unsettled: frozenset[str] = frozenset()
    services: Mapping[str, RuntimeService] = field(init=False)
    data_stores: Mapping[str, DataStore] = field(init=False)
    certificates: Mapping[str, Certificate] = field(init=False)
    zones: Mapping[str, frozenset[str]] = field(init=False)
    """Zones of each region that a compute target names."""
    served_by: Mapping[str, tuple[Certificate, ...]] = field(init=False)
    """Certificates of each service."""
    stands_on: Mapping[TenantId, frozenset[str]] = field(init=False)
    """Node pools that a tenant's services run on, and stores that are its own or that its services use."""
    _storing: Mapping[str, frozenset[TenantId]] = field(init=False)

    def __post_init__(self) -> None:
        """Index the topology."""
        services = {s.id: s for s in self.topology.services}
        stores = {d.id: d for d in self.topology.data_stores}
        zones: dict[str, set[str]] = defaultdict(set)
        for target in self.topology.compute_targets:
            zones[target.region] |= set(target.zones)
        served: dict[str, list[Certificate]] = defaultdict(list)
        for certificate in self.topology.certificates:
            served[certificate.service].append(certificate)
        storing: dict[str, set[TenantId]] = defaultdict(set)
        for edge in self.topology.edges:
            if edge.kind == "stores_in" and (source := services.get(edge.source.removeprefix("service/"))):
                storing[edge.target.removeprefix("data_store/")] |= {source.tenant, *source.used_by}
        for name, value in (
            ("services", services),
            ("data_stores", stores),
            ("certificates", {c.id: c for c in self.topology.certificates}),
            ("zones", _frozen(zones)),
            ("served_by", {name: tuple(found) for name, found in served.items()}),
            ("stands_on", _stands_on(self.topology)),
            ("_storing", _frozen(storing)),
        ):
            object.__setattr__(self, name, value)

    def resources(self, kind: EntityKind) -> tuple[str, ...]:
        """Return the ids of a kind that the state or the topology knows, in order."""
        match kind:
            case "service":
                return tuple(sorted({*self.state.services, *self.services}))
            case "data_store":
                return tuple(sorted({*self.state.data_stores, *self.data_stores}))
            case "certificate":
                return tuple(sorted(self.certificates))
            case _:
                return tuple(sorted(self.bindings))

    def owner(self, kind: EntityKind, name: str) -> TenantId | None:
        """Return whose resource it is, None where nothing says so."""
        match kind:
            case "tenant":
                return TenantId(name)
            case "data_store":
                return store.tenant if (store := self.data_stores.get(name)) else None
            case "certificate":
                name = self.certificates[name].service
            case _:
                pass
        return service.tenant if (service := self.services.get(name)) else None

    def isolation(self, owner: TenantId | None) -> Isolation | None:
        """Return how far a tenant is isolated, None where no binding says so."""
        binding = self.bindings.get(owner) if owner is not None else None
        return binding.isolation if binding else None

    def settings(self, tenant: str) -> TenantState:
        """Return a tenant's settings; one that has none lives with the defaults."""
        return self.state.tenants.get(tenant) or TenantState()

    def primary_region(self, tenant: str) -> str:
        """Return where a bound tenant is led to now: as it was bound, or bound since."""
        return self.settings(tenant).primary_region or self.bindings[TenantId(tenant)].primary_region

    def concerned(self, kind: EntityKind, name: str) -> frozenset[TenantId]:
        """Return the tenants whose data a service or store holds: the owner and whoever it serves."""
        owner = self.owner(kind, name)
        # A store that a service of its own name fronts holds what that service is given.
        service = self.services.get(name)
        found = {owner} if owner else set[TenantId]()
        found |= set(service.used_by) if service else set[TenantId]()
        return frozenset(found | self._storing.get(name, frozenset())) if kind == "data_store" else frozenset(found)

    def allowed_regions(self, tenants: frozenset[TenantId]) -> frozenset[str] | None:
        """Return the regions every one of the tenants allows, None where a binding that would say so is missing.

        The platform needs no binding of its own while those it serves have theirs.
        """
        needed = [t for t in tenants if t in self.bindings or t != PLATFORM]
        if not needed or any(t not in self.bindings for t in needed):
            return None
        each = [set(self.bindings[t].residency.allowed_regions) for t in needed]
        return frozenset(r for r in each[0] if all(r in allowed for allowed in each))


def sharing_of(topology: Topology) -> Sharing:
    """Return who is on each node pool and data store of a whole environment."""
    found: dict[str, set[TenantId]] = defaultdict(set)
    for tenant, address in _standing(topology):
        found[address].add(tenant)
    return _frozen(found)


def _stands_on(topology: Topology) -> Mapping[TenantId, frozenset[str]]:
    found: dict[TenantId, set[str]] = defaultdict(set)
    for tenant, address in _standing(topology):
        found[tenant].add(address)
    return _frozen(found)


def _standing(topology: Topology) -> Iterable[tuple[TenantId, str]]:
    """Yield (tenant, address) for each service's pools, each store's owner, and whoever calls or stores in a store."""
    owner = {f"service/{s.id}": s.tenant for s in topology.services}
    stores = {f"data_store/{d.id}" for d in topology.data_stores}
    for store in topology.data_stores:
        yield store.tenant, f"data_store/{store.id}"
    for edge in topology.edges:
        tenant = owner.get(edge.source)
        target = f"data_store/{edge.target.partition('/')[2]}" if edge.kind in {"calls", "stores_in"} else edge.target
        if tenant is not None and (edge.kind == "runs_on" or target in stores):
            yield tenant, target


K = TypeVar("K", bound=str)
V = TypeVar("V", bound=str)


def _frozen(sets: Mapping[K, set[V]]) -> Mapping[K, frozenset[V]]:
    return {name: frozenset(found) for name, found in sets.items()}
