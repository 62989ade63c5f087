"""`/runtime/restore-points` and `/runtime/restores`: take, list and try restore points, restore a tenant from one.

Writes go through the one door like any other; what was accepted is followed as an operation.
"""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from domain.arguments import RestorePointCreate, RestoreRun
from domain.backup import RestorePoint
from domain.base import Slug
from domain.command_kinds import CommandKind
from domain.ids import PLATFORM
from domain.runtime_api import RATIONALE_LENGTH, ProposedAnswer
from runtime.api.caller import Acting, Services, Who, enter, enter_writing
from runtime.api.frame import Framed, WriteAnswer, answer, write_of
from runtime.meaning import operation_meaning
from runtime.services.backup.points import Points

router = APIRouter(prefix="/runtime", tags=["backup"])
Environment = Annotated[Slug, Query()]


class RestorePointBody(RestorePointCreate):
    """Take a restore point."""

    environment: Slug
    rationale: str = Field(default="", max_length=RATIONALE_LENGTH)


class RestoreBody(RestoreRun):
    """Restore a tenant; as a drill unless it is said to be for real."""

    environment: Slug
    drill: bool = True
    rationale: str = Field(default="", max_length=RATIONALE_LENGTH)


@router.post("/restore-points", responses={202: {"model": ProposedAnswer}})
async def take(  # a write's frame
    runtime: Services, who: Who, tenant: Acting, framed: Framed, body: RestorePointBody, response: Response
) -> WriteAnswer:
    """Take one consistent cut over a tenant's data stores."""
    here = await enter_writing(runtime, who, tenant, body.environment)
    kind: CommandKind = "restore_point.create"
    arguments = RestorePointCreate.model_validate(body.model_dump(exclude={"environment", "rationale"}))
    write = write_of(here, framed, "restore-points", body, body.rationale)
    meaning = operation_meaning(kind, arguments, here.environment)
    return answer(response, await runtime.door.operate(write, meaning, here.view))


@router.post("/restores", responses={202: {"model": ProposedAnswer}})
async def restore(
    runtime: Services, who: Who, tenant: Acting, framed: Framed, body: RestoreBody, response: Response
) -> WriteAnswer:
    """Restore a tenant from a point: into copies that are compared and thrown away, or in place."""
    here = await enter_writing(runtime, who, tenant, body.environment)
    kind: CommandKind = "restore.drill" if body.drill else "restore.run"
    arguments = RestoreRun.model_validate(body.model_dump(exclude={"environment", "rationale", "drill"}))
    write = write_of(here, framed, "restores", body, body.rationale)
    meaning = operation_meaning(kind, arguments, here.environment)
    return answer(response, await runtime.door.operate(write, meaning, here.view))


@router.get("/restore-points")
async def points(runtime: Services, who: Who, tenant: Acting, environment: Environment) -> tuple[RestorePoint, ...]:
    """List the tenant's restore points, newest first; the platform sees everybody's manifests."""
    here = await enter(runtime, who, tenant, environment)
    return Points(runtime.parts).listed(here.environment, None if tenant == PLATFORM else [tenant])


@router.get("/restore-points/{point}")
async def point(
    runtime: Services, who: Who, tenant: Acting, environment: Environment, point: Annotated[Slug, Path()]
) -> RestorePoint:
    """Return one restore point with what its newest trial restore found."""
    here = await enter(runtime, who, tenant, environment)
    return Points(runtime.parts).seen(here.environment, here.tenant, point)
