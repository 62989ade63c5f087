"""Shared commands: what the platform does that touches a tenant, as much of it as is the tenant's own.

Read only. The platform's people propose and answer these; their whole is at `/v1/commands`.
"""

from typing import Annotated

from fastapi import APIRouter, Query

from api.auth import ReadingReach
from api.ports import Services
from api.scopes import Id, Limit
from domain.cards import SharedCommand
from domain.commands import State
from domain.errors import NotFound
from domain.ids import CommandId
from domain.principals import Reach

router = APIRouter(prefix="/v1/shared-commands", tags=["commands"])


@router.get("")
async def list_shared_commands(
    reach: ReadingReach,
    services: Services,
    state: Annotated[tuple[State, ...], Query()] = (),
    limit: Limit = 100,
) -> list[SharedCommand]:
    """List the newest that touch a tenant within reach, newest first; `state` may be given several times."""
    found = await services.shared.list(reach, states=state, limit=limit)
    return [part for part in found if _within(reach, part)]


@router.get("/{command}")
async def show_shared_command(command: Id, reach: ReadingReach, services: Services) -> SharedCommand:
    """Show one tenant's part of one command."""
    part = await services.shared.find(reach, CommandId(command))
    if not _within(reach, part):
        raise NotFound("no such command")
    return part


def _within(reach: Reach, part: SharedCommand) -> bool:
    return bool(part.tenants) and all(reach.allows(tenant, part.environment) for tenant in part.tenants)
