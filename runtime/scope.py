"""A tenant's part of an environment: its own things, and of shared ones what its services stand on.

`platform` sees and may write everything. Others write only what they own, and see besides that the shared services
they use and where their things run, without other tenants' logs, traces or desired state.
"""

from collections.abc import Iterable, Sequence

from domain.changes import Patch
from domain.desired import SECTIONS, DesiredState, EnvironmentState
from domain.errors import Invalid, NotFound
from domain.ids import PLATFORM, TenantId
from domain.tenancy import RuntimeTenantBinding
from domain.topology import Topology
from runtime.differences import address_of

_SECTIONS = frozenset(section for section, _ in SECTIONS)


class TenantView:
    """What one tenant may see and write in one environment's topology."""

    def __init__(self, tenant: TenantId, topology: Topology, bound: Sequence[RuntimeTenantBinding]) -> None:
        self._tenant = tenant
        self._topology = topology
        self._everything = tenant == PLATFORM
        self._bound = tuple(bound)
        owned = [f"service/{s.id}" for s in topology.services if self._everything or s.tenant == tenant]
        owned += [f"data_store/{d.id}" for d in topology.data_stores if self._everything or d.tenant == tenant]
        owned += [f"tenant/{b.tenant}" for b in bound if self._everything or b.tenant == tenant]
        owned += [f"node_pool/{p.id}" for p in topology.node_pools if self._everything]
        self.owned = frozenset(owned)
        self.visible = frozenset(_reachable(self.owned | self._used(), topology))

    def topology(self) -> Topology:
        """Return the visible part of the topology."""
        if self._everything:
            return self._topology
        whole, seen = self._topology, self.visible
        pools = tuple(p for p in whole.node_pools if f"node_pool/{p.id}" in seen)
        return whole.model_copy(
            update={
                "services": tuple(
                    s.model_copy(update={"used_by": tuple(t for t in s.used_by if t == self._tenant)})
                    for s in whole.services
                    if f"service/{s.id}" in seen
                ),
                "node_pools": pools,
                "data_stores": tuple(d for d in whole.data_stores if f"data_store/{d.id}" in seen),
                "certificates": tuple(c for c in whole.certificates if f"service/{c.service}" in seen),
                "secrets": tuple(s for s in whole.secrets if f"service/{s.service}" in seen),
                "edges": tuple(e for e in whole.edges if e.source in seen and e.target in seen),
            }
        )

    def own(self) -> Topology:
        """Return the visible topology without what is only used: its own services, stores, certificates, secrets."""
        seen = self.topology()
        return seen.model_copy(
            update={
                "services": tuple(s for s in seen.services if self.owns(f"service/{s.id}")),
                "data_stores": tuple(d for d in seen.data_stores if self.owns(f"data_store/{d.id}")),
                "certificates": tuple(c for c in seen.certificates if self.owns(f"service/{c.service}")),
                "secrets": tuple(c for c in seen.secrets if self.owns(f"service/{c.service}")),
            }
        )

    def bindings(self) -> tuple[RuntimeTenantBinding, ...]:
        """Return the bindings the tenant may see."""
        return tuple(b for b in self._bound if self._everything or b.tenant == self._tenant)

    def desired(self, desired: DesiredState) -> DesiredState:
        """Return the document with only the tenant's own resources in it."""
        return desired.model_copy(
            update={
                "tenant": self._tenant,
                "base": self.state(desired.base),
                "overrides": tuple(o for o in desired.overrides if address_of(o.path) in self.owned),
            }
        )

    def state(self, state: EnvironmentState) -> EnvironmentState:
        """Return the tenant's own part of a state."""
        return EnvironmentState.model_validate(
            {
                section: {k: v for k, v in getattr(state, section).items() if f"{kind}/{k}" in self.owned}
                for section, kind in SECTIONS
            }
        )

    def sees(self, entity: str) -> bool:
        """Tell whether signals of the entity may be shown; nodes and zones have no tenant's text in them."""
        return self._everything or entity in self.visible or entity.partition("/")[0] in {"node", "zone", "region"}

    def owns(self, entity: str) -> bool:
        """Tell whether the entity is the tenant's own."""
        return self._everything or entity in self.owned

    def check_writable(self, patches: Iterable[Patch]) -> None:
        """Raise NotFound for a resource that is missing or another's, Invalid for a path that is no field."""
        for patch in patches:
            if len(patch.path) < 3 or patch.path[0] not in _SECTIONS:
                raise Invalid("a patch writes one field of one resource", reason="path_unknown")
            self.check_owned(address_of(patch.path))

    def check_owned(self, address: str) -> None:
        """Raise NotFound for a resource that is missing or another's."""
        if address not in self.owned:
            raise NotFound("no such resource")

    def _used(self) -> frozenset[str]:
        return frozenset(f"service/{s.id}" for s in self._topology.services if self._tenant in s.used_by)


def _reachable(addresses: frozenset[str], topology: Topology) -> set[str]:
    """The addresses and all they stand on, by every edge but calls of services: those would open another tenant's."""
    under: dict[str, list[str]] = {}
    for edge in topology.edges:
        if edge.kind != "calls" or edge.target.startswith("external/"):
            under.setdefault(edge.source, []).append(edge.target)
    found, open_ones = set(addresses), list(addresses)
    while open_ones:
        for target in under.get(open_ones.pop(), ()):
            if target not in found:
                found.add(target)
                open_ones.append(target)
    return found
