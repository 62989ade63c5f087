"""How feedback leaves: a signed webhook of one CloudEvent for a knowledge platform, OTLP logs for observability.

Both are bounded in time and follow no redirect. What a receiver answers decides: taken, try again, never, or gone.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from domain.envelope import write_event
from domain.errors import Invalid, NotFound, Unavailable
from domain.events import IncomingEvent
from domain.ports import Clock
from domain.subscriptions import FeedEntry, Subscriber
from governance.webhooks import WebhookSigner
from mesh.outside import outside
from mesh.telemetry import trace_id_of

SOURCE = "/opsmesh"
TIMEOUT_S = 10.0
"""Longer than a receiver should need to store one event; a slow one is tried again (our choice)."""
CLOUDEVENT = "application/cloudevents+json"
PROTOBUF = "application/x-protobuf"
NEVER = frozenset({400, 413, 415, 422})
"""Answers that say that this very event will not be taken, however often it comes."""
GONE = 410
Connect = Callable[[], httpx.AsyncClient]
_SEVERITY = {"info": 9, "warning": 13, "error": 17, "critical": 21}
"""Severity numbers of the OpenTelemetry logs data model."""


@dataclass(frozen=True, slots=True)
class WebhookSink:
    """One POST per event in structured mode, signed."""

    signer: WebhookSigner
    clock: Clock
    connect: Connect = outside

    async def deliver(self, to: Subscriber, entry: FeedEntry) -> None:
        """Send the event as CloudEvents JSON."""
        body = write_event(outgoing(to, entry))
        headers = self.signer.headers(entry.id, self.clock.now(), body) | {"content-type": CLOUDEVENT}
        await _post(self.connect, to.url, body, headers)


@dataclass(frozen=True, slots=True)
class OtlpSink:
    """One log record per event, in the trace that the event belongs to."""

    connect: Connect = outside

    async def deliver(self, to: Subscriber, entry: FeedEntry) -> None:
        """Send the event as an OTLP/HTTP log record."""
        body = _log_request(to, entry).SerializeToString()
        await _post(self.connect, to.url, body, {"content-type": PROTOBUF})


@dataclass(slots=True)
class MemorySink:
    """Keeps what it is given, once per id, and fails when told to. Ships for tests of everything above it."""

    taken: dict[str, tuple[Subscriber, FeedEntry]] = field(default_factory=dict[str, tuple[Subscriber, FeedEntry]])
    unavailable: int = 0
    """How many of the next deliveries do not get through."""
    never: frozenset[str] = frozenset()
    """Ids of events it will not take."""
    gone: bool = False

    async def deliver(self, to: Subscriber, entry: FeedEntry) -> None:
        """Take the event, or fail as told."""
        if self.gone:
            raise NotFound("the receiver is gone", reason="gone")
        if self.unavailable > 0:
            self.unavailable -= 1
            raise Unavailable("the receiver does not answer", reason="unreachable")
        if entry.id in self.never:
            raise Invalid("the receiver does not take this", reason="status_4xx")
        self.taken.setdefault(entry.id, (to, entry))


def outgoing(to: Subscriber, entry: FeedEntry) -> IncomingEvent:
    """Return the event as its receiver gets it: our source, its id in the feed."""
    event = entry.event
    return IncomingEvent(
        id=entry.id, source=SOURCE, type=event.type, subject=event.subject, time=entry.at, tenantid=to.tenant,
        dimensions=event.dimensions, data=event.data,
    )  # fmt: skip


def _log_request(to: Subscriber, entry: FeedEntry) -> ExportLogsServiceRequest:
    event, request = outgoing(to, entry), ExportLogsServiceRequest()
    group = request.resource_logs.add()
    group.resource.attributes.extend([_text("service.name", "opsmesh"), _text("tenantid", to.tenant)])
    record = group.scope_logs.add().log_records.add()
    record.time_unix_nano = int(entry.at.timestamp() * 1_000_000) * 1000
    record.severity_number = _SEVERITY[event.dimensions.severity]  # pyright: ignore[reportAttributeAccessIssue]  # protobuf enums take their numbers
    record.event_name = event.type
    record.body.CopyFrom(AnyValue(string_value=write_event(event).decode()))
    stated = event.dimensions.model_dump(mode="json", exclude_none=True)
    record.attributes.extend([_text("cloudevents.event_id", entry.id), *(_text(k, str(v)) for k, v in stated.items())])
    if event.dimensions.traceparent is not None:
        record.trace_id = bytes.fromhex(trace_id_of(event.dimensions.traceparent))
        record.span_id = bytes.fromhex(event.dimensions.traceparent.split("-")[2])
    return request


def _text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


async def _post(connect: Connect, url: str, body: bytes, headers: dict[str, str]) -> None:
    """Send one event and look at the status alone: what a receiver says besides is neither read nor kept."""
    try:
        async with (
            asyncio.timeout(TIMEOUT_S),
            connect() as http,
            http.stream("POST", url, content=body, headers=headers, follow_redirects=False) as answer,
        ):
            status = answer.status_code
    except (TimeoutError, httpx.TimeoutException) as error:
        raise Unavailable("the receiver does not answer in time", reason="timeout") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unavailable("the receiver cannot be reached", reason="unreachable") from error
    if httpx.codes.is_success(status):
        return
    word = f"status_{status // 100}xx"
    if status == GONE:
        raise NotFound("the receiver says that it is gone", reason="gone")
    if status in NEVER:
        raise Invalid("the receiver does not take this event", reason=word)
    raise Unavailable("the receiver did not take it", reason=word)
