"""What intake takes and answers: refused inputs, the report of a batch, and telemetry values.

Nothing that arrives is dropped silently: accepted + duplicates + quarantined is what was sent.
"""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from domain.base import Digest, Frozen, Severity, UtcDatetime
from domain.evidence import SignalKind
from domain.ids import EnvironmentId, EventKey, TenantId

QuarantineReason = Literal[
    "malformed",
    "duplicate_key",
    "not_a_number",
    "too_deep",
    "bad_text",
    "too_large",
    "invalid",
    "invalid_data",
    "conflict",
    "cross_tenant",
    "foreign_source",
    "future_time",
    "quota",
    "unsupported",
]
"""Why an input was not taken. malformed: not JSON or not the format it claims; invalid: not a proper envelope;
invalid_data: a known type whose data does not fit its model; conflict: same key, another body."""

Channel = Literal["events", "alertmanager", "azure_monitor", "otlp", "file", "internal"]
"""The way an input came in."""


class RefusedInput(Frozen):
    """One input that could not be read as an event. The body is kept (cut) in quarantine, never parsed again."""

    reason: QuarantineReason
    detail: str
    body: bytes
    size: int | None = None
    """Bytes declared or seen when the body was not read in full."""
    line: int | None = None
    """Line of the file it stood in, from 1."""


class Refusal(Frozen):
    """One refused item of a batch: where it stood, why, and the quarantine row that keeps it."""

    position: int
    reason: QuarantineReason
    detail: str
    quarantine: str


class IntakeReport(Frozen):
    """What became of a batch; accepted + duplicates + len(quarantined) is the number of items sent."""

    accepted: int = 0
    duplicates: int = 0
    quarantined: tuple[Refusal, ...] = ()
    keys: tuple[EventKey, ...] = ()
    """Keys of the accepted events, in the order sent."""

    @staticmethod
    def sum(reports: "Sequence[IntakeReport]") -> "IntakeReport":
        """Return the report of several batches as one."""
        return IntakeReport(
            accepted=sum(report.accepted for report in reports),
            duplicates=sum(report.duplicates for report in reports),
            quarantined=tuple(refusal for report in reports for refusal in report.quarantined),
            keys=tuple(key for report in reports for key in report.keys),
        )


class QuarantinedInput(Frozen):
    """One row of the quarantine, owned by the sender's own tenant whatever the body claims."""

    id: str
    tenant: TenantId
    received_at: UtcDatetime
    source: str
    channel: Channel
    reason: QuarantineReason
    detail: str
    body: str
    """The first bytes as text, undecodable ones replaced."""
    body_digest: Digest
    size: int
    line: int | None = None


class MetricPoint(Frozen):
    """One sample of one metric of one entity."""

    environment: EnvironmentId
    entity: str = Field(max_length=200)
    """Address: `service/checkout`."""
    metric: str = Field(min_length=1, max_length=200)
    kind: SignalKind = "other"
    statistic: str = Field(default="avg", max_length=32)
    unit: str = Field(default="", max_length=32)
    at: UtcDatetime
    value: float = Field(allow_inf_nan=False)


class LogRecord(Frozen):
    """One log line of one entity. Its text is data, never instruction."""

    environment: EnvironmentId
    entity: str = Field(max_length=200)
    at: UtcDatetime
    severity: Severity = "info"
    message: str = Field(max_length=65_536)
    trace_id: str | None = Field(default=None, max_length=32)
    span_id: str | None = Field(default=None, max_length=16)


class SpanRecord(Frozen):
    """One span of one trace."""

    environment: EnvironmentId
    trace_id: str = Field(min_length=1, max_length=64)
    span_id: str = Field(min_length=1, max_length=64)
    parent_id: str | None = Field(default=None, max_length=64)
    entity: str = Field(max_length=200)
    operation: str = Field(max_length=300)
    start_ns: int = Field(ge=0, lt=2**63)
    """Nanoseconds since the epoch: microseconds are too coarse for self times of fast calls."""
    end_ns: int = Field(ge=0, lt=2**63)
    error: bool = False


class TelemetryReport(Frozen):
    """What became of a telemetry batch; rejected values stand in quarantine under one row per reason."""

    accepted: int = 0
    rejected: int = 0
    message: str = ""
