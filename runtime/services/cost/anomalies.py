"""Anomalies of spending: which dimension money goes another way in, in USD, above a stated minimum.

A service's quantity is judged per region; prices and machine types per pool, where they change for everybody at once.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from analysis.signals import Floats
from analysis.spend import judge, parts
from domain.costs import CostAnomaly, CostCause
from domain.ids import PLATFORM
from runtime.services.cost.books import Line

MONTH_H: Final = 730.0
"""Hours of an average month."""

LEAST_USD_PER_MONTH: Final = 30.0
"""The gate: a resource whose excess stays below a dollar a day is nobody's work."""

BACK: Final = timedelta(days=15)
"""Two weeks and a day: two values of every hour of the week."""

BEFORE: Final = timedelta(days=7)
"""What a core cost is the median of a week: a change is told for half a week, then it is how things are."""


@dataclass(frozen=True, slots=True)
class _Track:
    """Lines of one resource in one region and pool over all machine types, on one grid."""

    lines: tuple[Line, ...]
    cores: Floats
    """Per hour and interval."""
    usd: Floats
    step_s: int

    @property
    def price(self) -> Floats:
        """USD per core hour, NaN where nothing ran."""
        return np.where(self.cores > 0, self.usd / np.where(self.cores > 0, self.cores, 1.0), np.nan)

    @property
    def now(self) -> Line:
        """The line of the machine type it runs on."""
        return max(self.lines, key=lambda line: float(line.core_hours[-1]))

    @property
    def before(self) -> Line:
        """The line of the machine type it mostly ran on."""
        return max(self.lines, key=lambda line: float(line.core_hours.sum()))


def unusual(lines: Sequence[Line]) -> tuple[CostAnomaly, ...]:
    """Return what is unusual now, dearest first; lines end now and reach back up to `BACK`."""
    tracks = _tracks(lines)
    if not tracks:
        return ()
    found = [*_of_usage(tracks), *_of_prices(tracks), *_of_capacity(tracks)]
    return tuple(sorted(_gated(found), key=lambda one: (-one.excess_usd_per_hour, one.resource, one.region)))


def _gated(found: Iterable[CostAnomaly]) -> list[CostAnomaly]:
    """Keep what is worth somebody's time, taken over the regions of a resource."""
    kept = list(found)
    worth: dict[tuple[str, str], float] = defaultdict(float)
    for one in kept:
        worth[one.cause, one.resource] += one.excess_usd_per_hour * MONTH_H
    return [one for one in kept if worth[one.cause, one.resource] >= LEAST_USD_PER_MONTH]


def _tracks(lines: Sequence[Line]) -> list[_Track]:
    grouped: dict[tuple[str, str, str], list[Line]] = defaultdict(list)
    for line in lines:
        grouped[line.resource, line.region, line.node_pool].append(line)
    found: list[_Track] = []
    for group in grouped.values():
        times = group[0].times
        if len(times) < 2:
            continue
        step_s = int(times[1] - times[0])
        cores = sum((line.core_hours for line in group), start=np.zeros(len(times))) * 3600.0 / step_s
        usd = sum((line.usd for line in group), start=np.zeros(len(times))) * 3600.0 / step_s
        found.append(_Track(tuple(group), cores, usd, step_s))
    return found


def _of_usage(tracks: Sequence[_Track]) -> list[CostAnomaly]:
    services = [t for t in tracks if t.now.resource.startswith("service/")]
    if not services:
        return []
    unit = np.array([_replica_cores(t) for t in services])
    judged = judge(np.stack([t.cores for t in services]), unit, services[0].step_s)
    found: list[CostAnomaly] = []
    for k in np.flatnonzero(judged.since >= 0):
        track = services[int(k)]
        usual, now = float(judged.usual[k]), float(judged.now[k])
        text = (
            f"{track.now.resource} requests {now:.1f} cores in {track.now.region} where {usual:.1f} are usual at this "
            f"hour; the price of a core did not do it"
        )
        found.append(_told("usage", track, usual, now, _price_before(track), int(judged.since[k]), text, changed=False))
    return found


