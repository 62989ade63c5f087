"""Two versions of one service side by side: who serves how much, behaving as itself, and what is measured of each.

The plant has one column per workload, which carries both versions' work in their proportion. What one version alone
does is read off that column: same queue and callees, its own CPU, waits, failures and memory.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from domain.desired import ServiceState
from domain.policies import VersionSplit
from runtime.simulator.layout import Layout
from runtime.simulator.live import BACKOFF_S, Live, Traits
from runtime.simulator.physics import GC_COST, GC_FROM, OOM_FAILED, OOM_STAGGER
from runtime.simulator.plant import Plant, Readings
from runtime.simulator.queueing import Z95, Floats

# Steps of which readings are kept: longer than any window that is compared.
KEPT_STEPS = 2000
ShareOf = Callable[[str, Sequence[str]], float]
"""Share of a service's requests that are for some tenants."""


@dataclass(slots=True, frozen=True)
class Served:
    """What one version did in one step, over the regions of the service."""

    version: str
    rate: float
    """Requests per second."""
    failed: float
    """Share of them."""
    mean_s: float
    variance_s2: float
    memory_mib: float
    cpu_ms: float


@dataclass(slots=True, frozen=True)
class SplitStep:
    """One step of one service with a second version: the main one's part, then the other's once that is up."""

    number: int
    served: tuple[Served, ...]


@dataclass(slots=True)
class Beside:
    """A second version that is up or starting."""

    split: VersionSplit
    ready_s: float
    leaked_mib: Floats
    """(columns of the service,) per replica of this version."""
    share: float = 0.0
    """What it truly gets, whatever is written."""


@dataclass(slots=True)
class Splits:
    """Every split of a world; empty in most."""

    layout: Layout
    active: dict[str, Beside] = field(default_factory=dict[str, Beside])
    skew: dict[str, float] = field(default_factory=dict[str, float])
    """By service, how many times its written share a candidate gets: a proxy that misreads its weights."""
    mixed_mib: dict[str, Floats] = field(default_factory=dict[str, Floats])
    """By service, (columns,) what the second version's leak has put into the memory of the column they share."""
    kept: dict[str, deque[SplitStep]] = field(default_factory=dict[str, deque[SplitStep]])

    def set(self, service: str, state: ServiceState, now_s: float, startup_s: float) -> None:
        """Take in what a service's state says; a version that is up already stays up."""
        split, before = split_of(state), self.active.get(service)
        if split is None:
            self.active.pop(service, None)
        elif before is not None and before.split.version == split.version:
            before.split = split
        else:
            self.active[service] = Beside(split, now_s + startup_s, np.zeros(len(self.layout.columns(service))))

    def swap(self, service: str, before: str, after: ServiceState, now_s: float, leaked_mib: Floats) -> Floats | None:
        """Let the versions change places where the new one is up beside the old; returns its memory leaked, else None.

        The old one stays up beside it where the new state says so.
        """
        beside, split = self.active.get(service), split_of(after)
        if beside is None or beside.split.version != after.version or now_s < beside.ready_s:
            return None
        leaked_mib = leaked_mib - self.mixed_mib.pop(service, 0.0)
        if split is not None and split.version == before:
            self.active[service] = Beside(split, now_s, leaked_mib)
        else:
            self.set(service, after, now_s, 0.0)
        return beside.leaked_mib

    def direct(self, live: Live, leaked_mib: Floats, now_s: float, share_of: ShareOf) -> None:
        """Tell `live` which share every second version serves; one that is gone takes its leak off `leaked_mib`."""
        for service in [s for s in live.beside if s not in self.active]:
            del live.beside[service]
            live.dirty = True
            columns = self.layout.columns(service)
            leaked_mib[columns] = np.maximum(leaked_mib[columns] - self.mixed_mib.pop(service, 0.0), 0.0)
        for service, beside in self.active.items():
            split = beside.split
            named = share_of(service, split.tenants) if split.tenants else 0.0
            written = split.share + (1.0 - split.share) * named if now_s >= beside.ready_s else 0.0
            beside.share = float(np.clip(written * self.skew.get(service, 1.0), 0.0, 1.0))
            told = (split.version, beside.share)
            if live.beside.get(service) != told:
                live.beside[service] = told
                live.touched.add(service)
                live.dirty = True

    def observe(
        self, live: Live, plant: Plant, readings: Readings, leaked_mib: Floats, number: int, dt_s: float
    ) -> None:
        """Keep what both versions of every split did in this step."""
        for service, beside in self.active.items():
            columns = self.layout.columns(service)
            main = live.traits.get((service, live.services[service].version), Traits())
            other = live.traits.get((service, beside.split.version), Traits())
            krequests = _per_replica(plant, readings, columns) * dt_s / 1000.0
            _leak(beside, other, plant, krequests, columns)
            more = beside.share * (other.leak_mib_per_krequest - main.leak_mib_per_krequest) * krequests
            self.mixed_mib[service] = self.mixed_mib.get(service, 0.0) + more
            one = _Column(self.layout.plant, plant, readings, leaked_mib, columns)
            leaked = np.maximum(leaked_mib[columns] - self.mixed_mib[service], 0.0)
            served = [one.served(live.services[service].version, main, 1.0 - beside.share, leaked)]
            if number * dt_s >= beside.ready_s:
                served.append(one.served(beside.split.version, other, beside.share, beside.leaked_mib))
            self.kept.setdefault(service, deque(maxlen=KEPT_STEPS)).append(SplitStep(number, tuple(served)))


