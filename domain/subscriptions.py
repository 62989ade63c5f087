"""Subscriptions: who is told of decisions, outcomes and lessons, in which form, and how far each has come.

What leaves is the published event catalogue, versioned per type, as CloudEvents or as OTLP logs.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address
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

_CLOUDS_OWN = (IPv4Network("192.0.0.0/24"), IPv4Network("168.63.129.16/32"))
"""Not public though they look so: protocol assignments (RFC 6890), where a cloud has its metadata; Azure's host."""
DELIVERY_PROBLEMS: frozenset[str] = frozenset(
    {
        "unresolvable", "refused_address", "unreachable", "timeout", "gone", "status_1xx", "status_3xx", "status_4xx",
        "status_5xx", "failed",
    }
)  # fmt: skip
"""All that a tenant is told of a delivery that did not get through."""


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
        if parts.scheme == "http" and not loopback(host):
            raise ValueError("plain http goes to this machine only: use https")
        if _address(host) and inside(host) and not loopback(host):
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
    """Why the last try did not get through: one of DELIVERY_PROBLEMS. Never a receiver's words, nor its address."""


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


def inside(text: str) -> bool:
    """Tell whether an address is any but a public one of the internet; what is no address counts as inside.

    Forms that carry an address of version 4 (mapped, 6to4, Teredo, NAT64) are inside whatever they carry: a gateway
    could lead anywhere by them.
    """
    address = _address(text)
    if (
        address is None
        or any(address in network for network in _CLOUDS_OWN)
        or not address.is_global
        or address.is_multicast
        or address.is_reserved
    ):
        return True
    if isinstance(address, IPv4Address):
        return False
    carried = address.ipv4_mapped or address.sixtofour or address.teredo
    return address.is_site_local or carried is not None


def loopback(host: str) -> bool:
    """Tell whether a host is this machine, by its usual name or as an address."""
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
