"""`GET /runtime/compliance/{environment}`: the posture of the tenant's own resources, as ours or as OSCAL."""

# ruff: noqa: FAST003  # the environment in the path is read by the `access` dependency

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from domain.compliance import CompliancePosture, Waiver
from domain.ids import PLATFORM
from runtime.api.caller import Here, Services
from runtime.services.compliance.oscal import AssessmentResultsDocument, assessment_results
from runtime.services.compliance.posture import posture
from runtime.services.compliance.waivers import waivers_of

router = APIRouter(prefix="/runtime/compliance", tags=["compliance"])


@router.get("/{environment}", response_model=CompliancePosture | AssessmentResultsDocument)
async def compliance(
    runtime: Services, here: Here, form: Annotated[Literal["posture", "oscal"], Query(alias="format")] = "posture"
) -> CompliancePosture | Response:
    """Judge desired and live state of the tenant's own resources by the controls of the policy set."""
    await runtime.convergence.absorb(here.environment)
    found = await posture(runtime.parts, here.environment, here.tenant)
    if form == "posture":
        return found
    document = assessment_results(found)
    return Response(document.model_dump_json(by_alias=True, exclude_none=True), media_type="application/json")


@router.get("/{environment}/waivers")
async def waivers(runtime: Services, here: Here) -> tuple[Waiver, ...]:
    """Return the tenant's waivers, ended ones too; every tenant's to the platform."""
    return waivers_of(runtime.database, here.environment, None if here.tenant == PLATFORM else (here.tenant,))
