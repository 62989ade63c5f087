"""Opsmesh's HTTP application over a mesh, and the server that runs it with its loop and the embedded world."""

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from datetime import timedelta

import httpx
import uvicorn
from fastapi import FastAPI

from api.app import build_app
from api.intake.otlp.routes import install_otlp
from api.intake.routes import install_event_intake
from mesh.api_services import api_services
from mesh.composition import Mesh
from mesh.embedded import EmbeddedRuntime
from mesh.lock import announced
from mesh.passage import Passage
from mesh.settings import Settings
from mesh.simulation import SimulatedMesh
from runtime.simulator import faults
from runtime.simulator.faults import Draw

LOCAL_URL = "http://opsmesh.internal"
CALM = timedelta(minutes=5)
"""How long the embedded world is left well before a fault that was asked for."""
TICK_S = 1.0
"""How often the server lets the world and the loop move."""
_LOG = logging.getLogger("opsmesh.server")


def application(mesh: Mesh) -> FastAPI:
    """Return the application: version 1, events, webhooks, OTLP, and the embedded runtime's own API below /runtime."""
    app = build_app(api_services(mesh))
    install_event_intake(app, mesh.log)
    install_otlp(app, mesh.log, mesh.telemetry_store)
    if isinstance(mesh.runtime, EmbeddedRuntime):
        app.router.routes.append(Passage("/runtime", mesh.runtime.app))
    return app


def local_client(mesh: Mesh, token: str) -> httpx.AsyncClient:
    """Return a client that calls the application in this process."""
    transport = httpx.ASGITransport(app=application(mesh))
    return httpx.AsyncClient(transport=transport, base_url=LOCAL_URL, headers={"Authorization": f"Bearer {token}"})


@dataclass(frozen=True, slots=True)
class Server:
    """A simulated mesh on a port of its own."""

    simulated: SimulatedMesh
    settings: Settings
    speed: float
    """Virtual seconds per second."""
    fault: Draw | None = None
    """A fault of the embedded world, for trying the product out; it happens after `CALM`."""

    async def run(self) -> None:
        """Serve until stopped; the loop never takes the server down."""
        config = uvicorn.Config(
            application(self.simulated.mesh), host=self.settings.host, port=self.settings.port, log_level="warning"
        )
        server = uvicorn.Server(config)
        ticking = asyncio.gather(self._tick(server), self._deliver(server))
        with announced(self.settings.home, f"http://{self.settings.host}:{self.settings.port}"):
            await server.serve()
        ticking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticking

    async def _deliver(self, server: uvicorn.Server) -> None:
        """Send feedback to whoever subscribes, beside the loop: a slow receiver holds nothing else up."""
        while not server.should_exit:
            await asyncio.sleep(TICK_S)
            try:
                await self.simulated.mesh.subscriptions.step()
            except Exception:  # noqa: BLE001  # process boundary: the next turn tries again
                _LOG.exception("feedback could not be delivered; it is tried again")

    async def _tick(self, server: uvicorn.Server) -> None:
        """Move the world by the wall clock and let the loop look; an error is logged and the next tick tries again."""
        simulation, world = self.simulated.simulation, self.simulated.world
        due = world.now + CALM
        pending = self.fault
        while not server.should_exit:
            await asyncio.sleep(TICK_S)
            if pending is not None and world.now >= due:
                faults.inject(world, pending)
                pending = None
            try:
                await simulation.run(self.simulated.world.now + timedelta(seconds=TICK_S * self.speed))
            except Exception:  # noqa: BLE001  # process boundary: a server must not look well over a dead loop
                _LOG.exception("a step of the loop failed; the next one tries again")
