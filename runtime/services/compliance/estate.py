"""What controls judge: one state of an environment with its topology and bindings, indexed once for all of them."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from domain.base import Frozen
from domain.desired import EnvironmentState
from domain.ids import PLATFORM, TenantId
from domain.tenancy import RuntimeTenantBinding
from domain.topology import Certificate, DataStore, EntityKind, RuntimeService, Topology


class Parameters(Frozen):
    """What the controls demand beyond what each tenant's binding says."""

    min_retention_days: int = 7
    """A week: the default of a data store, so that less is a choice somebody made."""
    min_certificate_days: int = 7
    """The runtime's own expiry warning comes a week ahead."""
    zone_spread_tiers: tuple[int, ...] = (0, 1)
    """What everything stands on and what customers touch."""
    widest_public_prefix: tuple[int, int] = (16, 32)
    """IPv4 and IPv6 bits: the largest networks registries usually give one organisation; wider is the world."""


@dataclass(frozen=True, slots=True)
class Estate:
    """One state of an environment. `unsettled` holds addresses whose values nobody knows before the effect."""

    state: EnvironmentState
    topology: Topology
    bindings: Mapping[TenantId, RuntimeTenantBinding]
    at: datetime
    unsettled: frozenset[str] = frozenset()
    services: Mapping[str, RuntimeService] = field(init=False)
    data_stores: Mapping[str, DataStore] = field(init=False)
    certificates: Mapping[str, Certificate] = field(init=False)
    zones: Mapping[str, frozenset[str]] = field(init=False)
    """Zones of each region that a compute target names."""
    _storing: Mapping[str, frozenset[TenantId]] = field(init=False)

    def __post_init__(self) -> None:
        """Index the topology."""
        services = {s.id: s for s in self.topology.services}
        zones: dict[str, set[str]] = defaultdict(set)
        for target in self.topology.compute_targets:
            zones[target.region] |= set(target.zones)
        storing: dict[str, set[TenantId]] = defaultdict(set)
        for edge in self.topology.edges:
            if edge.kind == "stores_in" and (source := services.get(edge.source.removeprefix("service/"))):
                storing[edge.target.removeprefix("data_store/")] |= {source.tenant, *source.used_by}
        for name, value in (
            ("services", services),
            ("data_stores", {d.id: d for d in self.topology.data_stores}),
            ("certificates", {c.id: c for c in self.topology.certificates}),
            ("zones", {region: frozenset(names) for region, names in zones.items()}),
            ("_storing", {store: frozenset(tenants) for store, tenants in storing.items()}),
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
