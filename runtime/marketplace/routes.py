"""What packs there are, what one holds, and what changing one would do here. Changes go through the door as patches."""

# ruff: noqa: FAST003  # the environment in the path is read by the `access` dependency

from typing import Annotated

from fastapi import APIRouter, Path, Response

from domain.base import Slug
from domain.desired import DesiredState
from domain.errors import NotFound
from domain.ids import PLATFORM, EnvironmentId, TenantId
from domain.packs import InstalledPack, PackAnswer, PackPlanAnswer, PackPlanBody, PacksAnswer, RolloutAnswer
from domain.principals import READING_ROLES
from runtime import state
from runtime.api.caller import Acting, Here, MayWrite, Services, Who
from runtime.api.frame import Framed, check_match
from runtime.marketplace.impact import known_grids
from runtime.marketplace.market import market_at
from runtime.marketplace.rollouts import ROLLOUTS, shown
from runtime.parts import RuntimeServices

router = APIRouter(prefix="/runtime", tags=["marketplace"])
ROLLOUTS_TOLD = 50


@router.get("/packs")
async def packs(runtime: Services, who: Who, tenant: Acting) -> PacksAnswer:
    """List the shelf as the tenant may use it, and what it has installed where."""
    if not who.reach(READING_ROLES).allows(tenant):
        raise NotFound("no such tenant")
    market = market_at(runtime.parts.home)
    installed: list[InstalledPack] = []
    for environment, desired in _documents(runtime, tenant):
        if who.reach(READING_ROLES).allows(tenant, environment):
            installed += market.installed(tenant, environment, desired)
    return PacksAnswer(packs=market.shelf.listed(tenant), installed=tuple(installed))


@router.get("/packs/{pack}")
async def pack(runtime: Services, who: Who, tenant: Acting, pack: Annotated[Slug, Path()]) -> PackAnswer:
    """Return the newest version the tenant can use. Raises NotFound, Refused where no version is to be trusted."""
    if not who.reach(READING_ROLES).allows(tenant):
        raise NotFound("no such tenant")
    shelf = market_at(runtime.parts.home).shelf
    found = shelf.open(tenant, pack)
    said = found.manifest
    return PackAnswer(
        name=said.name, version=said.version, kind=said.kind, summary=said.summary, publisher=found.publisher,
        key=found.key, digest=found.digest, parameters_schema=said.parameters_schema(),
        rules=tuple(rule.model_dump(mode="json") for rule in found.content.rules), readme=found.readme,
        versions=tuple(p.version for p in shelf.listed(tenant) if p.name == pack),
    )  # fmt: skip


@router.post("/environments/{environment}/packs/plan")
async def plan(
    runtime: Services, here: MayWrite, framed: Framed, body: PackPlanBody, response: Response
) -> PackPlanAnswer:
    """Work out what installing, upgrading or taking off a pack would do here: a dry run always, so no key is kept."""
    await runtime.convergence.absorb(here.environment)
    with runtime.database.read() as connection:
        desired = state.current(connection, here.environment)
    check_match(framed, desired.version)
    response.headers["ETag"] = f'"{desired.version}"'
    market = market_at(runtime.parts.home)
    at, regions = runtime.clock.now(), [pool.region for pool in here.view.topology().node_pools]
    grids = await known_grids(runtime.parts.planes.energy, regions, at)
    return market.plan(body, here.tenant, here.view, desired, at, grids)


@router.get("/environments/{environment}/packs/rollouts")
async def pack_rollouts(runtime: Services, here: Here) -> list[RolloutAnswer]:
    """List rollouts, the newest first: a tenant those that concern it, and its own part of them only."""
    tenants = None if here.tenant == PLATFORM else (here.tenant,)
    with runtime.database.read() as connection:
        found = sorted(ROLLOUTS.list(connection, here.environment), key=lambda d: d.id, reverse=True)
    told = [shown(d.id, d.body, tenants) for d in found]
    return [answer for answer in told if answer.parts][:ROLLOUTS_TOLD]


def _documents(runtime: RuntimeServices, tenant: TenantId) -> list[tuple[EnvironmentId, DesiredState]]:
    with runtime.database.read() as connection:
        bound = [
            place
            for place in state.names(connection)
            if any(b.tenant == tenant for b in state.bound_tenants(connection, place))
        ]
        return [(place, state.current(connection, place)) for place in bound]
