"""The OTLP/HTTP routes: one row per signal. Values that cannot be taken answer as a partial success, as OTLP says,
and stand in quarantine by reason; a body that is no export request at all answers problem+json.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from api.auth import CurrentSource
from api.frame import IntakeRoute
from api.intake.bodies import read_body
from api.intake.otlp import logs, metrics, traces
from api.intake.otlp.resource import Mapped
from api.intake.otlp.wire import decode, encode
from api.intake.routes import STATUS
from api.problems import problem
from domain.ids import TenantId
from domain.intake import LogRecord, MetricPoint, RefusedInput, SpanRecord, TelemetryReport
from domain.ports import EventIntake, TelemetryIntake
from domain.principals import EventSourceKey

MAX_BODY_BYTES = 8 * 1024 * 1024
"""8 MiB, packed and unpacked: twice the greatest gRPC message a collector sends by default."""
Value = TypeVar("Value")
Ask = TypeVar("Ask", bound=Message)


@dataclass(frozen=True)
class Signal(Generic[Ask, Value]):
    """One OTLP signal: its messages, its mapping, and what takes the values."""

    path: str
    request: Callable[[], Ask]
    answer: Callable[[int, str], Message]
    read: Callable[[Ask, EventSourceKey], Mapped[Value]]
    take: Callable[[TelemetryIntake, EventSourceKey, TenantId, Sequence[Value]], TelemetryReport]

    def endpoint(self) -> Callable[..., object]:
        """Return the handler of the signal's route."""

        async def take(request: Request, sender: CurrentSource) -> Response:
            events: EventIntake = request.app.state.event_intake
            telemetry: TelemetryIntake = request.app.state.telemetry_intake
            media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            body = await read_body(request, MAX_BODY_BYTES)
            asked = body if isinstance(body, RefusedInput) else decode(body, media_type, self.request())
            if isinstance(asked, RefusedInput):
                row = await run_in_threadpool(events.refuse, sender, asked, channel="otlp")
                detail = f"{asked.detail} (quarantine {row})"
                return problem(STATUS.get(asked.reason, 422), detail, reason=asked.reason)
            report = await run_in_threadpool(self._store, sender, self.read(asked, sender), events, telemetry)
            answer = self.answer(report.rejected, report.message)
            return Response(encode(answer, media_type), media_type=media_type)

        return take

    def _store(
        self, sender: EventSourceKey, mapped: Mapped[Value], events: EventIntake, telemetry: TelemetryIntake
    ) -> TelemetryReport:
        reports = [self.take(telemetry, sender, tenant, values) for tenant, values in mapped.values.items()]
        for (reason, detail), count in mapped.refused.items():
            refused = RefusedInput(reason=reason, detail=f"{count} values: {detail}", body=b"")
            events.refuse(sender, refused, channel="otlp")
        notes = [f"{count} refused: {detail}" for (_, detail), count in mapped.refused.items()]
        return TelemetryReport(
            accepted=sum(report.accepted for report in reports),
            rejected=sum(report.rejected for report in reports) + sum(mapped.refused.values()),
            message="; ".join([*notes, *(report.message for report in reports if report.message)]),
        )


def _take_metrics(
    intake: TelemetryIntake, sender: EventSourceKey, tenant: TenantId, values: Sequence[MetricPoint]
) -> TelemetryReport:
    return intake.accept_metrics(sender, tenant, values)


def _take_logs(
    intake: TelemetryIntake, sender: EventSourceKey, tenant: TenantId, values: Sequence[LogRecord]
) -> TelemetryReport:
    return intake.accept_logs(sender, tenant, values)


def _take_spans(
    intake: TelemetryIntake, sender: EventSourceKey, tenant: TenantId, values: Sequence[SpanRecord]
) -> TelemetryReport:
    return intake.accept_spans(sender, tenant, values)


def _metrics_answer(rejected: int, message: str) -> Message:
    if not rejected:
        return ExportMetricsServiceResponse()
    return ExportMetricsServiceResponse(
        partial_success=ExportMetricsPartialSuccess(rejected_data_points=rejected, error_message=message)
    )


def _logs_answer(rejected: int, message: str) -> Message:
    if not rejected:
        return ExportLogsServiceResponse()
    return ExportLogsServiceResponse(
        partial_success=ExportLogsPartialSuccess(rejected_log_records=rejected, error_message=message)
    )


def _traces_answer(rejected: int, message: str) -> Message:
    if not rejected:
        return ExportTraceServiceResponse()
    return ExportTraceServiceResponse(
        partial_success=ExportTracePartialSuccess(rejected_spans=rejected, error_message=message)
    )


SIGNALS: tuple[
    Signal[ExportMetricsServiceRequest, MetricPoint],
    Signal[ExportLogsServiceRequest, LogRecord],
    Signal[ExportTraceServiceRequest, SpanRecord],
] = (
    Signal("/v1/metrics", ExportMetricsServiceRequest, _metrics_answer, metrics.read, _take_metrics),
    Signal("/v1/logs", ExportLogsServiceRequest, _logs_answer, logs.read, _take_logs),
    Signal("/v1/traces", ExportTraceServiceRequest, _traces_answer, traces.read, _take_spans),
)


def otlp_router() -> APIRouter:
    """Return the routes of every signal; `install_otlp` ties them to the stores."""
    router = APIRouter(tags=["intake"], route_class=IntakeRoute)
    for signal in SIGNALS:
        router.add_api_route(
            signal.path,
            signal.endpoint(),
            methods=["POST"],
            summary="OTLP/HTTP, protobuf or JSON",
            name=signal.path.removeprefix("/v1/"),
        )
    return router


def install_otlp(app: FastAPI, events: EventIntake, telemetry: TelemetryIntake) -> None:
    """Give the app the stores its OTLP routes write to, and the routes."""
    app.state.event_intake = events
    app.state.telemetry_intake = telemetry
    app.include_router(otlp_router())
