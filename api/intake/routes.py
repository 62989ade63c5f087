"""The event routes: one row per sender, one handler for all.

A refused request answers problem+json and stands in quarantine with the same reason. A batch of which something was
taken answers 202 with a report that adds up to what was sent.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool

from api.auth import CurrentSource
from api.frame import IntakeRoute
from api.intake import alertmanager, azure_monitor, cloudevents
from api.intake.bodies import read_body
from api.problems import problem
from domain.events import IncomingEvent
from domain.intake import Channel, IntakeReport, QuarantineReason, RefusedInput
from domain.ports import EventIntake
from domain.principals import ANY

Reader = Callable[[Mapping[str, str], bytes, str], list[IncomingEvent | RefusedInput]]
MAX_BODY_BYTES = 4 * 1024 * 1024
"""4 MiB: sixteen events of the greatest size, or some ten thousand ordinary ones."""
STATUS: dict[QuarantineReason, int] = {
    "malformed": 400,
    "duplicate_key": 400,
    "not_a_number": 400,
    "too_deep": 400,
    "bad_text": 400,
    "cross_tenant": 403,
    "foreign_source": 403,
    "conflict": 409,
    "too_large": 413,
    "unsupported": 415,
    "quota": 429,
}
"""HTTP status per reason; every other is 422."""


@dataclass(frozen=True)
class EventRoute:
    """One way in: where, what reads it, and the source it speaks as when its key is bound to none."""

    path: str
    channel: Channel
    read: Reader
    source: str
    summary: str


EVENT_ROUTES: tuple[EventRoute, ...] = (
    EventRoute("/events", "events", cloudevents.read, "", "CloudEvents: structured, binary, batch"),
    EventRoute(
        "/webhooks/alertmanager", "alertmanager", alertmanager.read, "alertmanager", "Alertmanager webhook, version 4"
    ),
    EventRoute(
        "/webhooks/azure-monitor",
        "azure_monitor",
        azure_monitor.read,
        "azure-monitor",
        "Azure Monitor, common alert schema",
    ),
)


def event_router() -> APIRouter:
    """Return the routes of every event source; `install_event_intake` ties them to the log."""
    router = APIRouter(tags=["intake"], route_class=IntakeRoute)
    for row in EVENT_ROUTES:
        router.add_api_route(
            row.path,
            _endpoint(row),
            methods=["POST"],
            status_code=202,
            response_model=IntakeReport,
            summary=row.summary,
            name=row.channel,
        )
    return router


def install_event_intake(app: FastAPI, intake: EventIntake) -> None:
    """Give the app the log its event routes write to, and the routes."""
    app.state.event_intake = intake
    app.include_router(event_router())


def _endpoint(row: EventRoute) -> Callable[..., object]:
    async def take(request: Request, sender: CurrentSource) -> Response:
        intake: EventIntake = request.app.state.event_intake
        body = await read_body(request, MAX_BODY_BYTES)
        speaks_as = row.source if sender.source == ANY else sender.source
        items = [body] if isinstance(body, RefusedInput) else row.read(request.headers, body, speaks_as)
        report = await run_in_threadpool(intake.accept, sender, items, channel=row.channel)
        return answer(report)

    return take


def answer(report: IntakeReport) -> Response:
    """Return 202 with the report, or the first refusal as a problem when nothing of the request was taken."""
    if not report.quarantined or report.accepted or report.duplicates:
        return Response(report.model_dump_json(), status_code=202, media_type="application/json")
    first = report.quarantined[0]
    others = f"; {len(report.quarantined) - 1} more" if len(report.quarantined) > 1 else ""
    detail = f"{first.detail} (quarantine {first.quarantine}{others})"
    return problem(STATUS.get(first.reason, 422), detail, reason=first.reason)
