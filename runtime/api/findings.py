"""What workers found: open and resolved, each tenant its own."""

# ruff: noqa: FAST003  # the environment in the path is read by the `access` dependency

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from domain.findings import OWNERS, FindingRecord, Ownership
from domain.ids import PLATFORM
from runtime.api.caller import Here, Services, Who
from runtime.worker_runner import FINDINGS

router = APIRouter(prefix="/runtime", tags=["findings"])
MOST = 500
"""Findings answered at most, the newest."""


@router.get("/findings/{environment}")
async def findings(
    runtime: Services, here: Here, status: Annotated[Literal["open", "resolved"] | None, Query()] = None
) -> list[FindingRecord]:
    """List what workers found, the newest first."""
    tenants = None if here.tenant == PLATFORM else [here.tenant]
    with runtime.database.read() as connection:
        kept = [document.body for document in FINDINGS.list(connection, here.environment, tenants)]
    wanted = [one for one in kept if status in {None, one.status}]
    return sorted(wanted, key=lambda one: (one.first_seen, one.finding.id), reverse=True)[:MOST]


@router.get("/finding-owners")
async def owners(who: Who) -> tuple[Ownership, ...]:
    """Return, per kind of finding, which service computes it, which worker detects it and who proposes."""
    del who
    return OWNERS
