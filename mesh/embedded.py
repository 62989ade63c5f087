"""The embedded runtime: a target in this process behind the same HTTP API as any other, reached over ASGI."""

from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from domain.ids import EnvironmentId
from domain.ports import Clock, CrashPoints, Ids
from domain.tenancy import RuntimeTenantBinding
from runtime.api.app import build_runtime_app
from runtime.assembly import RuntimeServices, runtime_services
from runtime.engine.embedded import EmbeddedEngine
from runtime.ports import Authenticator, ProposeWrite, RuntimeTarget
from storage.engine import Database

BASE_URL = "http://runtime.internal"
"""Never resolved: the ASGI transport answers in this process."""


@dataclass(frozen=True, slots=True)
class EmbeddedRuntime:
    """The runtime over one target, and an HTTP client into it."""

    services: RuntimeServices
    target: RuntimeTarget
    http: httpx.AsyncClient

    async def register(self, environment: EnvironmentId, bound: Sequence[RuntimeTenantBinding]) -> None:
        """Add the target's environment with its tenant bindings, as it runs now."""
        await self.services.register(environment, bound)

    async def close(self) -> None:
        """Close the client."""
        await self.http.aclose()


def embedded_runtime(
    target: RuntimeTarget,
    database: Database,
    *,
    clock: Clock,
    ids: Ids,
    crash: CrashPoints,
    authenticator: Authenticator,
    proposals: ProposeWrite,
    grant_key: bytes,
) -> EmbeddedRuntime:
    """Put the runtime together over a target."""
    services = runtime_services(
        database=database, clock=clock, ids=ids, crash=crash, target=target, engine=EmbeddedEngine(target, clock),
        authenticator=authenticator, proposals=proposals, grant_keys=[grant_key],
    )  # fmt: skip
    transport = httpx.ASGITransport(app=build_runtime_app(services))
    return EmbeddedRuntime(services, target, httpx.AsyncClient(transport=transport, base_url=BASE_URL))
