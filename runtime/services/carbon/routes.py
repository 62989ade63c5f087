"""`GET /runtime/carbon/{environment}`: energy and emissions of the caller's part, and what would emit less."""

# ruff: noqa: FAST003  # the environment in the path is read by the `access` dependency

from typing import Annotated

from fastapi import APIRouter, Query

from domain.base import TimeRange
from domain.carbon import CarbonReport
from runtime.api.caller import Here, Services
from runtime.services.carbon.service import CarbonService
from runtime.services.cost.routes import LENGTHS, Window

router = APIRouter(prefix="/runtime/carbon", tags=["carbon"])


@router.get("/{environment}")
async def carbon(runtime: Services, here: Here, window: Annotated[Window, Query()] = "day") -> CarbonReport:
    """Return what the caller's part of the environment emitted in the window that ends now."""
    now = runtime.clock.now()
    topology = await runtime.target.topology(here.environment)
    asked = TimeRange(start=now - LENGTHS[window], end=now)
    return await CarbonService(runtime.parts).report(here.environment, here.tenant, topology, asked)
