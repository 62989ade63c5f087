"""What is on record: the audit's verification, lessons, and the published schemas."""

from fastapi import APIRouter
from pydantic import JsonValue

from api.auth import CurrentPrincipal, ReadingReach
from api.ports import Services
from api.scopes import AUDITING, EVERYWHERE, Limit, TenantQuery, require
from api.views import AuditView
from domain.outcomes import Lesson
from domain.schema import schemas

router = APIRouter(prefix="/v1", tags=["records"])


@router.get("/audit/verify")
def verify_audit(tenant: TenantQuery, who: CurrentPrincipal, services: Services) -> AuditView:
    """Verify a tenant's audit chain: every link, text, checkpoint and anchor."""
    require(who, AUDITING, tenant, EVERYWHERE)
    return services.records.verify(tenant)


@router.get("/lessons")
def list_lessons(reach: ReadingReach, services: Services, limit: Limit = 100) -> list[Lesson]:
    """List the newest lessons of tenants within reach, newest first."""
    return [lesson for lesson in services.records.lessons(reach, limit=limit) if reach.allows(lesson.tenant)]


@router.get("/schema")
def show_schemas(_who: CurrentPrincipal) -> dict[str, dict[str, JsonValue]]:
    """Show every published JSON Schema by name."""
    return schemas()
