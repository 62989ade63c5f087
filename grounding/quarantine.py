"""Quarantine: every input that was not taken, with the reason, so that nothing is dropped silently.

A row keeps the first bytes of the body as text for people, and the digest and size of all of it. Nothing in here is
ever parsed again or shown to an agent.
"""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256

from sqlalchemy import Connection, RowMapping, insert, select

from domain.ids import TenantId
from domain.intake import Channel, QuarantinedInput, Refusal, RefusedInput
from domain.ports import Ids
from storage.tables.events import quarantine

KEPT_BYTES = 4096
"""As much of a refused body as a person needs to recognise its sender: one page."""
DETAIL_CHARS = 500


def store(
    connection: Connection,
    ids: Ids,
    refused: Sequence[tuple[int, RefusedInput]],
    *,
    tenant: TenantId | None,
    source: str,
    sender: str,
    channel: Channel,
    at: datetime,
) -> tuple[Refusal, ...]:
    """Write one row per refused input within the caller's transaction; return the refusals in order."""
    if not refused:
        return ()
    rows = [
        {
            "id": ids.ulid(),
            "tenant": tenant,
            "received_at": at,
            "source": source[:512],
            "sender": sender,
            "channel": channel,
            "reason": item.reason,
            "detail": _printable(item.detail)[:DETAIL_CHARS],
            "body": _printable(item.body[:KEPT_BYTES].decode(errors="replace")),
            "body_digest": "sha256:" + sha256(item.body).hexdigest(),
            "size": len(item.body) if item.size is None else item.size,
            "line": item.line,
        }
        for _, item in refused
    ]
    connection.execute(insert(quarantine), rows)
    return tuple(
        Refusal(position=position, reason=item.reason, detail=str(row["detail"]), quarantine=str(row["id"]))
        for (position, item), row in zip(refused, rows, strict=True)
    )


def _printable(text: str) -> str:
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()


def listed(connection: Connection, tenant: TenantId | None, *, limit: int = 100) -> tuple[QuarantinedInput, ...]:
    """Return the newest rows of one tenant, or with None those of senders nobody knew."""
    query = (
        select(quarantine).where(quarantine.c.tenant == tenant).order_by(quarantine.c.received_at.desc()).limit(limit)
    )
    return tuple(_of_row(row) for row in connection.execute(query).mappings())


def _of_row(row: RowMapping) -> QuarantinedInput:
    return QuarantinedInput.model_validate({name: row[name] for name in QuarantinedInput.model_fields})
