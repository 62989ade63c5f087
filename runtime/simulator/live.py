"""What is running now: per-service state, versions and their traits, rollouts under way, hidden changes of nature.

`Live.plant()` folds all of it over the healthy plant; the world calls it only when something changed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from domain.desired import ServiceState
from domain.policies import ScalingPolicy
from runtime.simulator.add_ons import REREFERENCE_S, fold
from runtime.simulator.layout import Layout
from runtime.simulator.plant import EDGE_FIELDS, Plant
from runtime.simulator.queueing import Floats
from runtime.simulator.spec import ServiceSpec

Scaling = tuple[Floats, Floats, Floats, Floats, Floats]
"""(enabled, target utilisation, minimum, maximum, stabilisation seconds) per workload."""
# A rolling update replaces a quarter of the replicas at a time (Deployment default): four waves of one start-up each.
ROLLOUT_WAVES = 4
# The kubelet's longest back-off: a version that exits by itself spends it between two lives, once it has for a while.
BACKOFF_S = 300.0
# Debug logging costs about a third of a small request's CPU (order of published logging benchmarks).
DEBUG_CPU = 1.35


@dataclass(slots=True, frozen=True)
class Traits:
    """How a version, or a feature that is switched on, behaves against the service as it first was."""

    cpu_factor: float = 1.0
    io_factor: float = 1.0
    io_add_ms: float = 0.0
    error_add: float = 0.0
    leak_mib_per_krequest: float = 0.0
    memory_factor: float = 1.0
    variability_factor: float = 1.0
    """Of the own service time's squared coefficient of variation: more of it is a heavier tail at the same mean."""
    exits_after_s: float = 0.0
    """How long a process lives before it exits by itself; 0 where it stays up."""


@dataclass(slots=True, frozen=True)
class Rollout:
    """A version change under way, in seconds since the start."""

    before: str
    after: str
    start_s: float
    end_s: float

    def share(self, now_s: float) -> float:
        """Share of replicas on the new version, in waves."""
        done = (now_s - self.start_s) / max(self.end_s - self.start_s, 1e-9)
        return float(np.clip(np.floor(done * ROLLOUT_WAVES + 1.0) / ROLLOUT_WAVES, 0.0, 1.0))


@dataclass(slots=True, frozen=True)
class Modifier:
    """A hidden change of one plant field on some columns: value * factor + add, until removed.

    Columns are workloads (`Layout.columns`), or call edges (`Layout.edges`) for the fields in `plant.EDGE_FIELDS`.
    """

    field: str
    columns: tuple[int, ...]
    factor: float = 1.0
    add: float = 0.0
    held_by: tuple[int, ...] = ()
    """Workloads whose running processes keep it up: it ends when those of any of them are new."""


