"""Where replicas run: nodes in zones, start-up lag, eviction and replacement of lost nodes, capacity limits.

The scheduler is a level-triggered reconciler: whenever something changed it compares wanted with running replicas per
zone and starts what fits. A lost node's replicas come back after the eviction delay, the node when it is repaired.
"""

from dataclasses import dataclass, field
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from runtime.simulator.layout import ALLOCATABLE, Layout
from runtime.simulator.pricing import SKUS
from runtime.simulator.queueing import Floats

# tolerationSeconds of node.kubernetes.io/not-ready (Kubernetes default).
EVICT_AFTER_S = 300.0
# A new AKS node is ready in two to four minutes (Azure documentation of the cluster autoscaler).
NODE_STARTUP_S = 180.0
# How often pending replicas are tried again.
RETRY_S = 30.0


@dataclass(slots=True)
class Node:
    """One machine; `down_until` is an instant on the virtual clock in seconds, inf while lost for good."""

    name: str
    pool: int
    region: int
    zone: int
    cores: float
    up: bool = True
    exists: bool = True
    cordoned: bool = False
    down_until: float = 0.0


@dataclass(slots=True)
class Cluster:
    """Replicas per (workload, zone). Times are seconds since the start of the world."""

    layout: Layout
    cores: Floats
    startup_s: Floats
    desired: Floats
    nodes: list[Node] = field(default_factory=list[Node])
    running: Floats = field(init=False)
    starting: list[tuple[float, Floats]] = field(default_factory=list[tuple[float, Floats]])
    held: list[tuple[float, Floats]] = field(default_factory=list[tuple[float, Floats]])
    zone_up: NDArray[np.bool_] = field(init=False)
    dirty: bool = True
    pool_cores: Floats = field(init=False)
    """(pools, zones) allocatable cores of live, uncordoned nodes."""
    nodes_up: Floats = field(init=False)
    """(nodes,) 1 where a node is there and ready."""
    quota_cores: Floats = field(init=False)
    """(pools,) cores that may be requested; the provider grants no more."""
    _next_try: float = 0.0
    _next_heal_s: float = np.inf
    _pinned: NDArray[np.bool_] = field(init=False)
    _all_zones: Floats = field(init=False)
    _starters: tuple[tuple[float, Floats], ...] = field(init=False)
    """(start-up time, 1 for the workloads that take it)."""

    def __post_init__(self) -> None:
        zones = max(len(r.zones) for r in self.layout.spec.regions)
        self._all_zones = np.ones(zones)
        self._starters = tuple(
            (float(s), (self.startup_s == s).astype(np.float64)[:, None]) for s in np.unique(self.startup_s)
        )
        self.zone_up = np.zeros((len(self.layout.regions), zones), dtype=bool)
        for index, region in enumerate(self.layout.spec.regions):
            self.zone_up[index, : len(region.zones)] = True
        self._pinned = np.array([s.pinned_zone for s in self.layout.rows], dtype=bool)
        self.nodes = _nodes(self.layout)
        self.quota_cores = np.full(len(self.layout.pools), np.inf)
        self.count_nodes()
        self.running = self.wanted()

    @property
    def ready(self) -> Floats:
        """Running replicas per workload."""
        return self.running @ self._all_zones

    def wanted(self) -> Floats:
        """Desired replicas spread evenly over the live zones of each region; pinned ones stay in the first zone."""
        up = self.zone_up[self.layout.region_of].astype(np.float64)
        first = np.zeros_like(up)
        first[:, 0] = self.zone_up[self.layout.region_of, 0]
        up = np.where(self._pinned[:, None], first, up)
        places = up.sum(axis=1)
        order = np.cumsum(up, axis=1) - 1.0
        each = np.floor(self.desired / np.maximum(places, 1.0))
        rest = self.desired - each * places
        return up * (each[:, None] + (order < rest[:, None]))

    def step(self, now_s: float) -> None:
        """Finish starts that are due, heal nodes that are due, and reconcile when something changed."""
        while self.starting and self.starting[0][0] <= now_s:
            self.running += self.starting.pop(0)[1]
            self.dirty = True
        if self.held and self.held[0][0] <= now_s:
            self.held = [h for h in self.held if h[0] > now_s]
            self.dirty = True
        if now_s >= self._next_heal_s:
            for node in self.nodes:
                node.up = node.up or node.down_until <= now_s
            self.count_nodes()
        if self.dirty or now_s >= self._next_try:
            self._reconcile(now_s)

    def _reconcile(self, now_s: float) -> None:
        wanted = self.wanted()
        self.running = np.minimum(self.running, wanted)
        coming = sum((c for _, c in self.starting), start=np.zeros_like(wanted))
        coming = np.minimum(coming, wanted - self.running)
        held = sum((h for _, h in self.held), start=np.zeros_like(wanted))
        missing = np.maximum(wanted - self.running - coming - held, 0.0)
        self.dirty = False
        self._next_try = now_s + RETRY_S
        if missing.any():
            self._start(self._fitting(missing, coming), now_s)

    def _fitting(self, missing: Floats, coming: Floats) -> Floats:
        """Of the missing replicas those that free CPU in their pool and zone can hold."""
        pools, zones = len(self.layout.pools), missing.shape[1]
        free = self.pool_cores
        granted = self.quota_cores - np.bincount(self.layout.pool_of, coming.sum(axis=1) * self.cores, pools)
        granted -= np.bincount(self.layout.pool_of, self.ready * self.cores, pools)
        fits = np.zeros_like(missing)
        for zone in range(zones):
            used = np.bincount(self.layout.pool_of, (self.running + coming)[:, zone] * self.cores, pools)
            need = np.bincount(self.layout.pool_of, missing[:, zone] * self.cores, pools)
            room = np.maximum(np.minimum(free[:, zone] - used, granted), 0.0)
            share = np.minimum(1.0, room / np.maximum(need, 1e-9))
            fits[:, zone] = np.floor(missing[:, zone] * share[self.layout.pool_of] + 1e-9)
            granted = granted - np.bincount(self.layout.pool_of, fits[:, zone] * self.cores, pools)
        return fits

    def expected(self) -> Floats:
        """Replicas per workload that run or are starting."""
        return self.ready + sum((c.sum(axis=1) for _, c in self.starting), start=np.zeros_like(self.desired))

    def requested_cores(self) -> Floats:
        """(pools,) cores that running and starting replicas request."""
        cores = np.bincount(self.layout.pool_of, self.expected() * self.cores, len(self.layout.pools))
        return np.asarray(cores, dtype=np.float64)

    def _start(self, counts: Floats, now_s: float) -> None:
        for delay, takes in self._starters:
            batch = counts * takes
            if batch.any():
                self.starting.append((now_s + delay, batch))
        self.starting.sort(key=lambda item: item[0])

    def count_nodes(self) -> None:
        """Look at all nodes again: what they offer, and when the next lost one comes back. Asks for reconciling."""
        self.pool_cores = np.zeros((len(self.layout.pools), self.zone_up.shape[1]))
        self.nodes_up = np.zeros(len(self.nodes))
        for k, node in enumerate(self.nodes):
            if node.up and node.exists and self.zone_up[node.region, node.zone]:
                self.nodes_up[k] = 1.0
                if not node.cordoned:
                    self.pool_cores[node.pool, node.zone] += node.cores * ALLOCATABLE
        self._next_heal_s = min((n.down_until for n in self.nodes if not n.up), default=np.inf)
        self.dirty = True

    def lose_node(self, name: str, now_s: float, repaired_after_s: float) -> None:
        """Take a node away: its replicas die, are evicted after the delay, and the node returns when repaired."""
        node = self.node(name)
        lost = np.zeros_like(self.running)
        for column in np.flatnonzero(self.layout.pool_of == node.pool):
            if self.home(int(column), node.zone) is node:
                lost[column, node.zone] = self.running[column, node.zone]
        node.up, node.down_until = False, now_s + repaired_after_s
        self.running -= lost
        self.held.append((now_s + EVICT_AFTER_S, lost))
        self.held.sort(key=lambda item: item[0])
        self.count_nodes()

    def resize_pool(self, pool: int, count: int, drained: tuple[str, ...], now_s: float) -> None:
        """Set how many of a pool's nodes exist and which are drained; new ones join after `NODE_STARTUP_S`."""
        for k, node in enumerate(n for n in self.nodes if n.pool == pool):
            if k < count and not node.exists:
                node.exists, node.up, node.down_until = True, False, now_s + NODE_STARTUP_S
            node.exists = k < count
            node.cordoned = node.name in drained
        self.count_nodes()

    def exchange(self, pool: int, cores: float) -> None:
        """Replace a pool's machines by others of that many cores, one after another: nothing is lost on the way."""
        for node in self.nodes:
            if node.pool == pool:
                node.cores = cores
        self.count_nodes()

    def set_zone(self, region: int, zone: int, *, up: bool) -> None:
        """Take a zone away or bring it back; its replicas die at once and are rescheduled to live zones if they may."""
        self.zone_up[region, zone] = up
        if not up:
            self.running[self.layout.region_of == region, zone] = 0.0
        self.count_nodes()

    def set_spread(self, columns: list[int], *, spread: bool) -> None:
        """Spread replicas over zones or keep them in one; they move one after another, so none is missing meanwhile."""
        full = self.running[columns].sum(axis=1) >= self.desired[columns]
        self._pinned[columns] = not spread
        moved = np.array(columns)[full]
        self.running[moved] = self.wanted()[moved]
        self.dirty = True

    def restart(self, columns: list[int], now_s: float) -> None:
        """Rolling restart: a quarter of the replicas (maxUnavailable of a Deployment) is down for one start-up."""
        taken = np.zeros_like(self.running)
        for column in columns:
            budget = np.ceil(self.running[column].sum() * 0.25)
            zone = int(np.argmax(self.running[column]))
            taken[column, zone] = min(budget, self.running[column, zone])
        if self.running[columns].sum() > len(columns):
            self.running -= taken
            self._start(taken, now_s)

    def revive_node(self, name: str) -> None:
        """Bring a lost node back at once, and let its replicas start without waiting for the eviction delay."""
        self.node(name).up = True
        self.held.clear()
        self.count_nodes()

    def home(self, column: int, zone: int) -> Node:
        """The node that holds a workload's replicas in a zone: bin packing keeps the few of one zone together."""
        pool = int(self.layout.pool_of[column])
        peers = [n for n in self.nodes if n.exists and (n.pool, n.zone) == (pool, zone)]
        service = self.layout.rows[column].id
        return peers[crc32(service.encode()) % len(peers)]

    def node(self, name: str) -> Node:
        """The node of that name."""
        return next(n for n in self.nodes if n.name == name)


def _nodes(layout: Layout) -> list[Node]:
    nodes: list[Node] = []
    for index, pool in enumerate(layout.spec.node_pools):
        region = layout.regions.index(pool.region)
        zones = layout.spec.regions[region].zones
        for k in range(pool.max_nodes):
            zone = k % len(zones)
            name = f"{pool.id}-{zone + 1}-{k // len(zones)}"
            nodes.append(Node(name, index, region, zone, SKUS[pool.sku].cores, exists=k < pool.node_count))
    return nodes
