"""Policies a runtime carries as desired state: scaling, traffic, health, drift. Each owns the fields it names."""

from datetime import datetime
from typing import Literal, Self

from pydantic import Field, model_validator

from domain.base import Frozen, Slug


class ScalingPolicy(Frozen):
    """Horizontal scaling by target utilisation (the Kubernetes HPA rule); it owns the replicas of its service."""

    min_replicas: int = Field(ge=0, le=1000)
    max_replicas: int = Field(ge=1, le=1000)
    target_cpu_utilisation: float = Field(gt=0, le=1)
    scale_down_stabilisation_s: int = Field(ge=0, default=300)
    enabled: bool = True

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_replicas > self.max_replicas:
            msg = "min_replicas must not exceed max_replicas"
            raise ValueError(msg)
        return self


class RunHours(Frozen):
    """Hours of the day (UTC) in which a service runs; they may go past midnight. Equal hours: always."""

    on_hour_utc: int = Field(ge=0, le=23)
    off_hour_utc: int = Field(ge=0, le=23)

    def runs_at(self, at: datetime) -> bool:
        """Tell whether the instant (UTC) lies in the hours."""
        length = (self.off_hour_utc - self.on_hour_utc) % 24
        return length == 0 or (at.hour - self.on_hour_utc) % 24 < length


JudgedMetric = Literal["latency_ms", "errors", "memory_mib", "cpu_ms"]
"""What two versions of a service are compared by: requests' latency and failures, replicas' memory, CPU per request."""
Priority = Literal["critical", "standard", "sheddable"]
"""Whose requests are turned away first: the last."""


class TrafficStep(Frozen):
    """A share of requests, held for a while before the next step is taken."""

    share: float = Field(gt=0, le=1)
    hold_s: int = Field(ge=60, le=86_400, default=300)


class ReleaseLimits(Frozen):
    """Where a release stops whatever the version beside it does."""

    max_error_share: float | None = Field(gt=0, le=1, default=None)
    max_latency_p95_ms: float | None = Field(gt=0, default=None)


class ReleasePolicy(Frozen):
    """How a candidate version takes over. Approving it approves its steps, and the way back whenever it is worse."""

    candidate: Slug
    strategy: Literal["canary", "blue_green", "cohort"] = "canary"
    steps: tuple[TrafficStep, ...] = Field(
        default=(TrafficStep(share=0.05), TrafficStep(share=0.25), TrafficStep(share=0.5)), max_length=20
    )
    """A canary's shares, rising and below 1: without somebody to compare with there is no judgement. Blue-green
    holds its one step of 1, cohorts hold theirs as long as the first says."""
    cohorts: tuple[tuple[Slug, ...], ...] = Field(default=(), max_length=20)
    """Tenants that move together, in the order in which groups move."""
    metrics: tuple[JudgedMetric, ...] = Field(default=("latency_ms", "errors", "memory_mib", "cpu_ms"), min_length=1)
    limits: ReleaseLimits = ReleaseLimits()
    keep_warm_s: int = Field(ge=0, le=86_400, default=3600)
    """How long the former version stays up afterwards, so that the way back takes no rollout."""
    intent: Literal["run", "pause", "promote", "abort"] = "run"
    """What people want of it now; everything else of its progress is the platform's to write."""

    @model_validator(mode="after")
    def _steps_fit_the_strategy(self) -> Self:
        shares = [step.share for step in self.steps]
        fits = {
            "canary": bool(shares) and shares == sorted(set(shares)) and shares[-1] < 1.0 and not self.cohorts,
            "blue_green": shares == [1.0] and not self.cohorts,
            "cohort": bool(shares) and bool(self.cohorts) and all(self.cohorts),
        }
        if not fits[self.strategy]:
            msg = f"steps and cohorts do not make a {self.strategy} release"
            raise ValueError(msg)
        return self


class ShapingPolicy(Frozen):
    """What a service takes on at most, and whose requests go first."""

    max_concurrency: int | None = Field(gt=0, default=None)
    """Requests in work at the same time."""
    priorities: dict[Slug, Priority] = Field(default_factory=dict[str, Priority])
    """By tenant; whoever is not named is standard."""


