"""The canonical event envelope: CloudEvents 1.0 with the platform's dimensions as extension attributes.

Identity: uniqueness is (tenant, source, id). Same key and same body is a duplicate; same key and another body is
a conflict. Our own key is a ULID. The tenant comes from the sender's credential, never from the body.
"""

import json
from hashlib import sha256
from typing import Annotated, Literal

import rfc8785
from pydantic import Field, JsonValue, StringConstraints

from domain.base import Digest, Frozen, Severity, Slug, Trust, UtcDatetime, canonical_text, sorted_text
from domain.ids import EnvironmentId, EventKey, TenantId

EventType = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.-]*\.v[0-9]+$", max_length=200)]
"""Reverse-hierarchical and versioned: `runtime.health.degraded.v1`."""

Attribute = bool | int | str
"""What a CloudEvents context attribute can be on the wire."""

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


def traceparent_of(*names: str, within: str | None = None) -> str:
    """Return a W3C traceparent for something that came without one: the same names always give the same.

    `within` is the traceparent of what it belongs to; without it a trace of its own begins.
    """
    hexed = sha256("\x1f".join(names).encode()).hexdigest()
    began = hexed[:32] if within is None else within.split("-")[1]
    return f"00-{began}-{hexed[32:48]}-01"


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
    extensions: dict[str, Attribute] = Field(default_factory=dict[str, Attribute])
    """Every other context attribute (`dataschema`, `datacontenttype`, extensions we do not know): kept as sent."""
    data: JsonValue = None
    tenantid: TenantId | None = None
    """The tenant the body claims: never believed, only compared with the credential."""


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
    extensions: dict[str, Attribute] = Field(default_factory=dict[str, Attribute])
    data: JsonValue = None
    trust: Trust = "platform"
    body_digest: Digest


def body_digest(event: IncomingEvent) -> Digest:
    """Return the digest of what the sender said, without its id: the id of an event that has none."""
    return digest_of_text(body_text(event, data_text(event.data)))


def data_text(data: JsonValue) -> str:
    """Return the data as canonical JSON text; ValueError for what JSON cannot hold.

    An integer beyond 2^53 has no RFC 8785 form; it is written in full.
    """
    try:
        return canonical_text(data)
    except rfc8785.IntegerDomainError:
        return json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def body_text(event: IncomingEvent, data: str) -> str:
    """Return what a body digest is over: the stated attributes as canonical JSON, a line feed, the data's text.

    Absent attributes are left out, so that a dimension added later changes no digest.
    """
    said: dict[str, str] = {name: value for name, value in event.dimensions.__dict__.items() if value is not None}
    said["source"] = event.source
    said["type"] = event.type
    if event.subject is not None:
        said["subject"] = event.subject
    if event.time is not None:
        said["time"] = event.time.isoformat()
    if event.extensions:
        said["extensions"] = canonical_text(dict(event.extensions))
    return f"{sorted_text(said)}\n{data}"


def digest_of_text(text: str) -> Digest:
    """Return `sha256:<hex>` of the text; ValueError for half a surrogate pair."""
    return "sha256:" + sha256(text.encode()).hexdigest()


class OutgoingEvent(Frozen):
    """An event we emit through the outbox, written in the same transaction as the change it tells of."""

    type: EventType
    tenant: TenantId
    subject: str
    dimensions: Dimensions = Dimensions()
    data: JsonValue = None
