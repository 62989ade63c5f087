"""Commands: propose one, see where it stands, answer it.

An answer names the digest that was on the card; whether it counts is decided behind the port, in one transaction. A
late or second answer gets the first one's result.
"""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.concurrency import run_in_threadpool

from api.auth import CurrentPrincipal, ReadingReach
from api.frame import IdempotencyKey, WriteRoute
from api.ports import ApiServices, Click, Services
from api.scopes import DECIDING, PROPOSING, Id, Limit, require, require_person
from api.views import ClickRequest, CommandRequest, CommandView, NarrowRequest, Proposed
from domain.commands import CommandRecord, State
from domain.decisions import DecideResult
from domain.errors import NotFound, Refused
from domain.ids import CommandId
from domain.principals import READING_ROLES, Principal, Reach

router = APIRouter(prefix="/v1/commands", tags=["commands"], route_class=WriteRoute)


@router.get("")
def list_commands(
    reach: ReadingReach,
    services: Services,
    state: Annotated[tuple[State, ...], Query()] = (),
    limit: Limit = 100,
) -> list[CommandRecord]:
    """List the newest commands within reach, newest first; `state` may be given several times."""
    found = services.commands.list(reach, states=state, limit=limit)
    return [record for record in found if reach.allows(record.command.tenant, record.command.environment)]


@router.get("/{command}")
def show_command(command: Id, reach: ReadingReach, services: Services, response: Response) -> CommandView:
    """Show one command: card, decision, approvals, audit trail. The ETag is its version."""
    view = services.commands.view(reach, CommandId(command))
    _within(reach, view.record)
    response.headers["ETag"] = f'"{view.record.version}"'
    return view


@router.post("", status_code=202)
async def propose_command(
    request: CommandRequest,
    who: CurrentPrincipal,
    services: Services,
    response: Response,
    idempotency_key: IdempotencyKey = None,
    dry_run: Annotated[bool, Query(alias="dryRun")] = False,  # noqa: FBT002 # a query parameter has a name
) -> Proposed:
    """Propose a command on the governed path; `dryRun` plans and decides without recording it."""
    require(who, PROPOSING, request.tenant, request.environment)
    done = await services.proposing.propose(who, request, key=idempotency_key, dry_run=dry_run)
    if done.record is None:
        response.status_code = 200
    else:
        response.headers["Location"] = f"/v1/commands/{done.record.command.id}"
    return done


@router.post("/{command}/approve")
async def approve_command(
    command: Id, request: ClickRequest, who: CurrentPrincipal, services: Services
) -> DecideResult:
    """Approve exactly this digest."""
    click = await _click(services, who, command, request)
    require_person(who)
    return await services.deciding.decide(click, "approve")


@router.post("/{command}/reject")
async def reject_command(command: Id, request: ClickRequest, who: CurrentPrincipal, services: Services) -> DecideResult:
    """Reject exactly this digest."""
    click = await _click(services, who, command, request)
    require_person(who)
    return await services.deciding.decide(click, "reject")


@router.post("/{command}/narrow")
async def narrow_command(
    command: Id, request: NarrowRequest, who: CurrentPrincipal, services: Services
) -> DecideResult:
    """Replace the command by a child with narrower arguments, which gets its own preview and decision."""
    record = await _record(services, who, command)
    require_person(who)
    require(who, DECIDING, record.command.tenant, record.command.environment)
    return await services.deciding.narrow(_bound(who, record, request), request.arguments)


@router.post("/{command}/cancel")
async def cancel_command(command: Id, request: ClickRequest, who: CurrentPrincipal, services: Services) -> DecideResult:
    """Take the command back before it starts: its proposer, or who may decide there."""
    record = await _record(services, who, command)
    place = (record.command.tenant, record.command.environment)
    if who.id != record.command.proposer and not (who.kind == "person" and who.reach(DECIDING).allows(*place)):
        raise Refused("only the proposer or a person who decides there may cancel", reason="role")
    return await services.deciding.cancel(_bound(who, record, request))


async def _click(services: ApiServices, who: Principal, command: str, request: ClickRequest) -> Click:
    return _clicked(who, await _record(services, who, command), request)


async def _record(services: ApiServices, who: Principal, command: str) -> CommandRecord:
    reach = who.reach(READING_ROLES)
    record = await run_in_threadpool(services.commands.find, reach, CommandId(command))
    _within(reach, record)
    return record


def _clicked(who: Principal, record: CommandRecord, request: ClickRequest) -> Click:
    held = record.command
    return Click(who=who, tenant=held.tenant, command=held.id, digest=request.digest, note=request.note)


def _bound(who: Principal, record: CommandRecord, request: ClickRequest) -> Click:
    """A click that must name the stored digest, which never changes. Approvals check it where they are audited."""
    if request.digest != record.digest:
        raise Refused("the answer was given to another version of the command", reason="digest_mismatch")
    return _clicked(who, record, request)


def _within(reach: Reach, record: CommandRecord) -> None:
    if not reach.allows(record.command.tenant, record.command.environment):
        raise NotFound("no such command within reach")
