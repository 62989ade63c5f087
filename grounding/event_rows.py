"""Events as rows: the one place that knows the order of columns, and how a row becomes an Event again.

Rows are bound by position straight at the driver: at tens of thousands of events a second the per-row work of a
general binding layer would cost more than the insert.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, RowMapping, select

from domain.base import canonical_text
from domain.events import Dimensions, Event
from domain.ids import EventKey, TenantId
from grounding.intake_rules import Settled
from storage.tables.events import events

_DIMENSIONS = tuple(Dimensions.model_fields)
_COLUMNS = (
    "key",
    "tenant",
    "source",
    "id",
    "type",
    "subject",
    "time",
    "received_at",
    *_DIMENSIONS,
    "extensions",
    "data",
    "trust",
    "body_digest",
    "sender",
)
_JSON_COLUMNS = frozenset({"extensions", "data"})
_CHUNK = 500
"""Ids asked for at once, half of SQLite's oldest limit of 999 variables."""

Row = tuple[str | datetime | None, ...]


def insert_statement(dialect: str) -> str:
    """Return the insert that skips a row whose (tenant, source, id) is already there."""
    mark, cast = ("?", "?") if dialect == "sqlite" else ("%s", "CAST(%s AS jsonb)")
    values = ", ".join(cast if name in _JSON_COLUMNS else mark for name in _COLUMNS)
    names = ", ".join(f'"{name}"' for name in _COLUMNS)
    return f"INSERT INTO events ({names}) VALUES ({values}) ON CONFLICT (tenant, source, id) DO NOTHING"  # noqa: S608 names are ours


def row_of(item: Settled, key: EventKey, received_at: str | datetime, sender: str, *, text_time: bool) -> Row:
    """Return one row in the order of the insert statement."""
    event = item.event
    return (
        key,
        item.tenant,
        event.source,
        item.id,
        event.type,
        event.subject,
        stored_time(item.time, text=text_time),
        received_at,
        *event.dimensions.__dict__.values(),
        canonical_text(dict(event.extensions)) if event.extensions else None,
        None if event.data is None else item.data,
        item.trust,
        item.digest,
        sender,
    )


def stored_time(value: datetime, *, text: bool) -> str | datetime:
    """Return the instant (UTC) as the driver stores it: the text form of `UtcTime`, or the value itself."""
    return value.isoformat(timespec="microseconds")[:26] + "Z" if text else value


def event_of_row(row: RowMapping) -> Event:
    """Return the accepted event a row holds."""
    return Event(
        key=EventKey(row["key"]),
        tenant=TenantId(row["tenant"]),
        source=row["source"],
        id=row["id"],
        type=row["type"],
        subject=row["subject"],
        time=row["time"],
        received_at=row["received_at"],
        dimensions=Dimensions.model_validate({name: row[name] for name in _DIMENSIONS}),
        extensions=row["extensions"] or {},
        data=row["data"],
        trust=row["trust"],
        body_digest=row["body_digest"],
    )


def held(connection: Connection, items: Sequence[Settled]) -> dict[tuple[str, str, str], tuple[str, str]]:
    """Return (key, body digest) of the rows that hold the identities of these items."""
    found: dict[tuple[str, str, str], tuple[str, str]] = {}
    for tenant, source in {(item.tenant, item.event.source) for item in items}:
        ids = [item.id for item in items if item.tenant == tenant and item.event.source == source]
        for start in range(0, len(ids), _CHUNK):
            query = select(events.c.id, events.c.key, events.c.body_digest).where(
                events.c.tenant == tenant, events.c.source == source, events.c.id.in_(ids[start : start + _CHUNK])
            )
            found |= {(tenant, source, row.id): (row.key, row.body_digest) for row in connection.execute(query)}
    return found
