"""Which event is taken, in whose name and under which id: pure rules over one event and its sender's credential.

The tenant comes from the credential: a `tenantid` in the body may only choose among the tenants the credential
speaks for. The source is bound as well, so that one sender of a tenant cannot occupy the ids of another; nobody who is
untrusted speaks as the platform.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import JsonValue

from domain.base import Digest, Trust
from domain.envelope import MAX_EVENT_BYTES, data_problem
from domain.events import IncomingEvent, body_text, data_text, digest_of_text
from domain.ids import TenantId
from domain.intake import QuarantineReason
from domain.principals import ANY, EventSourceKey
from domain.reserved import PLATFORM_SOURCE

FUTURE_SKEW = timedelta(minutes=5)
"""How far ahead of our clock a sender's may run: the classic bound of Kerberos (RFC 4120). The past has no bound."""
IDENTITY_BYTES = 2000
"""A B-tree entry of PostgreSQL holds 2704 bytes: tenant, source and id must fit one."""
UNTRUSTED_TYPES: frozenset[str] = frozenset({"runtime.log.v1"})
"""Types whose text any workload can write: untrusted, whoever forwards them."""


@dataclass(frozen=True, slots=True)
class Settled:
    """An event that is taken, unless its key is already in the log."""

    event: IncomingEvent
    tenant: TenantId
    id: str
    time: datetime
    data: str
    """Canonical JSON text."""
    digest: Digest
    trust: Trust


@dataclass(frozen=True, slots=True)
class Unfit:
    """An event that is not taken."""

    reason: QuarantineReason
    detail: str


def settle(event: IncomingEvent, sender: EventSourceKey, now: datetime) -> Settled | Unfit:
    """Give the event its tenant, id and digest, or say why it is not taken."""
    if not (tenant := _tenant(event.tenantid, sender)):
        return Unfit("cross_tenant", "the body names a tenant this credential does not speak for")
    if sender.trust == "untrusted" and _may_speak_as(event.source, PLATFORM_SOURCE):
        return Unfit("foreign_source", "the platform alone speaks under this source")
    if not _may_speak_as(event.source, sender.source):
        return Unfit("foreign_source", f"this credential speaks as {sender.source!r}, not as {event.source[:80]!r}")
    if event.time is not None and event.time > now + FUTURE_SKEW:
        return Unfit("future_time", f"time lies more than {FUTURE_SKEW.total_seconds():.0f} s ahead of our clock")
    if (wrong := data_problem(event)) is not None:
        return Unfit("invalid_data", f"{event.type}: {wrong}")
    return _digested(event, tenant, sender, now)


def _digested(event: IncomingEvent, tenant: TenantId, sender: EventSourceKey, now: datetime) -> Settled | Unfit:
    try:
        data = data_text(event.data)
        body = body_text(event, data)
        digest = digest_of_text(body)
    except RecursionError:
        return Unfit("too_deep", "nested too deep to be written")
    except ValueError as error:
        reason: QuarantineReason = (
            "bad_text" if isinstance(error, UnicodeError) or "codepoint" in str(error) else "not_a_number"
        )
        return Unfit(reason, str(error))
    event_id = event.id or digest
    if (wrong := _text_problem(event, event_id, body)) is not None:
        return wrong
    trust: Trust = "untrusted" if event.type in UNTRUSTED_TYPES else sender.trust
    return Settled(event, tenant, event_id, event.time or now, data, digest, trust)


def _tenant(claimed: TenantId | None, sender: EventSourceKey) -> TenantId | None:
    if claimed is None:
        return sender.tenants[0]
    return claimed if claimed in sender.tenants else None


def _may_speak_as(source: str, bound: str) -> bool:
    return bound in (ANY, source) or source.startswith(bound.rstrip("/") + "/")


def _text_problem(event: IncomingEvent, event_id: str, body: str) -> Unfit | None:
    if len(body) > MAX_EVENT_BYTES:
        return Unfit("too_large", f"larger than {MAX_EVENT_BYTES} characters")
    if len(event.source) + len(event_id) > IDENTITY_BYTES // 4 and _identity_bytes(event, event_id) > IDENTITY_BYTES:
        return Unfit("invalid", f"source and id together are longer than {IDENTITY_BYTES} bytes")
    if "\0" in event_id or ("\\u0000" in body and _has_nul(event.model_dump(exclude={"time"}))):
        return Unfit("bad_text", "a string holds NUL, which no text column can keep")
    return None


def _identity_bytes(event: IncomingEvent, event_id: str) -> int:
    return len(event.source.encode()) + len(event_id.encode())


def _has_nul(value: JsonValue) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any("\0" in key or _has_nul(inner) for key, inner in value.items())
    return isinstance(value, list) and any(_has_nul(inner) for inner in value)
