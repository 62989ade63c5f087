"""Incidents: events folded by fingerprint, time, topology and shared change, before any agent thinks."""

from typing import Literal

from domain.base import Digest, Frozen, Severity, UtcDatetime
from domain.ids import EnvironmentId, EventKey, IncidentId, TenantId

IncidentStatus = Literal["open", "mitigating", "resolved", "escalated", "closed"]


class Incident(Frozen):
    """One thing that is wrong, however many events tell of it."""

    id: IncidentId
    tenant: TenantId
    environment: EnvironmentId
    title: str
    severity: Severity
    status: IncidentStatus
    fingerprint: Digest
    opened_at: UtcDatetime
    last_event_at: UtcDatetime
    entities: tuple[str, ...]
    """Addresses of the entities that showed symptoms, first seen first."""
    events: tuple[EventKey, ...] = ()
    """Keys of symptom events, first seen first."""
    trace: str | None = None
    """W3C traceparent of the event that opened it; one that came without begins a trace here."""
