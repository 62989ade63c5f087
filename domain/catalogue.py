"""The event catalogue: each versioned type the extension knows, with its data model.

Types are additive: a breaking change gets a new version suffix. Unknown types are kept in the log, never dropped.
"""

from typing import Literal

from pydantic import Field, JsonValue

from domain.base import Frozen, Slug, UtcDatetime


class HealthDegraded(Frozen):
    """A service left its health gate."""

    service: Slug
    signal: Literal["latency", "errors", "saturation", "availability", "traffic"]
    observed: float
    threshold: float
    unit: str = ""
    message: str = ""


class HealthRecovered(Frozen):
    """A service is within its health gate again."""

    service: Slug
    signal: str = ""
    message: str = ""


class SloBurn(Frozen):
    """The error budget burns faster than the policy allows (multi-window burn rate)."""

    service: Slug
    burn_rate: float
    window_s: int
    objective: float
    message: str = ""


class DeploymentChanged(Frozen):
    """A deployment started, finished or failed."""

    service: Slug
    version: str
    previous_version: str | None = None
    phase: Literal["started", "finished", "failed"] = "finished"
    actor: str = ""


class ConfigChanged(Frozen):
    """A configuration key of a service changed."""

    service: Slug
    key: str
    before: str | None = None
    after: str | None = None
    actor: str = ""


class ScalingChanged(Frozen):
    """Replicas changed by a scaling policy or a person."""

    service: Slug
    replicas_before: int
    replicas_after: int
    actor: str = ""
    reason: str = ""


class NodeChanged(Frozen):
    """A node became ready, not ready, or was removed."""

    node: Slug
    zone: Slug | None = None
    ready: bool
    reason: str = ""


class ZoneChanged(Frozen):
    """A zone is reachable or not."""

    zone: Slug
    available: bool
    reason: str = ""


class CertificateExpiring(Frozen):
    """A served certificate comes close to or past its end."""

    certificate: Slug
    service: Slug
    not_after: UtcDatetime


class DriftDetected(Frozen):
    """Live state differs from desired state."""

    resource: str
    path: str
    desired: JsonValue = None
    live: JsonValue = None
    actor: str = ""


class AlertFired(Frozen):
    """An alert of an outside alerting system (Alertmanager, Azure Monitor)."""

    alert: str
    status: Literal["firing", "resolved"]
    fingerprint: str = ""
    labels: dict[str, str] = Field(default_factory=dict[str, str])
    annotations: dict[str, str] = Field(default_factory=dict[str, str])
    starts_at: UtcDatetime | None = None
    ends_at: UtcDatetime | None = None


class LogObserved(Frozen):
    """A log record that came with telemetry."""

    service: Slug
    level: str = "INFO"
    message: str = Field(max_length=65_536)
    trace_id: str | None = None
    span_id: str | None = None


class BillingRecorded(Frozen):
    """A billing amount was metered or restated."""

    service: Slug | None = None
    amount_usd: float
    period_start: UtcDatetime
    period_end: UtcDatetime
    restated: bool = False


class ReleaseChanged(Frozen):
    """A release took a step, was held, ended, or was taken back."""

    service: str
    version: str
    previous_version: str
    phase: str
    step: int
    share: float
    """Of requests, or 1 where all of them go to `version`."""
    reason: str = ""


class FindingRaised(Frozen):
    """A worker found something that stands now."""

    finding: str
    owner: str
    kind: str
    resource: str
    summary: str
    amount_usd: float | None = None
    evidence: tuple[str, ...] = ()
    acts: tuple[str, ...] = ()
    """Kinds of the commands it proposes."""


class FindingResolved(Frozen):
    """What a worker had found no longer stands."""

    finding: str
    owner: str
    kind: str


class CommandChanged(Frozen):
    """A governed command reached a new state."""

    command: str
    kind: str
    state: str
    digest: str
    target: str
    reason: str = ""


class PlanChanged(Frozen):
    """A change plan reached a new state."""

    plan: str
    state: str
    digest: str
    commands: tuple[str, ...]
    reason: str = ""


