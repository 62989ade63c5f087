"""OTLP logs as log records. A record's text is data of whoever wrote it: stored, never obeyed."""

from datetime import UTC, datetime, timedelta

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord as WireRecord
from pydantic import ValidationError

from api.intake.otlp.resource import Mapped, Origin, origin_of, text_of, texts, why
from domain.base import Severity
from domain.intake import LogRecord
from domain.principals import EventSourceKey

MAX_CHARS = 65_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SEVERITIES: tuple[tuple[int, Severity], ...] = ((21, "critical"), (17, "error"), (13, "warning"))
"""Lowest severity number of each range (OpenTelemetry logs data model: FATAL, ERROR, WARN)."""


def read(request: ExportLogsServiceRequest, sender: EventSourceKey) -> Mapped[LogRecord]:
    """Return every record of the request."""
    mapped: Mapped[LogRecord] = Mapped()
    for group in request.resource_logs:
        origin = origin_of(group.resource, sender)
        for record in (record for scope in group.scope_logs for record in scope.log_records):
            if origin is None:
                mapped.refuse("cross_tenant", "the resource names a tenant this credential does not hold")
                continue
            try:
                mapped.put(origin, [_record(origin, record)])
            except (ValidationError, OverflowError) as error:
                mapped.refuse("invalid", why(error) if isinstance(error, ValidationError) else "time out of range")
    return mapped


def _record(origin: Origin, record: WireRecord) -> LogRecord:
    at_ns = record.time_unix_nano or record.observed_time_unix_nano
    return LogRecord(
        environment=origin.environment,
        entity=origin.entity,
        at=_EPOCH + timedelta(microseconds=at_ns // 1000),
        severity=_severity(record.severity_number),
        message=_message(record),
        trace_id=record.trace_id.hex() or None,
        span_id=record.span_id.hex() or None,
    )


def _message(record: WireRecord) -> str:
    text = text_of(record.body) if record.HasField("body") else ""
    if not text:
        text = " ".join(f"{key}={value}" for key, value in sorted(texts(record.attributes).items()))
    if len(text) <= MAX_CHARS:
        return text
    return f"{text[:MAX_CHARS]}... [cut: {len(text)} characters]"


def _severity(number: int) -> Severity:
    for low, severity in _SEVERITIES:
        if number >= low:
            return severity
    return "info"
