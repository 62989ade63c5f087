"""Traffic planes: what is measured of each version of a service, by the simulated proxy and by one in memory."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from domain.base import Slug
from domain.errors import NotFound
from domain.ids import EnvironmentId
from domain.releases import ServiceReading, VersionReading
from runtime.simulator.queueing import lognormal_shape
from runtime.simulator.splits import Served
from runtime.simulator.streams import stream
from runtime.simulator.windows import steps_between
from runtime.simulator.world import World

# Requests traced per step and version: head sampling at a fixed rate keeps a few a second of a busy service.
TRACED = 20
SCRAPED = 3
"""Replicas whose memory and CPU are scraped per step."""
# Relative spread between replicas' memory and CPU per request (order of what identical pods show).
MEMORY_SPREAD, CPU_SPREAD = 0.02, 0.05


class SimulatedTraffic:
    """A `TrafficPlane` over one world: requests are drawn from what versions did, the same ones at every reading."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def versions(
        self, environment: EnvironmentId, service: str, start: datetime, end: datetime
    ) -> tuple[VersionReading, ...]:
        """Return what both versions did over [start, end); nothing where the service has only one."""
        world = self._world
        if environment != world.spec.environment:
            raise NotFound("no such environment")
        wanted = {int(k) for k in steps_between(world, start, end)}
        found: dict[str, _Drawn] = defaultdict(_Drawn)
        for step in world.traffic.splits.kept.get(service, ()):
            for served in step.served if step.number in wanted else ():
                rng = stream(world.seed, f"requests-{service}-{served.version}-{step.number}")
                found[served.version].draw(served, rng, float(world.spec.step_s))
        return tuple(drawn.reading(version) for version, drawn in found.items())

    async def served(self, environment: EnvironmentId, service: str, start: datetime, end: datetime) -> ServiceReading:
        """Return what a service did over [start, end): nothing where it is none or the window is no longer kept."""
        world, history = self._world, self._world.history
        if environment != world.spec.environment:
            raise NotFound("no such environment")
        if all(s.id != service for s in world.layout.services):
            return ServiceReading(requests=0, failed=0)
        steps, columns = steps_between(world, start, end), world.layout.columns(service)
        rates = history.truth("request_rate", steps, columns)
        weights = rates / np.maximum(rates.sum(axis=1, keepdims=True), 1e-9)
        failed, p50, p95 = (
            (history.truth(channel, steps, columns) * weights).sum(axis=1)
            for channel in ("error_share", "latency_p50_ms", "latency_p95_ms")
        )
        drawn = _Drawn()
        for row, step in enumerate(steps.tolist()):
            rng = stream(world.seed, f"requests-{service}-{step}")
            requests = drawn.count(float(rates[row].sum()) * world.spec.step_s, float(failed[row]), rng)
            # a log-normal through median and 95th percentile, 1.645 standard deviations apart
            sigma = np.log(max(p95[row], p50[row], 1e-9) / max(p50[row], 1e-9)) / 1.645
            traced = rng.standard_normal(min(requests, TRACED))
            drawn.latency_ms += [float(v) for v in p50[row] * np.exp(sigma * traced)]
        return ServiceReading(requests=drawn.requests, failed=drawn.failed, latency_ms=tuple(drawn.latency_ms))


@dataclass(slots=True)
class _Drawn:
    requests: int = 0
    failed: int = 0
    latency_ms: list[float] = field(default_factory=list[float])
    memory_mib: list[float] = field(default_factory=list[float])
    cpu_ms: list[float] = field(default_factory=list[float])

    def count(self, expected: float, failing: float, rng: np.random.Generator) -> int:
        """Count one step's requests and return how many they were."""
        requests = int(rng.poisson(expected))
        self.requests += requests
        self.failed += int(rng.binomial(requests, min(max(failing, 0.0), 1.0)))
        return requests

    def draw(self, served: Served, rng: np.random.Generator, step_s: float) -> None:
        """Add one step's requests and scrapes."""
        requests = self.count(served.rate * step_s, served.failed, rng)
        median, sigma = lognormal_shape(np.array(served.mean_s), np.array(served.variance_s2))
        traced = rng.standard_normal(min(requests, TRACED))
        self.latency_ms += [float(v) for v in 1000.0 * median * np.exp(sigma * traced)]
        self.memory_mib += [float(v) for v in _scraped(served.memory_mib, MEMORY_SPREAD, rng)]
        if requests:
            self.cpu_ms += [float(v) for v in _scraped(served.cpu_ms, CPU_SPREAD, rng)]

    def reading(self, version: str) -> VersionReading:
        """What came together."""
        return VersionReading(
            version=version, requests=self.requests, failed=self.failed, latency_ms=tuple(self.latency_ms),
            memory_mib=tuple(self.memory_mib), cpu_ms=tuple(self.cpu_ms),
        )  # fmt: skip


def _scraped(level: float, spread: float, rng: np.random.Generator) -> Sequence[float]:
    return list(level * (1.0 + spread * rng.standard_normal(SCRAPED)))


@dataclass(slots=True)
class InMemoryTraffic:
    """A `TrafficPlane` that returns what was put into it, for tests of whoever reads one."""

    environment: EnvironmentId
    kept: dict[str, list[tuple[datetime, VersionReading]]] = field(
        default_factory=dict[str, list[tuple[datetime, VersionReading]]]
    )

    def put(self, service: Slug, at: datetime, reading: VersionReading) -> None:
        """Add what one version did at an instant."""
        self.kept.setdefault(service, []).append((at, reading))

    async def versions(
        self, environment: EnvironmentId, service: str, start: datetime, end: datetime
    ) -> tuple[VersionReading, ...]:
        """Return what every version did over [start, end), taken together."""
        if environment != self.environment:
            raise NotFound("no such environment")
        together: dict[str, VersionReading] = {}
        for at, reading in self.kept.get(service, ()):
            if start <= at < end:
                before = together.get(reading.version)
                together[reading.version] = reading if before is None else _sum(before, reading)
        return tuple(together.values())

    async def served(self, environment: EnvironmentId, service: str, start: datetime, end: datetime) -> ServiceReading:
        """Return what all versions did over [start, end), taken together."""
        read = await self.versions(environment, service, start, end)
        return ServiceReading(
            requests=sum(r.requests for r in read), failed=sum(r.failed for r in read),
            latency_ms=tuple(v for r in read for v in r.latency_ms),
        )  # fmt: skip


def _sum(one: VersionReading, other: VersionReading) -> VersionReading:
    return VersionReading(
        version=one.version, requests=one.requests + other.requests, failed=one.failed + other.failed,
        latency_ms=one.latency_ms + other.latency_ms, memory_mib=one.memory_mib + other.memory_mib,
        cpu_ms=one.cpu_ms + other.cpu_ms,
    )  # fmt: skip
