"""Policies a runtime carries as desired state: scaling, traffic, health, drift. Each owns the fields it names."""

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


class TrafficPolicy(Frozen):
    """How requests to a service are split: region weights, canary share, rate limits."""

    region_weights: dict[Slug, float] = Field(default_factory=dict[str, float])
    """Share of traffic per region; empty means nearest region."""
    canary_version: Slug | None = None
    canary_weight: float = Field(ge=0, le=1, default=0.0)
    rate_limit_rps: float | None = Field(gt=0, default=None)

    @model_validator(mode="after")
    def _weights_sum_to_one(self) -> Self:
        if self.region_weights and abs(sum(self.region_weights.values()) - 1.0) > 1e-6:
            msg = "region_weights must sum to 1"
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
    ignore_paths: tuple[str, ...] = ()


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
