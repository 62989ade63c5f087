"""Kept use: what each service burns in cores, by the quarter hour, for longer than monitoring keeps its minutes.

Taken from the target's own metrics a look at a time. A quarter hour that monitoring did not see in half stays unknown.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from analysis.signals import Floats
from domain.base import Frozen, UtcDatetime
from domain.desired import EnvironmentState
from domain.evidence import MetricSeries
from domain.ids import EnvironmentId
from domain.topology import RuntimeService
from runtime.documents import Documents, Place
from runtime.parts import RuntimeParts

SAMPLE: Final = timedelta(minutes=15)
KEPT: Final = timedelta(days=28)
"""Four weeks: as many cycles of a week as the forecast looks back at, twice."""
SEEN: Final = 0.5
"""Share of a sample's minutes that monitoring must have."""
DAY: Final = timedelta(days=1) // SAMPLE


class Use(Frozen):
    """What one service used."""

    start: UtcDatetime
    cores: tuple[float | None, ...]
    """Busy cores over all regions, mean of each quarter hour from `start` on."""

    @property
    def end(self) -> datetime:
        """When the last sample ends."""
        return self.start + len(self.cores) * SAMPLE

    @property
    def values(self) -> Floats:
        """The samples as an array, NaN where unknown."""
        return np.array([np.nan if v is None else v for v in self.cores])


USE = Documents("capacity_use", Use)


async def keep_use(
    parts: RuntimeParts, environment: EnvironmentId, services: Sequence[RuntimeService], state: EnvironmentState
) -> dict[str, Use]:
    """Add what was used since the last look and return all that is kept, by service. Raises Unavailable."""
    now = parts.clock.now()
    until = _floor(now)
    with parts.database.read() as connection:
        held = {d.id: d.body for d in USE.list(connection, environment)}
    asked = [s for s in services if s.id in state.services]
    since = min((held[s.id].end if s.id in held else until - KEPT for s in asked), default=until)
    if since >= until:
        return held
    addresses = [f"service/{s.id}" for s in asked]
    seen = _busy(await parts.target.series(environment, addresses, since, until))
    kept: dict[str, Use] = {}
    with parts.database.begin() as connection:
        for service in asked:
            cores = state.services[service.id].cpu_millicores / 1000.0
            kept[service.id] = use = _longer(held.get(service.id), seen.get(service.id, {}), cores, until)
            USE.put(connection, Place(environment=environment, tenant=service.tenant), service.id, use, at=now)
    return kept


def _floor(at: datetime) -> datetime:
    """Return the start of the quarter hour."""
    return datetime.fromtimestamp(at.timestamp() // SAMPLE.total_seconds() * SAMPLE.total_seconds(), tz=UTC)


def _longer(held: Use | None, seen: Mapping[datetime, float], replica_cores: float, until: datetime) -> Use:
    """Return the history with what was seen behind it; a sample that is missing is unknown."""
    start = held.start if held is not None else min(seen, default=until)
    known = list(held.cores) if held is not None else []
    for k in range(len(known), (until - start) // SAMPLE):
        busy = seen.get(start + k * SAMPLE)
        known.append(None if busy is None else round(busy * replica_cores, 4))
    spare = max(0, len(known) - KEPT // SAMPLE)
    return Use(start=start + spare * SAMPLE, cores=tuple(known[spare:]))


def _busy(series: Sequence[MetricSeries]) -> dict[str, dict[datetime, float]]:
    """Return busy replicas by service and start of the quarter hour: share of the request times replicas."""
    by: dict[str, dict[str, MetricSeries]] = {}
    for one in series:
        if one.metric in {"cpu_utilisation", "replicas_ready"}:
            by.setdefault(one.entity.removeprefix("service/"), {})[one.metric] = one
    return {
        name: _by_sample(held["cpu_utilisation"], held["replicas_ready"]) for name, held in by.items() if len(held) == 2
    }


def _by_sample(share: MetricSeries, replicas: MetricSeries) -> dict[datetime, float]:
    found: dict[datetime, list[float]] = {}
    step = timedelta(seconds=share.step_s)
    for k, (used, ready) in enumerate(zip(share.values, replicas.values, strict=True)):
        if used is not None and ready is not None:
            found.setdefault(_floor(share.start + k * step), []).append(used * ready)
    least = SEEN * SAMPLE / step
    return {at: float(np.mean(values)) for at, values in found.items() if len(values) >= least}
