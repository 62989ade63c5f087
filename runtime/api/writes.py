"""The writes: fields of the desired state, and operations without lasting state. Each goes through the door."""

# the environment in every path is read by the `access` dependency

from fastapi import APIRouter, Response

from domain.runtime_api import OperationBody, PatchBody, ProposedAnswer
from runtime.api.caller import MayWrite, Services
from runtime.api.frame import Framed, WriteAnswer, answer, write_of
from runtime.meaning import operation_meaning

router = APIRouter(prefix="/runtime/environments/{environment}", tags=["writes"])


@router.patch("/desired-state", responses={202: {"model": ProposedAnswer}})
async def patch_desired_state(
    runtime: Services, here: MayWrite, framed: Framed, body: PatchBody, response: Response
) -> WriteAnswer:
    """Write fields of the desired state."""
    write = write_of(here, framed, "desired-state", body, body.rationale)
    return answer(response, await runtime.door.patch(write, body.patches, here.view))


@router.post("/operations", responses={202: {"model": ProposedAnswer}})
async def post_operation(
    runtime: Services, here: MayWrite, framed: Framed, body: OperationBody, response: Response
) -> WriteAnswer:
    """Do an operation without lasting state; one that takes long is followed at its address."""
    write = write_of(here, framed, "operations", body, body.rationale)
    meaning = operation_meaning(body.kind, body.arguments, here.environment)
    return answer(response, await runtime.door.operate(write, meaning, here.view))
