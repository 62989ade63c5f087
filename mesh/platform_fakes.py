"""The two platforms that feedback goes to, as small applications: for trying the product out, and for its contract.

A knowledge platform that verifies each webhook and keeps events once; an observability back end that takes OTLP logs.
"""

from collections.abc import Callable

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from domain.envelope import read_event
from domain.errors import Refused
from domain.events import IncomingEvent
from domain.intake import RefusedInput
from domain.ports import Clock
from governance.webhooks import verify_webhook
from mesh.feedback_sinks import CLOUDEVENT, PROTOBUF


class Received:
    """What a platform holds: events by id, each once, and what it answers instead while it is told to fail."""

    def __init__(self) -> None:
        self.events: dict[str, IncomingEvent] = {}
        self.deliveries = 0
        self.answers: list[int] = []
        """Statuses to answer next instead of taking anything."""

    def take(self, raw: bytes) -> int:
        """Keep an event; return the HTTP status."""
        self.deliveries += 1
        if self.answers:
            return self.answers.pop(0)
        event = read_event(raw)
        if isinstance(event, RefusedInput) or event.id is None:
            return 400
        self.events.setdefault(event.id, event)
        return 204


def knowledge_platform(received: Received, public_key: Callable[[], str], clock: Clock) -> Starlette:
    """Return a platform that takes signed CloudEvents in structured mode at `/`."""

    async def take(request: Request) -> Response:
        body = await request.body()
        if request.headers.get("content-type") != CLOUDEVENT:
            return Response(status_code=415)
        try:
            verify_webhook(public_key(), request.headers, body, clock.now())
        except Refused as error:
            return Response(str(error), status_code=401)
        return Response(status_code=received.take(body))

    return Starlette(routes=[Route("/", take, methods=["POST"])])


def observability_backend(received: Received) -> Starlette:
    """Return a back end that takes OTLP log records whose body is the event, at `/v1/logs`."""

    async def take(request: Request) -> Response:
        if request.headers.get("content-type") != PROTOBUF:
            return Response(status_code=415)
        exported = ExportLogsServiceRequest.FromString(await request.body())
        records = [r for g in exported.resource_logs for scope in g.scope_logs for r in scope.log_records]
        statuses = [received.take(record.body.string_value.encode()) for record in records]
        status = max(statuses, default=400)
        answer = ExportLogsServiceResponse().SerializeToString()
        return Response(answer, status_code=200 if status == 204 else status, media_type=PROTOBUF)

    return Starlette(routes=[Route("/v1/logs", take, methods=["POST"])])
