"""The app factory of the `/runtime` API. In one process it is reached over ASGI, elsewhere over HTTP."""

from fastapi import FastAPI

from domain.problems import Problem
from runtime.api import findings, reads, telemetry, writes
from runtime.api.limits import BodyLimit
from runtime.api.problems import install_problems
from runtime.parts import RuntimeServices
from runtime.services import SERVICES

ROUTERS = (reads.router, telemetry.router, findings.router, writes.router, *(row.router for row in SERVICES))


def build_runtime_app(runtime: RuntimeServices) -> FastAPI:
    """Return the API over the services. Nothing is read, started or made here."""
    app = FastAPI(
        title="Opsmesh runtime",
        version="1",
        responses={status: {"model": Problem} for status in (400, 401, 403, 404, 409, 412, 413, 422, 503)},
    )
    app.state.runtime = runtime
    install_problems(app)
    app.add_middleware(BodyLimit)
    for router in ROUTERS:
        app.include_router(router)
    return app
