"""How near two things are: along calls always, through machines and zones only when those themselves had a change.

Without that condition a shared node pool would fold every symptom of an environment into one incident.
"""

from collections import deque
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from domain.evidence import ChangeRecord
from domain.ids import PLATFORM, TenantId
from domain.topology import EdgeKind, Topology

# A symptom shows at the culprit, its callers and theirs: two hops hold most propagation within the first minutes.
RELATED_HOPS = 2
# Changes that explain a symptom come within the half hour before it (change correlation windows of AIOps practice).
SHARED_CHANGE = timedelta(minutes=30)
_ALWAYS: frozenset[EdgeKind] = frozenset({"calls", "stores_in", "secured_by"})


class Neighbourhood:
    """Distances in one topology snapshot, with the recent changes that open paths through shared machines."""

    def __init__(self, topology: Topology, changes: Iterable[ChangeRecord] = (), *, at: datetime | None = None) -> None:
        recent = [c for c in changes if at is None or timedelta(0) <= at - c.at <= SHARED_CHANGE]
        self._changed = frozenset(c.entity for c in recent)
        self._links: dict[str, set[str]] = {}
        for edge in topology.edges:
            if edge.kind in _ALWAYS or edge.target in self._changed or edge.source in self._changed:
                self._links.setdefault(edge.source, set()).add(edge.target)
                self._links.setdefault(edge.target, set()).add(edge.source)

    def within(self, start: str, hops: int = RELATED_HOPS) -> dict[str, int]:
        """Return each address within `hops` of the start with its distance, the start included."""
        distance = {start: 0}
        queue = deque([start])
        while queue:
            here = queue.popleft()
            if distance[here] == hops:
                continue
            for other in sorted(self._links.get(here, ())):
                if other not in distance:
                    distance[other] = distance[here] + 1
                    queue.append(other)
        return distance

    def related(self, entity: str, others: Collection[str]) -> bool:
        """Tell whether the entity is one of the others or within reach of one."""
        return not self.within(entity).keys().isdisjoint(others)


def owner_tenant(topology: Topology, entities: Iterable[tuple[str, TenantId]]) -> TenantId:
    """Return the tenant that owns all the entities, each given with the tenant whose event named it.

    Things that are shared, or belong to several tenants together, are the platform's.
    """
    owners = {_owner(topology, entity, told_by) for entity, told_by in entities}
    return owners.pop() if len(owners) == 1 else PLATFORM


def _owner(topology: Topology, address: str, told_by: TenantId) -> TenantId:
    kind, _, name = address.partition("/")
    if kind == "service":
        service = topology.service(name)
        return service.tenant if service is not None else told_by
    if kind == "data_store":
        return next((store.tenant for store in topology.data_stores if store.id == name), told_by)
    return PLATFORM