class DecisionRecorded(Frozen):
    """A policy or a person decided about a command."""

    command: str
    digest: str
    effect: str
    by: str
    policy_digest: str = ""
    reasons: tuple[str, ...] = ()


class OutcomeRecorded(Frozen):
    """A command's outcome was verified."""

    command: str
    digest: str
    verdict: str
    incident: str | None = None
    measured: dict[str, float] = Field(default_factory=dict[str, float])
    predicted: dict[str, float] = Field(default_factory=dict[str, float])


class LessonLearned(Frozen):
    """A verified outcome became a lesson of the knowledge index."""

    lesson: str
    incident: str
    command: str
    worked: bool
    text: str = ""


class IncidentChanged(Frozen):
    """An incident was opened, grew, was resolved or escalated."""

    incident: str
    status: str
    title: str
    events: int


class PageRaised(Frozen):
    """A human is needed: what happened, what to do, whom it concerns."""

    command: str | None = None
    plan: str | None = None
    incident: str | None = None
    reason: str
    runbook: str = ""
    owner_team: str = ""


ChaosPhase = Literal[
    "started", "injected", "reverted", "rollback_failed", "completed", "aborted", "failed", "interrupted", "stopped"
]


class ChaosChanged(Frozen):
    """An experiment started, hurt something on purpose, took it back, or ended."""

    experiment: Slug
    run: str
    phase: ChaosPhase
    fault: str = ""
    """Handle of the fault it is about; empty where it is about the whole run."""
    target: str = ""
    detail: str = ""


class MetricsSummarised(Frozen):
    """A window of metric points of one entity arrived."""

    entity: str
    metric: str
    points: int
    first: UtcDatetime
    last: UtcDatetime


EVENT_TYPES: tuple[tuple[str, type[Frozen]], ...] = (
    ("runtime.health.degraded.v1", HealthDegraded),
    ("runtime.health.recovered.v1", HealthRecovered),
    ("runtime.slo.burn.v1", SloBurn),
    ("runtime.deployment.changed.v1", DeploymentChanged),
    ("runtime.config.changed.v1", ConfigChanged),
    ("runtime.scaling.changed.v1", ScalingChanged),
    ("runtime.node.changed.v1", NodeChanged),
    ("runtime.zone.changed.v1", ZoneChanged),
    ("runtime.certificate.expiring.v1", CertificateExpiring),
    ("runtime.drift.detected.v1", DriftDetected),
    ("runtime.alert.v1", AlertFired),
    ("runtime.log.v1", LogObserved),
    ("runtime.metrics.v1", MetricsSummarised),
    ("runtime.billing.recorded.v1", BillingRecorded),
    ("runtime.chaos.changed.v1", ChaosChanged),
    ("runtime.release.changed.v1", ReleaseChanged),
    ("runtime.finding.raised.v1", FindingRaised),
    ("runtime.finding.resolved.v1", FindingResolved),
    ("opsmesh.incident.changed.v1", IncidentChanged),
    ("opsmesh.command.changed.v1", CommandChanged),
    ("opsmesh.plan.changed.v1", PlanChanged),
    ("opsmesh.decision.recorded.v1", DecisionRecorded),
    ("opsmesh.outcome.recorded.v1", OutcomeRecorded),
    ("opsmesh.lesson.learned.v1", LessonLearned),
    ("opsmesh.page.raised.v1", PageRaised),
)
EVENT_MODELS: dict[str, type[Frozen]] = dict(EVENT_TYPES)
SYMPTOM_TYPES: frozenset[str] = frozenset(
    {"runtime.health.degraded.v1", "runtime.slo.burn.v1", "runtime.alert.v1", "runtime.certificate.expiring.v1"}
)
"""Types that can open an incident by themselves; the rest is context."""
CHANGE_TYPES: frozenset[str] = frozenset(
    {
        "runtime.deployment.changed.v1",
        "runtime.config.changed.v1",
        "runtime.scaling.changed.v1",
        "runtime.node.changed.v1",
        "runtime.zone.changed.v1",
        "runtime.drift.detected.v1",
    }
)
"""Types that say what changed."""