@dataclass(slots=True)
class Live:
    """Mutable truth about what runs; `dirty` asks for a new plant."""

    layout: Layout
    services: dict[str, ServiceState]
    traits: dict[tuple[str, str], Traits] = field(default_factory=dict[tuple[str, str], Traits])
    """By service and version, or service and feature flag."""
    rollouts: dict[str, Rollout] = field(default_factory=dict[str, Rollout])
    modifiers: dict[str, tuple[Modifier, ...]] = field(default_factory=dict[str, tuple[Modifier, ...]])
    beside: dict[str, tuple[str, float]] = field(default_factory=dict[str, tuple[str, float]])
    """By service, a second version and the share of requests it serves."""
    failed: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    """By service, regions for which others take over at present."""
    homes: dict[str, str] = field(default_factory=dict[str, str])
    """By tenant, the region it was rebound to: where that is not its first one, all its requests go there."""
    touched: set[str] = field(default_factory=set[str])
    """Services whose state ever left the initial one; only these are folded again."""
    held: set[str] = field(default_factory=set[str])
    """Services whose pipeline is paused, as teams do for what is being worked on."""
    dirty: bool = True
    _route: Floats | None = None
    _share: Floats | None = None
    _scaling: Scaling | None = None

    def set(self, service: str, state: ServiceState) -> None:
        """Replace a service's state."""
        before = self.services[service]
        if state.traffic.region_weights != before.traffic.region_weights or service in self.failed:
            self._route = self._share = None
        if state.scaling != before.scaling:
            self._scaling = None
        self.services[service] = state
        self.touched.add(service)
        self.dirty = True

    def fail(self, service: str, regions: frozenset[str]) -> None:
        """Lead no request of a service to these regions from now on."""
        self.failed.pop(service, None)
        if regions:
            self.failed[service] = regions
        self._route = self._share = None
        self.dirty = True

    def rebind(self, tenant: str, region: str | None) -> None:
        """Lead all requests for a tenant's services to one region; None leads them as their policies say."""
        self.homes.pop(tenant, None)
        if region is not None:
            self.homes[tenant] = region
        self._route = self._share = None
        self.dirty = True

    def renew(self, columns: list[int]) -> None:
        """The processes of these workloads are new: what the old ones held up ends."""
        ended = [k for k, group in self.modifiers.items() if any(set(m.held_by) & set(columns) for m in group)]
        for key in ended:
            del self.modifiers[key]
            self.dirty = True

    def plant(self, now_s: float) -> Plant:
        """The effective plant at an instant."""
        plant = self.layout.plant.copy()
        for service in sorted(self.touched):
            state, columns = self.services[service], self.layout.columns(service)
            self._version(plant, service, columns, now_s)
            self._settings(plant, service, state, columns)
            fold(plant, self.layout, self.layout.services[self.layout.service_index[service]], state)
        for group in self.modifiers.values():
            for change in group:
                array: Floats = getattr(plant, change.field)
                columns = list(change.columns)
                array[columns] = array[columns] * change.factor + change.add
                plant.undisturbed &= change.field not in EDGE_FIELDS
        if self._route is None:
            self._route = self._routes(plant)
        plant.route = self._route
        self.dirty = bool(self.rollouts)
        return plant

    def _version(self, plant: Plant, service: str, columns: list[int], now_s: float) -> None:
        rollout = self.rollouts.get(service)
        if rollout is not None and now_s >= rollout.end_s:
            del self.rollouts[service]
            rollout = None
        new = self.traits.get((service, self.services[service].version), Traits())
        old = self.traits.get((service, rollout.before), Traits()) if rollout else new
        share = rollout.share(now_s) if rollout else 1.0
        version, aside = self.beside.get(service, ("", 0.0))
        other = self.traits.get((service, version), Traits())
        if new == old == other == Traits():
            return

        def mix(name: str) -> float:
            main = share * getattr(new, name) + (1.0 - share) * getattr(old, name)
            return main + aside * (getattr(other, name) - main)

        _behave(plant, columns, mix)
        _out_of_service(plant, columns, other, aside)

    def _flags(self, plant: Plant, service: str, config: dict[str, str], columns: list[int]) -> None:
        """Features that are switched on bring their own behaviour."""
        for key, value in config.items():
            traits = self.traits.get((service, key)) if value == ON else None
            if traits is not None:
                _behave(plant, columns, partial(getattr, traits))

    def _settings(self, plant: Plant, service: str, state: ServiceState, columns: list[int]) -> None:
        plant.cores[columns] = state.cpu_millicores / 1000.0
        plant.memory_limit_mib[columns] = state.memory_mib
        spec = self.layout.services[self.layout.service_index[service]]
        if state.config == default_config(spec):
            return
        config = {**default_config(spec), **state.config}
        plant.timeout_ms[columns] = _number(config["timeout_ms"], spec.timeout_ms, low=1.0)
        plant.retries[columns] = _number(config["max_retries"], spec.retries, low=0.0)
        plant.workers[columns] = _number(config["pool_size"], spec.workers, low=1.0)
        if config["log_level"] == "debug":
            plant.cpu_ms[columns] *= DEBUG_CPU
        if spec.cache_hit > 0.0:
            ttl = _number(config["cache_ttl_s"], DEFAULT_TTL_S, low=0.0)
            warm = DEFAULT_TTL_S / (DEFAULT_TTL_S + REREFERENCE_S)
            plant.cache_hit[columns] = spec.cache_hit * ttl / (ttl + REREFERENCE_S) / warm
        self._flags(plant, service, config, columns)

    def _routes(self, plant: Plant) -> Floats:
        """Share of a caller's calls that go to each region of the callee: nearest, unless its policy has weights."""
        graph, layout = plant.graph, self.layout
        route = np.ones(len(graph.caller))
        for edge, (_, callee) in enumerate(layout.edge_calls):
            spec = layout.services[layout.service_index[callee]]
            region = layout.regions[int(layout.region_of[graph.callee[edge]])]
            origin = layout.regions[int(layout.region_of[graph.caller[edge]])]
            route[edge] = self._weights(spec, origin).get(region, 0.0)
        return route

    def _weights(self, spec: ServiceSpec, origin: str) -> dict[str, float]:
        """Share of each region in a service's requests from `origin`: its policy's, else the nearest, then failover."""
        state = self.services.get(spec.id)
        if (home := self.homes.get(spec.tenant)) in spec.regions:
            return {home: 1.0}
        weights = dict(state.traffic.region_weights) if state else {}
        if not weights:
            weights = {origin: 1.0} if origin in spec.regions else dict.fromkeys(spec.regions, 1.0 / len(spec.regions))
        out = self.failed.get(spec.id)
        order = state.traffic.region_failover if state else ()
        instead = next((r for r in order if r in spec.regions and r not in out), None) if out else None
        if out and instead is not None:
            moved = sum(weights.pop(region, 0.0) for region in out)
            weights[instead] = weights.get(instead, 0.0) + moved
        return weights

    def entry_share(self) -> Floats:
        """Share of a service's external demand per workload, times its regions (1 = even split)."""
        if self._share is not None:
            return self._share
        share, layout = np.ones(self.layout.size), self.layout
        for service, state in self.services.items():
            spec = layout.services[layout.service_index[service]]
            if not state.traffic.region_weights and service not in self.failed and spec.tenant not in self.homes:
                continue
            columns = layout.columns(service)
            regions = [layout.regions[int(layout.region_of[column])] for column in columns]
            from_each = [self._weights(spec, origin) for origin in regions]
            for column, region in zip(columns, regions, strict=True):
                share[column] = sum(weights.get(region, 0.0) for weights in from_each)
        self._share = share
        return share

    def scaling(self) -> Scaling:
        """(enabled, target, min, max, stabilisation seconds) per workload, for the autoscaler."""
        if self._scaling is not None:
            return self._scaling
        rows: list[tuple[float, float, float, float, float]] = []
        for spec in self.layout.rows:
            state = self.services.get(spec.id)
            policy = state.scaling if state else None
            policy = policy or ScalingPolicy(min_replicas=0, max_replicas=1, target_cpu_utilisation=1.0, enabled=False)
            rows.append((
                float(policy.enabled), policy.target_cpu_utilisation, float(policy.min_replicas),
                float(policy.max_replicas), float(policy.scale_down_stabilisation_s),
            ))  # fmt: skip
        table = np.array(rows)
        self._scaling = (table[:, 0], table[:, 1], table[:, 2], table[:, 3], table[:, 4])
        return self._scaling


