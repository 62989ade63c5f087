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


class HealthPolicy(Frozen):
    """When a service counts as degraded: multi-window burn rate over its SLO (SRE workbook, chapter 5)."""

    fast_burn_rate: float = Field(gt=0, default=14.4)
    slow_burn_rate: float = Field(gt=0, default=6.0)


class DriftPolicy(Frozen):
    """What happens when live state differs from desired state."""

    mode: Literal["report", "propose", "reconcile"] = "propose"
    ignore_paths: tuple[str, ...] = ()
