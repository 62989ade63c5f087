"""What workers found, kept: what stands in one kind of document, what is over in another, and that for a while.

So a look reads what stands and nothing else, and a list reads one page, however much has been found since.
"""

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Literal

from sqlalchemy import Connection

from domain.errors import Invalid
from domain.findings import FindingRecord
from domain.ids import EnvironmentId, TenantId
from runtime.documents import Document, Documents, Place

FINDINGS: Final = Documents("finding", FindingRecord)
RESOLVED: Final = Documents("finding_resolved", FindingRecord)
KEPT_FOR: Final = timedelta(days=90)
"""A quarter to look back at what was resolved; events and audit keep what was told and done. What stands is kept."""
Status = Literal["open", "resolved"]
_STORES: Final[dict[Status, Documents[FindingRecord]]] = {"open": FINDINGS, "resolved": RESOLVED}


def standing(connection: Connection, environment: EnvironmentId) -> dict[str, FindingRecord]:
    """Return what stands, by the finding's id."""
    return {d.body.finding.id: d.body for d in FINDINGS.list(connection, environment) if d.body.status == "open"}


def keep(connection: Connection, record: FindingRecord, at: datetime) -> None:
    """Write a record where it belongs; one that is resolved stands no longer."""
    finding = record.finding
    place = Place(environment=finding.environment, tenant=finding.tenant)
    _STORES[record.status].put(connection, place, finding.id, record, at=at)
    if record.status == "resolved":
        FINDINGS.delete(connection, place, finding.id)


def forget(connection: Connection, environment: EnvironmentId, now: datetime) -> int:
    """Remove what was resolved longer ago than it is kept; return how much."""
    return RESOLVED.forget(connection, environment, before=now - KEPT_FOR)


def page(
    connection: Connection,
    environment: EnvironmentId,
    tenants: Sequence[TenantId] | None,
    *,
    status: Status | None,
    limit: int,
    after: str | None,
) -> tuple[list[FindingRecord], str | None]:
    """Return the records seen last, the newest first, and the cursor of the next page, None where there is none.

    `after` is a cursor of an earlier page. Raises Invalid for one that is none.
    """
    since = None if after is None else _read(after)
    stores = _STORES.values() if status is None else (_STORES[status],)
    found: list[Document[FindingRecord]] = []
    for store in stores:
        found += store.newest(connection, environment, tenants, limit=limit + 1, after=since)
    found.sort(key=lambda d: (d.at, d.id), reverse=True)
    told = found[:limit]
    more = _cursor(told[-1]) if len(found) > limit else None
    return [document.body for document in told], more


def _cursor(last: Document[FindingRecord]) -> str:
    return base64.urlsafe_b64encode(f"{last.at.isoformat()}|{last.id}".encode()).decode()


def _read(cursor: str) -> tuple[datetime, str]:
    try:
        at, bar, name = base64.b64decode(cursor.encode(), altchars=b"-_", validate=True).decode().partition("|")
        instant = datetime.fromisoformat(at)
    except (binascii.Error, ValueError) as error:
        raise Invalid("this is no cursor that a page gave", reason="cursor_invalid") from error
    if not bar or instant.tzinfo is None:
        raise Invalid("this is no cursor that a page gave", reason="cursor_invalid")
    return instant, name
