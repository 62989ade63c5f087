"""The embedded runtime: a target in this process behind the same HTTP API as any other, reached over ASGI."""

from collections.abc import Sequence
from dataclasses import dataclass

import httpx
from fastapi import FastAPI

from domain.ids import EnvironmentId
from domain.ports import CrashPoints
from domain.tenancy import RuntimeTenantBinding
from runtime.api.app import build_runtime_app
from runtime.assembly import runtime_services
from runtime.engine.embedded import EmbeddedEngine
from runtime.parts import RuntimeParts, RuntimeServices
from runtime.ports import Authenticator, ProposeWrite

BASE_URL = "http://runtime.internal"
"""Never resolved: the ASGI transport answers in this process."""


@dataclass(frozen=True, slots=True)
class EmbeddedRuntime:
    """The runtime over one target, and an HTTP client into it."""

    services: RuntimeServices
    app: FastAPI
    http: httpx.AsyncClient

    async def register(self, environment: EnvironmentId, bound: Sequence[RuntimeTenantBinding]) -> None:
        """Add the target's environment with its tenant bindings, as it runs now."""
        await self.services.register(environment, bound)

    async def close(self) -> None:
        """Close the client."""
        await self.http.aclose()


def embedded_runtime(
    parts: RuntimeParts,
    *,
    crash: CrashPoints,
    authenticator: Authenticator,
    proposals: ProposeWrite,
    grant_key: bytes,
    loops: Sequence[str] | None = None,
) -> EmbeddedRuntime:
    """Put the runtime together over a target in this process."""
    services = runtime_services(
        parts, crash=crash, engine=EmbeddedEngine(parts.target, parts.clock), authenticator=authenticator,
        proposals=proposals, grant_keys=[grant_key], loops=loops,
    )  # fmt: skip
    app = build_runtime_app(services)
    transport = httpx.ASGITransport(app=app)
    return EmbeddedRuntime(services, app, httpx.AsyncClient(transport=transport, base_url=BASE_URL))
