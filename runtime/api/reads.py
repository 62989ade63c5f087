"""Reads of what exists and what shall be: environments, bindings, topology, desired and live state, effects."""

# ruff: noqa: FAST003  # the environment in every path is read by the `access` dependency

from typing import Annotated

from fastapi import APIRouter, Path, Response

from domain.base import Slug
from domain.desired import DesiredState, EnvironmentState
from domain.errors import NotFound
from domain.ids import PLATFORM
from domain.principals import READING_ROLES
from domain.runtime_api import EffectAnswer, EnvironmentAnswer, OperationRecord, VersionsAnswer
from domain.tenancy import RuntimeTenantBinding
from domain.topology import RuntimeService, Topology
from runtime import ledger, operations, state
from runtime.api.caller import Access, Acting, Here, Services, Who
from runtime.parts import RuntimeServices

router = APIRouter(prefix="/runtime", tags=["reads"])
HISTORY = 200
"""Document versions looked back through for versions of a service: about a day of busy changes."""
TICKETS = 100
"""Tickets answered at most, newest first."""
Named = Annotated[Slug, Path()]


@router.get("/environments")
async def environments(runtime: Services, who: Who, tenant: Acting) -> list[EnvironmentAnswer]:
    """List the environments the tenant is bound to."""
    reach = who.reach(READING_ROLES)
    with runtime.database.read() as connection:
        found = [e for e in state.names(connection) if reach.allows(tenant, e)]
        if tenant != PLATFORM:
            found = [e for e in found if any(b.tenant == tenant for b in state.bound_tenants(connection, e))]
        return [
            EnvironmentAnswer(
                environment=e,
                tenant=tenant,
                version=state.current(connection, e).version,
                actuated_version=state.actuated(connection, e)[0],
                at=runtime.clock.now(),
            )
            for e in found
        ]


@router.get("/environments/{environment}/bindings")
async def bindings(here: Here) -> tuple[RuntimeTenantBinding, ...]:
    """Return the tenant's binding; all of them for the platform."""
    return here.view.bindings()


@router.get("/environments/{environment}/topology")
async def topology(here: Here) -> Topology:
    """Return the visible part of the topology."""
    return here.view.topology()


@router.get("/environments/{environment}/services")
async def services(here: Here) -> tuple[RuntimeService, ...]:
    """Return the services the tenant owns or uses."""
    return here.view.topology().services


@router.get("/environments/{environment}/services/{service}/versions")
async def versions(runtime: Services, here: Here, service: Named) -> VersionsAnswer:
    """Return the versions of a service that desired state has named, newest first."""
    here.view.check_owned(f"service/{service}")
    await runtime.convergence.absorb(here.environment)
    with runtime.database.read() as connection:
        documents = state.history(connection, here.environment, limit=HISTORY)
    named = [d.base.services[service].version for d, _ in documents if service in d.base.services]
    return VersionsAnswer(service=service, versions=tuple(dict.fromkeys(named)))


@router.get("/environments/{environment}/desired-state")
async def desired_state(runtime: Services, here: Here, response: Response) -> DesiredState:
    """Return the tenant's part of the document; the ETag is its version."""
    desired = await _desired(runtime, here)
    response.headers["ETag"] = f'"{desired.version}"'
    return desired


async def _desired(runtime: RuntimeServices, here: Access) -> DesiredState:
    await runtime.convergence.absorb(here.environment)
    with runtime.database.read() as connection:
        return here.view.desired(state.current(connection, here.environment))


@router.get("/environments/{environment}/live-state")
async def live_state(runtime: Services, here: Here) -> EnvironmentState:
    """Return what runs now, the tenant's part, in the form of a desired state."""
    return here.view.state(await runtime.target.live(here.environment))


@router.get("/environments/{environment}/operations/{operation}")
async def operation(runtime: Services, here: Here, operation: Named) -> OperationRecord:
    """Return one recorded operation."""
    with runtime.database.read() as connection:
        found = operations.find(connection, here.tenant, here.environment, operation)
    if found is None:
        raise NotFound("no such operation")
    return found


@router.get("/environments/{environment}/tickets")
async def tickets(runtime: Services, here: Here) -> list[OperationRecord]:
    """Return the newest tickets."""
    with runtime.database.read() as connection:
        return operations.latest(connection, here.tenant, here.environment, "ticket.open", limit=TICKETS)


@router.get("/environments/{environment}/effects/{key}")
async def effect(runtime: Services, here: Here, key: Named) -> EffectAnswer:
    """Return what took effect under an idempotency key."""
    with runtime.database.read() as connection:
        found = ledger.recorded(connection, here.tenant, here.environment, key)
        count = ledger.applied_count(connection, here.tenant, here.environment, key)
    if found is None:
        raise NotFound("nothing took effect under this key")
    return EffectAnswer(receipt=found, applied_count=count)
