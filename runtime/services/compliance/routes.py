"""`GET /runtime/compliance/{environment}`: the posture of the tenant's own resources, as ours or as OSCAL."""

# ruff: noqa: FAST003  # the environment in the path is read by the `access` dependency

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from domain.compliance import CompliancePosture
from domain.desired import EnvironmentState
from runtime import state
from runtime.api.caller import Access, Here, Services
from runtime.services.compliance.controls import policy_digest
from runtime.services.compliance.estate import Estate
from runtime.services.compliance.judging import judge, state_posture
from runtime.services.compliance.oscal import AssessmentResultsDocument, assessment_results

router = APIRouter(prefix="/runtime/compliance", tags=["compliance"])


@router.get("/{environment}", response_model=CompliancePosture | AssessmentResultsDocument)
async def compliance(
    runtime: Services, here: Here, form: Annotated[Literal["posture", "oscal"], Query(alias="format")] = "posture"
) -> CompliancePosture | Response:
    """Judge desired and live state of the tenant's own resources by the control table."""
    await runtime.convergence.absorb(here.environment)
    with runtime.database.read() as connection:
        desired = here.view.desired(state.current(connection, here.environment))
    now = runtime.clock.now()
    wanted = _estate(here, desired.effective(now), now)
    live = _estate(here, here.view.state(await runtime.target.live(here.environment)), now)
    # Nothing drifted: what was found of the one holds of the other.
    first = judge(wanted)
    second = judge(live, known=first if live.state == wanted.state else ())
    posture = CompliancePosture(
        environment=here.environment,
        tenant=here.tenant,
        at=now,
        policy=policy_digest(),
        states=(state_posture("desired", wanted, first), state_posture("live", live, second)),
    )
    if form == "posture":
        return posture
    document = assessment_results(posture)
    return Response(document.model_dump_json(by_alias=True, exclude_none=True), media_type="application/json")


def _estate(here: Access, found: EnvironmentState, at: datetime) -> Estate:
    return Estate(found, here.view.own(), {b.tenant: b for b in here.view.bindings()}, at)
