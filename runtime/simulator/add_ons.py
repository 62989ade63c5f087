"""Add-ons in the world: edge caches and a firewall before entries, a cache tier before data stores.

Edge parts thin out what reaches a service. Of requests that may be cached an edge answers ttl / (ttl + re-reference
time), as every cache here. A firewall sheds hostile requests by its level, and turns away some honest ones with them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from domain.desired import ServiceState
from domain.policies import CacheTierPolicy
from runtime.bills.add_ons import CDN_USD_PER_MILLION, usd_per_hour
from runtime.simulator.layout import Layout
from runtime.simulator.plant import Plant
from runtime.simulator.queueing import Floats
from runtime.simulator.spec import ServiceSpec

# Hit ratio by time to live follows ttl / (ttl + mean re-reference time); this is that time for all caches here.
REREFERENCE_S = 30.0
# Share of hostile requests shed, and of honest ones turned away, by paranoia level: ours, in the order in which
# evaluations of the OWASP Core Rule Set find them (more caught and many more false alarms with each level).
CAUGHT = (0.85, 0.92, 0.96, 0.98)
MISTAKEN = (0.0005, 0.002, 0.01, 0.03)
# Inspecting a request, and looking a value up in a cache of the same region, take about a millisecond each.
INSPECT_MS, LOOK_UP_MS = 1.0, 1.0
# Reads as a share of an application's calls of its stores: seven in ten, in the middle of published OLTP mixes.
READ_SHARE = 0.7
# Memory that would hold everything a service reads again, per region.
WORKING_SET_MIB = 1024.0


@dataclass(slots=True)
class EdgeCounts:
    """Requests since the start, (workloads,)."""

    answered: Floats
    """By edge caches."""
    shed: Floats
    """Hostile ones, by firewalls."""
    mistaken: Floats
    """Honest ones, by firewalls."""


class AddOns:
    """What stands before the entries, and what was done there."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        zeros = np.zeros(layout.size)
        self.attack_rps = zeros.copy()
        """Hostile requests per second that are sent to each workload."""
        self.counts = EdgeCounts(zeros.copy(), zeros.copy(), zeros.copy())
        self.spent_usd = 0.0
        self._answered, self._caught, self._mistaken = zeros.copy(), zeros.copy(), zeros.copy()
        self._usd_per_hour = 0.0
        self.active = False
        """Whether anything stands before anything, at a price or not."""

    def follow(self, services: Mapping[str, ServiceState]) -> None:
        """Take up what services have now."""
        self._usd_per_hour = 0.0
        for name, state in services.items():
            columns = self._layout.columns(name)
            spec = self._layout.services[self._layout.service_index[name]]
            ttl = 0.0 if state.cdn is None else float(state.cdn.ttl_s)
            level = None if state.waf is None else state.waf.paranoia - 1
            self._answered[columns] = spec.cacheable_share * ttl / (ttl + REREFERENCE_S)
            self._caught[columns] = 0.0 if level is None else CAUGHT[level]
            self._mistaken[columns] = 0.0 if level is None else MISTAKEN[level]
            self._usd_per_hour += usd_per_hour(state, len(columns))
        self.active = self._usd_per_hour > 0.0

    def admit(self, honest: Floats, dt_s: float) -> Floats:
        """Return what of the demand (requests per second, workloads) reaches the services, attacks included."""
        if not self.active and not self.attack_rps.any():
            return honest
        mistaken = honest * self._mistaken
        answered = (honest - mistaken) * self._answered
        shed = self.attack_rps * self._caught
        self.counts.answered += answered * dt_s
        self.counts.shed += shed * dt_s
        self.counts.mistaken += mistaken * dt_s
        by_request = float(answered.sum()) * dt_s * CDN_USD_PER_MILLION / 1e6
        self.spent_usd += self._usd_per_hour * dt_s / 3600.0 + by_request
        return honest - mistaken - answered + self.attack_rps - shed


def fold(plant: Plant, layout: Layout, spec: ServiceSpec, state: ServiceState) -> None:
    """Let a service's workloads in the plant behave as its add-ons make them."""
    columns = layout.columns(spec.id)
    if state.waf is not None:
        plant.io_ms[columns] += INSPECT_MS
    if state.cache_tier is not None:
        _cache_tier(plant, layout, spec.id, columns, state.cache_tier)


def _cache_tier(plant: Plant, layout: Layout, service: str, columns: list[int], tier: CacheTierPolicy) -> None:
    """Calls of stores are made on a miss only; a service's own cache is asked first, the tier for what that lacks."""
    stores = [
        edge
        for edge, (caller, callee) in enumerate(layout.edge_calls)
        if caller == service and layout.services[layout.service_index[callee]].archetype == "database"
    ]
    if not stores:
        return
    held = min(1.0, tier.memory_mib / WORKING_SET_MIB)
    hit = READ_SHARE * held * tier.ttl_s / (tier.ttl_s + REREFERENCE_S)
    plant.cached_edge[stores] = 1.0
    plant.cache_hit[columns] = 1.0 - (1.0 - plant.cache_hit[columns]) * (1.0 - hit)
    plant.io_ms[columns] += LOOK_UP_MS