def _of_prices(tracks: Sequence[_Track]) -> list[CostAnomaly]:
    """Prices per pool: the same machine dearer, or another machine."""
    pools: dict[str, list[_Track]] = defaultdict(list)
    for track in tracks:
        pools[track.now.node_pool].append(track)
    found: list[CostAnomaly] = []
    for pool, members in pools.items():
        lead = max(members, key=lambda t: float(t.cores[-1]))
        before, now = _price_before(lead), float(lead.price[-1])
        if not np.isfinite(now) or now <= before:
            continue
        cores = sum(float(t.cores[-1]) for t in members)
        since = int(np.flatnonzero(~(np.nan_to_num(lead.price, nan=before) > before))[-1]) + 1
        switched = lead.now.sku != lead.before.sku
        text = (
            f"node_pool/{pool} runs on {lead.now.sku} since then, {lead.before.sku} before"
            if switched
            else f"{lead.now.sku} in node_pool/{pool} has a higher price; what runs on it did not change"
        ) + f": {now:.4f} USD a core hour where it was {before:.4f}, for {cores:.0f} cores"
        one = _told("sku" if switched else "price", lead, cores, cores, before, since, text, changed=True)
        found.append(one.model_copy(update={"resource": f"node_pool/{pool}", "tenant": PLATFORM}))
    return found


def _of_capacity(tracks: Sequence[_Track]) -> list[CostAnomaly]:
    """Nodes per pool; only who sees idle nodes sees capacity."""
    pools: dict[str, list[_Track]] = defaultdict(list)
    for track in tracks:
        pools[track.now.node_pool].append(track)
    whole = {p: m for p, m in pools.items() if any(t.now.resource.startswith("node_pool/") for t in m)}
    if not whole:
        return []
    names = sorted(whole)
    cores = np.stack([sum((t.cores for t in whole[p]), start=np.zeros(len(tracks[0].cores))) for p in names])
    judged = judge(cores, np.zeros(len(names)), tracks[0].step_s)
    found: list[CostAnomaly] = []
    for k in np.flatnonzero(judged.since >= 0):
        track = next(t for t in whole[names[int(k)]] if t.now.resource.startswith("node_pool/"))
        usual, now = float(judged.usual[k]), float(judged.now[k])
        text = f"{track.now.resource} has {now:.0f} cores of nodes where {usual:.0f} are usual"
        since = int(judged.since[k])
        found.append(_told("capacity", track, usual, now, _price_before(track), since, text, changed=False))
    return found


def _told(
    cause: CostCause, track: _Track, usual: float, now: float, before: float, since: int, text: str, *, changed: bool
) -> CostAnomaly:
    last = float(track.price[-1])
    split = parts(usual, now, before, last if changed and np.isfinite(last) else before)
    line = track.now
    return CostAnomaly(
        cause=cause, tenant=line.tenant, resource=line.resource, region=line.region, sku=line.sku,
        since=datetime.fromtimestamp(float(line.times[min(since, len(line.times) - 1)]), UTC),
        expected_usd_per_hour=usual * before, observed_usd_per_hour=usual * before + split.total,
        price_usd_per_hour=split.price, quantity_usd_per_hour=split.quantity, text=text,
    )  # fmt: skip


def _price_before(track: _Track) -> float:
    kept = max(2, int(BEFORE.total_seconds()) // track.step_s)
    recent = track.price[-kept:]
    known = recent[np.isfinite(recent)]
    return float(np.median(known)) if len(known) else 0.0


def _replica_cores(track: _Track) -> float:
    line = track.now
    replicas = float(line.replica_hours[-1]) if len(line.replica_hours) else 0.0
    return float(line.core_hours[-1]) / replicas if replicas > 0 else 0.0
