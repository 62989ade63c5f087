"""Incidents: what is wrong, what was seen of it, what agents made of it."""

from fastapi import APIRouter

from api.auth import ReadingReach
from api.ports import Services
from api.scopes import Id, Limit
from api.views import IncidentView
from domain.errors import NotFound
from domain.ids import IncidentId
from domain.incidents import Incident, IncidentStatus

router = APIRouter(prefix="/v1/incidents", tags=["incidents"])


@router.get("")
def list_incidents(
    reach: ReadingReach, services: Services, status: IncidentStatus | None = None, limit: Limit = 100
) -> list[Incident]:
    """List the newest incidents within reach, newest first."""
    found = services.incidents.list(reach, status=status, limit=limit)
    return [incident for incident in found if reach.allows(incident.tenant, incident.environment)]


@router.get("/{incident}")
def show_incident(incident: Id, reach: ReadingReach, services: Services) -> IncidentView:
    """Show one incident with its evidence pack, diagnosis, runs and commands."""
    view = services.incidents.get(reach, IncidentId(incident))
    if not reach.allows(view.incident.tenant, view.incident.environment):
        raise NotFound("no such incident within reach")
    mine = tuple(r for r in view.commands if reach.allows(r.command.tenant, r.command.environment))
    return view.model_copy(update={"commands": mine})