class VersionSplit(Frozen):
    """A second version beside the main one. Where there is a release it is the platform's to write, not people's."""

    version: Slug
    share: float = Field(ge=0, le=1, default=0.0)
    """Of all requests; 0 keeps it warm."""
    tenants: tuple[Slug, ...] = ()
    """Whose requests it serves, all of them, whatever the share."""


class TrafficPolicy(Frozen):
    """How requests to a service are split: regions, versions, limits."""

    region_weights: dict[Slug, float] = Field(default_factory=dict[str, float])
    """Share of traffic per region; empty means nearest region."""
    region_failover: tuple[Slug, ...] = ()
    """Who takes over for a region that is unhealthy, the first healthy one; empty means nobody."""
    canary_version: Slug | None = None
    canary_weight: float = Field(ge=0, le=1, default=0.0)
    """A fixed split that nobody watches over; `release` moves by itself."""
    release: ReleasePolicy | None = None
    rate_limit_rps: float | None = Field(gt=0, default=None)
    shaping: ShapingPolicy = ShapingPolicy()

    @model_validator(mode="after")
    def _weights_sum_to_one(self) -> Self:
        if self.region_weights and abs(sum(self.region_weights.values()) - 1.0) > 1e-6:
            msg = "region_weights must sum to 1"
            raise ValueError(msg)
        if self.release is not None and self.canary_version is not None:
            msg = "a release moves its own split: leave canary_version out"
            raise ValueError(msg)
        return self


class BurnRule(Frozen):
    """One alert on the error budget's burn rate: above it in a long window, and still so in a short one."""

    long_window_s: int = Field(gt=0, le=30 * 86_400)
    short_window_s: int = Field(gt=0, le=30 * 86_400)
    burn_rate: float = Field(gt=0, le=1000)
    """How many times faster than sustainable the budget goes."""
    urgency: Literal["page", "ticket"]

    @model_validator(mode="after")
    def _short_within_long(self) -> Self:
        if self.short_window_s >= self.long_window_s:
            msg = "the short window must be shorter than the long one"
            raise ValueError(msg)
        return self


class HealthPolicy(Frozen):
    """When a service counts as degraded: multi-window burn rate over its SLO (SRE workbook, chapter 5)."""

    fast_burn_rate: float = Field(gt=0, default=14.4)
    slow_burn_rate: float = Field(gt=0, default=6.0)
    burn_rules: tuple[BurnRule, ...] = Field(default=(), max_length=8)
    """Rules of the service's own; where there are any they replace the platform's fast-burn alert."""


class DriftPolicy(Frozen):
    """What happens when live state differs from desired state."""

    mode: Literal["report", "propose", "reconcile"] = "propose"
    """`reconcile`: what runs is put back at the next look; else whoever reads the difference tells or proposes it."""
    ignore_paths: tuple[str, ...] = ()
    """Dotted fields of the service that may differ: `replicas`, `config.limit`."""


class PodProfile(Frozen):
    """What a service's pods may do on their node; the defaults are the Pod Security Standards' `restricted` level."""

    privileged: bool = False
    allow_privilege_escalation: bool = False
    run_as_non_root: bool = True
    host_network: bool = False
    host_paths: tuple[str, ...] = Field(default=(), max_length=20)
    """Folders of the node that it mounts."""
    add_capabilities: tuple[str, ...] = Field(default=(), max_length=20)
    drop_capabilities: tuple[str, ...] = Field(default=("ALL",), max_length=20)
    seccomp: Literal["RuntimeDefault", "Localhost", "Unconfined"] = "RuntimeDefault"


class CdnPolicy(Frozen):
    """Edge caches before a service: readable answers that are fresh enough never reach it."""

    ttl_s: int = Field(gt=0, le=86_400)


class WafPolicy(Frozen):
    """A web application firewall before a service; stricter levels catch more and turn away more honest requests."""

    paranoia: int = Field(ge=1, le=4)
    """Level as in the OWASP Core Rule Set."""


class CacheTierPolicy(Frozen):
    """A shared cache between a service and the data stores it reads."""

    ttl_s: int = Field(gt=0, le=86_400)
    memory_mib: int = Field(ge=64, le=262_144)
