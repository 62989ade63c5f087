"""What workers found: open and resolved, each tenant its own."""

# ruff: noqa: FAST003  # the environment in the path is read by the `access` dependency

from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response

from domain.findings import OWNERS, FindingRecord, Ownership
from domain.ids import PLATFORM
from runtime.api.caller import Here, Services, Who
from runtime.findings import page

router = APIRouter(prefix="/runtime", tags=["findings"])
MOST = 500
"""Findings on one page at most."""


@router.get("/findings/{environment}")
async def findings(
    runtime: Services,
    here: Here,
    request: Request,
    response: Response,
    status: Annotated[Literal["open", "resolved"] | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = MOST,
    after: Annotated[str | None, Query(max_length=400)] = None,
) -> list[FindingRecord]:
    """List what workers found, what was seen last first; where there is more, `Link` names the next page (RFC 8288)."""
    tenants = None if here.tenant == PLATFORM else [here.tenant]
    with runtime.database.read() as connection:
        found, more = page(connection, here.environment, tenants, status=status, limit=limit, after=after)
    if more is not None:
        asked = {"limit": limit, "after": more} | ({"status": status} if status else {})
        response.headers["Link"] = f'<{request.url.path}?{urlencode(asked)}>; rel="next"'
    return found


@router.get("/finding-owners")
async def owners(who: Who) -> tuple[Ownership, ...]:
    """Return, per kind of finding, which service computes it, which worker detects it and who proposes."""
    del who
    return OWNERS