def _behave(plant: Plant, columns: list[int], told: Callable[[str], float]) -> None:
    """Let workloads behave as traits tell by name."""
    plant.cpu_ms[columns] *= told("cpu_factor")
    plant.io_ms[columns] = plant.io_ms[columns] * told("io_factor") + told("io_add_ms")
    plant.error_share[columns] = np.clip(plant.error_share[columns] + told("error_add"), 0.0, 1.0)
    leak = plant.leak_mib_per_krequest[columns] + told("leak_mib_per_krequest")
    plant.leak_mib_per_krequest[columns] = np.maximum(leak, 0.0)
    plant.memory_base_mib[columns] *= told("memory_factor")
    plant.variability[columns] *= told("variability_factor")


def _out_of_service(plant: Plant, columns: list[int], other: Traits, aside: float) -> None:
    """Requests led to a second version whose processes keep exiting find nobody; the main one's go round them."""
    if other.exits_after_s > 0.0 and aside > 0.0:
        lost = aside * BACKOFF_S / (BACKOFF_S + other.exits_after_s)
        plant.error_share[columns] = 1.0 - (1.0 - plant.error_share[columns]) * (1.0 - lost)


DEFAULT_TTL_S = 300.0
ON, OFF = "true", "false"
"""The two values of a feature flag."""


def default_config(spec: ServiceSpec) -> dict[str, str]:
    """Configuration a service starts with."""
    config = {
        "timeout_ms": f"{spec.timeout_ms:g}",
        "max_retries": str(spec.retries),
        "pool_size": str(spec.workers),
        "log_level": "info",
    }
    config |= dict.fromkeys(spec.flags, OFF)
    return config | ({"cache_ttl_s": f"{DEFAULT_TTL_S:g}"} if spec.cache_hit > 0.0 else {})


def initial_state(spec: ServiceSpec) -> ServiceState:
    """Desired state a service starts with."""
    return ServiceState(
        version=spec.version,
        replicas=spec.replicas,
        cpu_millicores=spec.cpu_millicores,
        memory_mib=spec.memory_mib,
        config=default_config(spec),
        scaling=spec.scaling,
        zone_spread=not spec.pinned_zone,
    )


def _number(text: str, default: float, *, low: float) -> float:
    """A configuration value as services read it: what does not parse falls back to the built-in default."""
    try:
        return max(float(text), low)
    except ValueError:
        return float(default)
