"""Subscriptions: who is told of decisions, outcomes and lessons, in which form, and how far each has come.

What leaves is the published event catalogue, versioned per type, as CloudEvents or as OTLP logs.
"""

from ipaddress import ip_address
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from domain.base import Frozen, Slug, UtcDatetime
from domain.events import OutgoingEvent
from domain.ids import PrincipalId, TenantId

SubscriptionForm = Literal["cloudevents", "otlp"]
"""cloudevents: one signed webhook per event; otlp: log records for an OpenTelemetry collector."""
FEEDBACK_TYPES: tuple[str, ...] = ("opsmesh.decision.", "opsmesh.outcome.", "opsmesh.lesson.")
"""What a subscriber gets who names nothing: beginnings of event types."""


class Subscriber(Frozen):
    """Where events go."""

    tenant: TenantId
    form: SubscriptionForm = "cloudevents"
    url: str = Field(max_length=2000)
    types: tuple[str, ...] = Field(default=FEEDBACK_TYPES, min_length=1, max_length=20)
    """Beginnings of the event types wanted."""

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        if parts.username or parts.password:
            raise ValueError("a URL holds no credentials: deliveries are signed instead")
        if not host or parts.scheme not in {"https", "http"}:
            raise ValueError("an https URL is needed")
        if parts.scheme == "http" and not _loopback(host):
            raise ValueError("plain http goes to this machine only: use https")
        if _inside(host):
            raise ValueError("addresses inside the platform's own network are no receivers: name a host of this URL")
        return self


class Subscription(Frozen):
    """A subscriber with its place in the feed."""

    id: Slug
    subscriber: Subscriber
    created_by: PrincipalId
    created_at: UtcDatetime
    status: Literal["active", "stopped"] = "active"
    """stopped: the receiver said that it is gone."""
    cursor: int = Field(ge=0, default=0)
    """Position in the feed up to which everything was delivered, or lies among the dead letters."""
    attempts: int = Field(ge=0, default=0)
    """Failed tries at the event after the cursor."""
    due_at: UtcDatetime | None = None
    """When the next try is due; None means now."""
    error: str = Field(default="", max_length=500)


class FeedEntry(Frozen):
    """One event of the feed."""

    seq: int
    id: str
    at: UtcDatetime
    event: OutgoingEvent


class DeadLetter(Frozen):
    """An event that a subscriber would not take."""

    subscription: Slug
    entry: FeedEntry
    reason: str
    attempts: int
    at: UtcDatetime


def _inside(host: str) -> bool:
    """Tell whether the host is a literal private, link-local or reserved address. Names are not resolved here."""
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return not address.is_loopback and (not address.is_global or address.is_multicast)


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
