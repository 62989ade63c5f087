"""Evidence: everything retrieved for an incident, each item with id, source, digest and trust.

A pack also lists what could not be seen. Telemetry text is untrusted: it is data, never instruction.
"""

from typing import Literal

from pydantic import Field, JsonValue

from domain.base import Digest, Frozen, Severity, Slug, TimeRange, Trust, UtcDatetime, digest_of
from domain.desired import DesiredState
from domain.ids import CommandId, EnvironmentId, EvidenceId, IncidentId, TenantId
from domain.incidents import Incident
from domain.tenancy import RuntimeTenantBinding
from domain.topology import Topology

EvidenceKind = Literal["symptom", "change", "metric", "log", "trace", "topology", "past", "command", "desired"]
SignalKind = Literal["latency", "errors", "traffic", "saturation", "availability", "other"]


class Evidence(Frozen):
    """One citable item."""

    id: EvidenceId
    kind: EvidenceKind
    source: str
    """Where it was read: event key, reader address, index entry."""
    digest: Digest
    trust: Trust
    window: TimeRange
    text: str
    """One line for people."""


class MetricSeries(Frozen):
    """Equally spaced samples of one metric of one entity; None marks a missing sample."""

    evidence: EvidenceId
    entity: str
    """Address: `service/checkout`."""
    metric: str
    kind: SignalKind
    statistic: str = "avg"
    unit: str = ""
    start: UtcDatetime
    step_s: int = Field(gt=0)
    values: tuple[float | None, ...]


class LogPattern(Frozen):
    """A log template of one entity and how often it occurred before and during the symptom."""

    evidence: EvidenceId
    entity: str
    template: str
    severity: Severity
    baseline_count: int
    baseline_s: float
    current_count: int
    current_s: float


class SpanStats(Frozen):
    """Self time and errors of one operation of one entity before and during the symptom; samples in ms."""

    evidence: EvidenceId
    entity: str
    operation: str
    peer: str = ""
    """Address of the callee when this is the time spent on the way to and from it; empty for the entity's own work."""
    peer_region: str = ""
    """Region in which that callee was called, where the backend keeps it apart."""
    baseline_self_ms: tuple[float, ...]
    current_self_ms: tuple[float, ...]
    baseline_errors: int = 0
    current_errors: int = 0


class ChangeRecord(Frozen):
    """What changed: a deployment, a configuration, scaling, a node, drift."""

    evidence: EvidenceId
    entity: str
    kind: Literal["deployment", "config", "scaling", "node", "zone", "drift", "policy", "certificate"]
    at: UtcDatetime
    before: JsonValue = None
    after: JsonValue = None
    actor: str = ""
    text: str = ""


class PastOutcome(Frozen):
    """A similar past incident and what was done about it. Hidden while diagnosing, shown when choosing the action."""

    evidence: EvidenceId
    incident: IncidentId
    similarity: float
    fault_class: str
    command_kind: str
    worked: bool
    weight: float
    text: str = ""


class OpenCommand(Frozen):
    """A command in flight on an overlapping resource."""

    evidence: EvidenceId
    command: CommandId
    kind: str
    target: str
    state: str


class DataGap(Frozen):
    """Something that should have been seen and was not."""

    what: str
    why: str


class EvidencePack(Frozen):
    """All that is known about one incident, within one tenant's scope."""

    incident: Incident
    tenant: TenantId
    environment: EnvironmentId
    at: UtcDatetime
    baseline: TimeRange
    current: TimeRange
    symptom: str
    """Address of the entity on which the symptom was seen."""
    symptom_kind: SignalKind
    items: tuple[Evidence, ...]
    topology: Topology
    series: tuple[MetricSeries, ...] = ()
    logs: tuple[LogPattern, ...] = ()
    spans: tuple[SpanStats, ...] = ()
    changes: tuple[ChangeRecord, ...] = ()
    past: tuple[PastOutcome, ...] = ()
    open_commands: tuple[OpenCommand, ...] = ()
    desired: DesiredState | None = None
    bindings: tuple[RuntimeTenantBinding, ...] = ()
    gaps: tuple[DataGap, ...] = ()

    @property
    def digest(self) -> Digest:
        """Digest over the digests of all items: the same evidence gives the same digest."""
        return digest_of(sorted(item.digest for item in self.items))

    def item(self, evidence_id: str) -> Evidence | None:
        """Return the item of that id, or None."""
        return next((item for item in self.items if item.id == evidence_id), None)


class Claim(Frozen):
    """One statement that evidence supports or contradicts, in words and as the items cited."""

    text: str
    evidence: tuple[EvidenceId, ...]
    weight: float = 0.0


FaultClass = Slug
"""What kind of thing is wrong: `deploy_latency`, `node_loss`; the agents' own closed list lives in their room."""


class Hypothesis(Frozen):
    """One candidate explanation with the evidence for and against it."""

    entity: str
    fault_class: FaultClass
    statement: str
    confidence: float = Field(ge=0, le=1)
    score: float
    supporting: tuple[Claim, ...] = ()
    contradicting: tuple[Claim, ...] = ()


class Diagnosis(Frozen):
    """Ranked hypotheses; `unresolved` and gaps are valid answers, and so is that nothing is wrong."""

    verdict: Literal["cause_found", "unresolved", "healthy"]
    hypotheses: tuple[Hypothesis, ...] = ()
    ranked: tuple[tuple[str, float], ...] = ()
    """All blamed entities, best first, with scores; empty when nobody is to blame."""
    summary: str = ""
    gaps: tuple[DataGap, ...] = ()
