"""Since when each witness has been seeing a region gone, and since when all see it well: kept between two looks."""

from datetime import datetime

from pydantic import Field

from domain.base import Frozen, UtcDatetime
from domain.ids import PLATFORM, EnvironmentId
from runtime.documents import Documents, Place
from runtime.parts import RuntimeParts
from runtime.planes import offered
from runtime.regions.ports import Testimony
from runtime.services.recovery.witnesses import Verdict, cut_off, judged


class Watch(Frozen):
    """One region over time."""

    down_since: dict[str, UtcDatetime] = Field(default_factory=dict[str, UtcDatetime])
    """By witness; one that sees the region again, or sees nothing at all, is dropped."""
    well_since: UtcDatetime | None = None


class Watched(Frozen):
    """One region as it stands now."""

    region: str
    paired_with: str | None
    standing: str
    down: tuple[str, ...]
    up: tuple[str, ...]
    discounted: tuple[str, ...]
    lines: tuple[str, ...]
    """What each witness saw."""
    well_since: UtcDatetime | None
    """None while it is not well."""


WATCHES = Documents("region_watch", Watch)


async def watch(parts: RuntimeParts, environment: EnvironmentId) -> tuple[Watched, ...]:
    """Ask every witness, remember since when, and return where each region stands. Raises Unavailable."""
    plane, now = offered(parts.planes.regions, "regions"), parts.clock.now()
    places = await plane.places()
    heard = [*await plane.testimonies()]
    if any(t.says == "down" for t in heard):
        heard += await _heartbeats(parts, [t.region for t in heard if t.says == "down"])
    found: list[Watched] = []
    for place in places:
        before = _read(parts, environment, place.id)
        down = {t.witness for t in heard if t.region == place.id and t.says == "down"} - cut_off(heard)
        since = {witness: before.down_since.get(witness, now) for witness in sorted(down)}
        verdict = judged(heard, place.id, since, now)
        well = (before.well_since or now) if verdict.standing == "up" else None
        after = Watch(down_since=since, well_since=well)
        if after != before:
            _write(parts, environment, place.id, after, now)
        found.append(_watched(place.id, place.paired_with, verdict, heard, well))
    return tuple(found)


SHIPS_WITHIN_S = 240.0
"""Standbys hear from their primary within a lag and the time between two commits; four minutes of silence is no lag
that anybody runs with."""


async def _heartbeats(parts: RuntimeParts, regions: list[str]) -> list[Testimony]:
    """What replication sees of regions that somebody calls lost: when their primaries' commits were last heard of.

    Asked only then, because it opens the stores; it looks by other means than signals and probes do.
    """
    plane, now = parts.planes.stores, parts.clock.now()
    if plane is None:
        return []
    found: list[Testimony] = []
    stores = await plane.stores(PLATFORM)
    for region in dict.fromkeys(regions):
        heads = [await plane.commit_head(s.id) for s in stores if s.region == region]
        if heads:
            silent_s = (now - max(head.at for head in heads)).total_seconds()
            says = "down" if silent_s > SHIPS_WITHIN_S else "up"
            text = f"last commit of a primary there {silent_s:.0f} s ago"
            found.append(Testimony(f"replication/{region}", region, says, text))
    return found


def _watched(region: str, pair: str | None, verdict: Verdict, heard: list[Testimony], well: datetime | None) -> Watched:
    lines = tuple(f"{t.witness}: {t.says}, {t.detail}" for t in heard if t.region == region)
    return Watched(
        region=region, paired_with=pair, standing=verdict.standing, down=verdict.down, up=verdict.up,
        discounted=verdict.discounted, lines=lines, well_since=well,
    )  # fmt: skip


def _read(parts: RuntimeParts, environment: EnvironmentId, region: str) -> Watch:
    with parts.database.read() as connection:
        found = WATCHES.get(connection, Place(environment=environment, tenant=PLATFORM), region)
    return Watch() if found is None else found.body


def _write(parts: RuntimeParts, environment: EnvironmentId, region: str, after: Watch, now: datetime) -> None:
    with parts.database.begin() as connection:
        WATCHES.put(connection, Place(environment=environment, tenant=PLATFORM), region, after, at=now)
