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
from domain.principals import EventSourceKey
from storage.tables.events import quarantine

KEPT_BYTES = 4096
"""As much of a refused body as a person needs to recognise its sender: one page."""
DETAIL_CHARS = 500


def store(
    connection: Connection,
    ids: Ids,
    refused: Sequence[tuple[int, RefusedInput]],
    *,
    sender: EventSourceKey,
    channel: Channel,
    at: datetime,
    lines: Sequence[int] = (),
) -> tuple[Refusal, ...]:
    """Write one row per refused input, under its sender's first tenant; return the refusals in order.

    `refused` holds (position in the batch, input); `lines` gives the line of a file for each position.
    """
    if not refused:
        return ()
    rows = [
        {
            "id": ids.ulid(),
            "tenant": sender.tenants[0],
            "received_at": at,
            "source": sender.source,
            "sender": sender.id,
            "channel": channel,
            "reason": item.reason,
            "detail": _printable(item.detail)[:DETAIL_CHARS],
            "body": _printable(item.body[:KEPT_BYTES].decode(errors="replace")),
            "body_digest": "sha256:" + sha256(item.body).hexdigest(),
            "size": len(item.body) if item.size is None else item.size,
            "line": lines[position] if item.line is None and lines else item.line,
        }
        for position, item in refused
    ]
    connection.execute(insert(quarantine), rows)
    return tuple(
        Refusal(position=position, reason=item.reason, detail=str(row["detail"]), quarantine=str(row["id"]))
        for (position, item), row in zip(refused, rows, strict=True)
    )


def _printable(text: str) -> str:
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()


def listed(connection: Connection, tenant: TenantId, *, limit: int = 100) -> tuple[QuarantinedInput, ...]:
    """Return the newest rows of one tenant."""
    query = (
        select(quarantine).where(quarantine.c.tenant == tenant).order_by(quarantine.c.received_at.desc()).limit(limit)
    )
    return tuple(_of_row(row) for row in connection.execute(query).mappings())


def _of_row(row: RowMapping) -> QuarantinedInput:
    return QuarantinedInput.model_validate({name: row[name] for name in QuarantinedInput.model_fields})
