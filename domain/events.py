"""The canonical event envelope: CloudEvents 1.0 with the platform's dimensions as extension attributes.

Identity: uniqueness is (tenant, source, id). Same key and same body is a duplicate; same key and another body is
a conflict. Our own key is a ULID. The tenant comes from the sender's credential, never from the body.
"""

from typing import Annotated, Literal

from pydantic import Field, JsonValue, StringConstraints

from domain.base import Digest, Frozen, Severity, Slug, Trust, UtcDatetime, digest_of
from domain.ids import EnvironmentId, EventKey, TenantId

EventType = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.-]*\.v[0-9]+$", max_length=200)]
"""Reverse-hierarchical and versioned: `runtime.health.degraded.v1`."""

DIMENSIONS: tuple[str, ...] = (
    "tenantid",
    "environmentid",
    "serviceid",
    "region",
    "computetarget",
    "deploymentid",
    "severity",
    "traceparent",
    "correlationid",
    "causationid",
    "sequence",
)
"""Names of the canonical dimensions as CloudEvents extension attributes (lower case, as the standard demands)."""


class Dimensions(Frozen):
    """The canonical dimensions an event, span, metric or log line carries."""

    environmentid: EnvironmentId | None = None
    serviceid: Slug | None = None
    region: Slug | None = None
    computetarget: Slug | None = None
    deploymentid: str | None = None
    severity: Severity = "info"
    traceparent: str | None = None
    correlationid: str | None = None
    causationid: str | None = None
    sequence: str | None = None


class IncomingEvent(Frozen):
    """An event as a sender states it, before identity and tenant are settled. `id` may be missing."""

    specversion: Literal["1.0"] = "1.0"
    id: str | None = Field(default=None, min_length=1, max_length=256)
    source: str = Field(min_length=1, max_length=512)
    type: str = Field(min_length=1, max_length=200)
    subject: str | None = Field(default=None, max_length=512)
    time: UtcDatetime | None = None
    dimensions: Dimensions = Dimensions()
    data: JsonValue = None


class Event(Frozen):
    """An accepted event of the log."""

    key: EventKey
    tenant: TenantId
    source: str
    id: str
    type: str
    subject: str | None = None
    time: UtcDatetime
    received_at: UtcDatetime
    dimensions: Dimensions = Dimensions()
    data: JsonValue = None
    trust: Trust = "platform"
    body_digest: Digest


def body_digest(event: IncomingEvent) -> Digest:
    """Return the digest of what the sender said, without its id: the id of an event that has none."""
    return digest_of(event.model_dump(mode="json", exclude={"id", "specversion"}))


class OutgoingEvent(Frozen):
    """An event we emit through the outbox, written in the same transaction as the change it tells of."""

    type: EventType
    tenant: TenantId
    subject: str
    dimensions: Dimensions = Dimensions()
    data: JsonValue = None
