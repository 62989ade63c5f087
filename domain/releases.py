"""Releases as they go: what was measured of two versions, what was concluded, and where a release stands."""

from typing import Literal

from pydantic import Field

from domain.base import Frozen, Slug, UtcDatetime
from domain.policies import ReleasePolicy, TrafficPolicy, VersionSplit

Phase = Literal["waiting", "running", "paused", "promoted", "rolled_back", "stopped", "undone"]
"""Promoted and undone: the candidate, or again the former version, serves all. Rolled back by the judge or by people;
stopped where nobody can tell: the split did not hold, or nothing was measured."""
ENDED: frozenset[Phase] = frozenset({"promoted", "rolled_back", "stopped", "undone"})


class ServiceReading(Frozen):
    """What was measured of a service in a window; samples are drawn from what it served, in no order."""

    requests: int = Field(ge=0)
    failed: int = Field(ge=0)
    latency_ms: tuple[float, ...] = ()
    """Of sampled requests."""


class VersionReading(ServiceReading):
    """The same of one version of it."""

    version: Slug
    memory_mib: tuple[float, ...] = ()
    """Of sampled replicas, per scrape."""
    cpu_ms: tuple[float, ...] = ()
    """CPU per request, per scrape."""


class Look(Frozen):
    """One look of the judge."""

    at: UtcDatetime
    number: int
    share_written: float
    share_observed: float
    """NaN is never stored: without requests it is 0."""
    requests: int
    """Of both versions together, in the window."""
    action: Literal["promote", "continue", "rollback", "inconclusive", "split_broken", "limit"]
    reasons: tuple[str, ...] = ()


class ReleaseState(Frozen):
    """Where one release stands; survives restarts of whoever carries it out."""

    service: Slug
    plan: ReleasePolicy
    """As it was when the release began; another plan is another release."""
    former: Slug
    """The version to go back to."""
    phase: Phase = "waiting"
    step: int = 0
    since: UtcDatetime
    """When this step, or the end, was reached."""
    looks: int = 0
    """Of the whole release: repeated looks share one false-alarm budget."""
    blind: int = 0
    """Looks in a row without a clear answer."""
    candidate_requests: int = 0
    """Served by the candidate so far, as observed."""
    candidate_failed: int = 0
    written: VersionSplit | None = None
    effective: bool = False
    """Whether the target was seen to hold what is written: from then on a step counts."""
    detail: str = ""
    history: tuple[Look, ...] = Field(default=(), max_length=200)


class ServiceTraffic(Frozen):
    """The traffic of one service: what is wanted, what is split, and how its release goes."""

    service: Slug
    version: Slug
    policy: TrafficPolicy
    split: VersionSplit | None
    release: ReleaseState | None


class TrafficAnswer(Frozen):
    """The traffic of a tenant's services in one environment."""

    environment: Slug
    services: tuple[ServiceTraffic, ...]
