"""The application: authentication, problems, body limits and the routes of version 1 around whatever stands behind.

Further routers (intake) come as an argument and find the same authentication and problems.
"""

from collections.abc import Sequence

from fastapi import APIRouter, FastAPI, Response

from api.auth import install_auth
from api.limits import DEFAULT_BODY_BYTES, BodyLimit
from api.ports import ApiServices, Services
from api.problems import install_problems
from api.v1 import ROUTERS
from domain.base import Frozen
from domain.problems import Problem

SELF_COUNTED: tuple[tuple[str, int | None], ...] = (
    ("/events", None),
    ("/webhooks/", None),
    ("/v1/metrics", None),
    ("/v1/logs", None),
    ("/v1/traces", None),
)
"""Intake counts its bytes itself, since it keeps what it refuses."""


class HealthView(Frozen):
    """Whether everything answers; which part does not is told to operators, not here."""

    status: str


def build_app(
    services: ApiServices, routers: Sequence[APIRouter] = (), *, max_body_bytes: int = DEFAULT_BODY_BYTES
) -> FastAPI:
    """Return the application over the services, with further routers beside its own."""
    app = FastAPI(
        title="Opsmesh",
        version="1",
        docs_url=None,
        redoc_url=None,
        responses={status: {"model": Problem} for status in (400, 401, 403, 404, 409, 412, 413, 422, 503)},
    )
    app.state.services = services
    install_auth(app, services.authenticator)
    install_problems(app)
    app.add_middleware(BodyLimit, default=max_body_bytes, paths=SELF_COUNTED)
    app.add_api_route("/healthz", health, methods=["GET"], tags=["health"])
    for router in (*ROUTERS, *routers):
        app.include_router(router)
    return app


def health(services: Services, response: Response) -> HealthView:
    """Tell whether every part answers: 200 or 503."""
    faults = services.health.faults()
    response.status_code = 503 if faults else 200
    return HealthView(status="degraded" if faults else "ok")
