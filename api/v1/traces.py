"""Traces: what one event set off, from the first signal to the outcome."""

from fastapi import APIRouter

from api.auth import ReadingReach
from api.ports import Services
from api.scopes import Id
from api.views import TraceView
from domain.errors import NotFound

router = APIRouter(prefix="/v1/traces", tags=["records"])


@router.get("/{subject}")
def show_trace(subject: Id, reach: ReadingReach, services: Services) -> TraceView:
    """Show the trace of that id, or the one an incident, a command or a finding belongs to."""
    view = services.traces.find(reach, subject)
    mine = tuple(line for line in view.lines if reach.allows(line.tenant))
    if not mine:
        raise NotFound("no such trace, incident, command or finding")
    return view.model_copy(update={"lines": mine})