def split_of(state: ServiceState) -> VersionSplit | None:
    """Which version shall stand beside the main one: a release's, else the fixed one of the policy."""
    if state.split is not None or state.traffic.canary_version is None:
        return state.split
    return VersionSplit(version=state.traffic.canary_version, share=state.traffic.canary_weight)


def tenants_share(layout: Layout, plant: Plant, flow: Floats, of_tenants: Floats, service: str) -> float:
    """Share of a service's arrivals that began with some tenants' users.

    `flow` (workloads,) is demand, `of_tenants` (workloads,) is 1 where it is theirs; calls carry it down as they do.
    """
    calls, ones = plant.graph.per_call * plant.route, np.ones(layout.size)
    columns = layout.columns(service)
    all_of_it = plant.graph.push_down(flow, calls, ones)[columns].sum()
    theirs = plant.graph.push_down(flow * of_tenants, calls, ones)[columns].sum()
    return float(theirs / all_of_it) if all_of_it > 0.0 else 0.0


def _per_replica(plant: Plant, readings: Readings, columns: list[int]) -> Floats:
    """Requests per second and replica: they share evenly, whichever version they run."""
    cores = np.maximum(readings.cpu_utilisation[columns], 1e-9) * plant.cores[columns]
    replicas = np.maximum(readings.cpu_cores[columns] / cores, 1.0)
    return readings.request_rate[columns] / replicas


def _leak(beside: Beside, traits: Traits, plant: Plant, krequests: Floats, columns: list[int]) -> None:
    if beside.share > 0.0:
        beside.leaked_mib = beside.leaked_mib + traits.leak_mib_per_krequest * krequests
    room = plant.memory_limit_mib[columns] - plant.memory_base_mib[columns]
    beside.leaked_mib = np.where(beside.leaked_mib >= room, OOM_STAGGER * room, beside.leaked_mib)


class _Column:
    """One service's columns in one step, from which each version's part is worked out."""

    def __init__(
        self, healthy: Plant, plant: Plant, readings: Readings, leaked_mib: Floats, columns: list[int]
    ) -> None:
        self._healthy, self._plant, self._at = healthy, plant, columns
        self._rate = readings.request_rate[columns]
        self._self_s = readings.self_ms[columns] / 1000.0
        self._mean_s = readings.latency_mean_ms[columns] / 1000.0
        sigma = np.log(np.maximum(readings.latency_p95_ms[columns] / readings.latency_p50_ms[columns], 1.0)) / Z95
        self._variance = self._mean_s**2 * np.expm1(sigma**2)
        self._failed = readings.error_share[columns]
        in_flight = readings.memory_mib[columns] - plant.memory_base_mib[columns] - leaked_mib[columns]
        self._in_flight_mib = np.maximum(in_flight, 0.0)

    def served(self, version: str, traits: Traits, share: float, leaked_mib: Floats) -> Served:
        """What a version does with its share, weighted over the regions."""
        healthy, plant, at = self._healthy, self._plant, self._at
        cpu_ms = healthy.cpu_ms[at] * traits.cpu_factor
        io_s = (healthy.io_ms[at] * traits.io_factor + traits.io_add_ms) / 1000.0
        base = healthy.memory_base_mib[at] * traits.memory_factor
        memory = np.minimum(base + self._in_flight_mib + leaked_mib, plant.memory_limit_mib[at])
        filled = np.clip((memory / plant.memory_limit_mib[at] - GC_FROM) / (1.0 - GC_FROM), 0.0, 1.0)
        busy = cpu_ms * (1.0 + GC_COST * filled**2)
        # Queue and work at the CPU together, stretched as that column's are.
        both = np.maximum(self._self_s - plant.io_ms[at] / 1000.0, 0.0) * busy / np.maximum(plant.cpu_ms[at], 1e-9)
        own, mixed = both + io_s, self._self_s
        mean = np.maximum(self._mean_s - mixed + own, 1e-6)
        variability = healthy.variability[at] * traits.variability_factor
        variance = self._variance - plant.variability[at] * mixed**2 + variability * own**2
        variance = np.maximum(variance, 0.01 * mean**2)
        failed = self._failing(traits, healthy.error_share[at], filled)
        weight = self._rate / max(float(self._rate.sum()), 1e-9)
        average = float((mean * weight).sum())
        return Served(
            version=version,
            rate=float(self._rate.sum()) * share,
            failed=float((failed * weight).sum()),
            mean_s=average,
            variance_s2=float(((variance + mean**2) * weight).sum()) - average**2,
            memory_mib=float(memory.mean()),
            cpu_ms=float((busy * weight).sum()),
        )

    def _failing(self, traits: Traits, healthy: Floats, filled: Floats) -> Floats:
        """Failures of callees and the platform are everybody's; own ones, and those of dying processes, are not."""
        own = np.clip(healthy + traits.error_add, 0.0, 1.0)
        down = BACKOFF_S / (BACKOFF_S + traits.exits_after_s) if traits.exits_after_s > 0.0 else 0.0
        others = (1.0 - self._failed) / np.maximum(1.0 - self._plant.error_share[self._at], 1e-9)
        dying = np.where(filled >= 1.0, OOM_FAILED, 0.0)
        return 1.0 - np.clip(others, 0.0, 1.0) * (1.0 - own) * (1.0 - down) * (1.0 - dying)
