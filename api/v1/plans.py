"""Change plans: propose one, see where it stands, answer it as a whole. Its commands are not answered one by one.

An answer names the digest that was on the plan's card, and counts for exactly the commands that were on it.
"""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from fastapi.concurrency import run_in_threadpool

from api.auth import CurrentPrincipal, ReadingReach
from api.frame import IdempotencyKey, WriteRoute
from api.ports import ApiServices, PlanClick, Services
from api.scopes import PROPOSING, Id, Limit, require, require_person
from api.views import ClickRequest, PlanProposed, PlanRequest, PlanView
from domain.decisions import PlanDecideResult
from domain.errors import NotFound
from domain.plans import PlanRecord, PlanState
from domain.principals import READING_ROLES, Principal, Reach

router = APIRouter(prefix="/v1/plans", tags=["plans"], route_class=WriteRoute)


@router.get("")
def list_plans(
    reach: ReadingReach,
    services: Services,
    state: Annotated[tuple[PlanState, ...], Query()] = (),
    limit: Limit = 100,
) -> list[PlanRecord]:
    """List the newest plans within reach, newest first; `state` may be given several times."""
    found = services.plans.list(reach, states=state, limit=limit)
    return [record for record in found if reach.allows(record.plan.tenant, record.plan.environment)]


@router.get("/{plan}")
def show_plan(plan: Id, reach: ReadingReach, services: Services, response: Response) -> PlanView:
    """Show one plan: its card and its commands in order. The ETag is its version."""
    view = services.plans.view(reach, plan)
    _within(reach, view.record)
    response.headers["ETag"] = f'"{view.record.version}"'
    return view


@router.post("", status_code=202)
async def propose_plan(
    request: PlanRequest,
    who: CurrentPrincipal,
    services: Services,
    response: Response,
    idempotency_key: IdempotencyKey = None,
    dry_run: Annotated[bool, Query(alias="dryRun")] = False,  # noqa: FBT002 # a query parameter has a name
) -> PlanProposed:
    """Propose commands as one plan on the governed path; `dryRun` plans and decides them without recording it."""
    require(who, PROPOSING, request.tenant, request.environment)
    done = await services.plans.propose(who, request, key=idempotency_key, dry_run=dry_run)
    if done.record is None:
        response.status_code = 200
    else:
        response.headers["Location"] = f"/v1/plans/{done.record.plan.id}"
    return done


@router.post("/{plan}/approve")
async def approve_plan(plan: Id, request: ClickRequest, who: CurrentPrincipal, services: Services) -> PlanDecideResult:
    """Approve exactly this digest: all its commands at once."""
    return await _answer(services, who, plan, request, "approve")


@router.post("/{plan}/reject")
async def reject_plan(plan: Id, request: ClickRequest, who: CurrentPrincipal, services: Services) -> PlanDecideResult:
    """Reject exactly this digest: none of its commands starts."""
    return await _answer(services, who, plan, request, "reject")


async def _answer(
    services: ApiServices, who: Principal, plan: str, request: ClickRequest, verdict: Literal["approve", "reject"]
) -> PlanDecideResult:
    reach = who.reach(READING_ROLES)
    record = await run_in_threadpool(services.plans.find, reach, plan)
    _within(reach, record)
    require_person(who)
    return await services.plans.decide(PlanClick(who, record, request.digest, request.note), verdict)


def _within(reach: Reach, record: PlanRecord) -> None:
    if not reach.allows(record.plan.tenant, record.plan.environment):
        raise NotFound("no such plan within reach")
