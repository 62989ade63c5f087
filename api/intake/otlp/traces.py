"""OTLP traces as span records."""

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from pydantic import ValidationError

from api.intake.otlp.resource import Mapped, Origin, origin_of, why
from domain.intake import SpanRecord
from domain.principals import EventSourceKey

_NAME_CHARS = 300


def read(request: ExportTraceServiceRequest, sender: EventSourceKey) -> Mapped[SpanRecord]:
    """Return every span of the request."""
    mapped: Mapped[SpanRecord] = Mapped()
    for group in request.resource_spans:
        origin = origin_of(group.resource, sender)
        for span in (span for scope in group.scope_spans for span in scope.spans):
            if origin is None:
                mapped.refuse("cross_tenant", "the resource names a tenant this credential does not hold")
            elif len(span.trace_id) != 16 or len(span.span_id) != 8:
                mapped.refuse("invalid", "a trace id has 16 bytes, a span id 8 (W3C trace context)")
            else:
                try:
                    mapped.put(origin, [_record(origin, span)])
                except ValidationError as error:
                    mapped.refuse("invalid", why(error))
    return mapped


def _record(origin: Origin, span: Span) -> SpanRecord:
    return SpanRecord(
        environment=origin.environment,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex() or None,
        entity=origin.entity,
        operation=span.name[:_NAME_CHARS],
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        error=span.status.code == Status.STATUS_CODE_ERROR,
    )
