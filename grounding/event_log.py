"""The event log: SQL truth of everything that was told to us, in the order it arrived.

One way in (`accept`): an item is taken, is a duplicate, or stands in quarantine with the reason, all in one
transaction. Reads are scoped by tenant; `since` feeds consumers in order of arrival.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice
from typing import Literal

from sqlalchemy import Connection, Select, TextClause, func, select, text

from domain.base import TimeRange
from domain.envelope import read_event, write_event
from domain.events import Event, IncomingEvent
from domain.ids import EnvironmentId, EventKey, TenantId
from domain.intake import Channel, IntakeReport, QuarantinedInput, RefusedInput
from domain.ports import Clock, Ids
from domain.principals import EventSourceKey
from grounding import quarantine
from grounding.event_rows import event_of_row, held, insert_statement, row_of, stored_time
from grounding.intake_rules import Settled, Unfit, settle
from storage.engine import Database
from storage.tables.events import events

Tenants = frozenset[TenantId] | Literal["*"]
"""Whose events are read; `*` is for our own loop, never for a caller from outside."""
_WORD = re.compile(r"[^\W_]+")
BATCH = 2000
"""Events per transaction: past it the commit no longer shows, and garbage collection of the batch begins to."""
_WRITER_LOCK = 0x4F_50_53_4D
"""Advisory lock of the log's writers on PostgreSQL ("OPSM"): sequence numbers must become visible in order, or a
consumer would pass over one that commits late. SQLite has one writer anyway."""


class EventLog:
    """Takes events in and gives them back. Raises Unavailable when the store is gone."""

    def __init__(self, database: Database, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._insert = insert_statement(database.dialect)

    def accept(
        self,
        sender: EventSourceKey,
        items: Iterable[IncomingEvent | RefusedInput],
        *,
        channel: Channel = "events",
        lines: Sequence[int] = (),
    ) -> IntakeReport:
        """Take a batch: each item is accepted, a duplicate, or quarantined, and the report adds up to what was sent.

        Large batches are committed in parts. `lines` names the line of a file that each item stood in.
        """
        reports: list[IntakeReport] = []
        sent = 0
        source = iter(items)
        while batch := list(islice(source, BATCH)):
            reports.append(self._accept(sender, batch, channel, sent, lines))
            sent += len(batch)
        return IntakeReport.sum(reports)

    def accept_json(
        self, sender: EventSourceKey, bodies: Iterable[bytes], *, channel: Channel = "events"
    ) -> IntakeReport:
        """Take CloudEvents in JSON format, one document each."""
        return self.accept(sender, map(read_event, bodies), channel=channel)

    def refuse(self, sender: EventSourceKey, refused: RefusedInput, *, channel: Channel) -> str:
        """Keep an input that never became an event; return the quarantine id."""
        with self._database.begin() as connection:
            rows = quarantine.store(
                connection, self._ids, [(0, refused)], sender=sender, channel=channel, at=self._clock.now()
            )
        return rows[0].quarantine

    def quarantined(self, tenant: TenantId, *, limit: int = 100) -> tuple[QuarantinedInput, ...]:
        """Return the newest refused inputs of a tenant's senders."""
        with self._database.read() as connection:
            return quarantine.listed(connection, tenant, limit=limit)

    def _accept(
        self,
        sender: EventSourceKey,
        items: list[IncomingEvent | RefusedInput],
        channel: Channel,
        sent: int,
        lines: Sequence[int],
    ) -> IntakeReport:
        now = self._clock.now()
        taken: list[tuple[int, Settled]] = []
        refused: list[tuple[int, RefusedInput]] = []
        for position, item in enumerate(items, start=sent):
            settled = item if isinstance(item, RefusedInput) else settle(item, sender, now)
            if isinstance(settled, Settled):
                taken.append((position, settled))
            else:
                refused.append((position, settled if isinstance(settled, RefusedInput) else _as_refused(item, settled)))
        with self._database.begin() as connection:
            keys, duplicates, conflicts = self._write(connection, sender, taken, now)
            rows = quarantine.store(
                connection,
                self._ids,
                sorted([*refused, *conflicts], key=lambda row: row[0]),
                sender=sender,
                channel=channel,
                at=now,
                lines=lines,
            )
        return IntakeReport(accepted=len(keys), duplicates=duplicates, quarantined=rows, keys=tuple(keys))

    def _write(
        self, connection: Connection, sender: EventSourceKey, taken: list[tuple[int, Settled]], now: datetime
    ) -> tuple[list[EventKey], int, list[tuple[int, RefusedInput]]]:
        if not taken:
            return [], 0, []
        in_text = connection.dialect.name == "sqlite"
        if not in_text:
            connection.execute(select(func.pg_advisory_xact_lock(_WRITER_LOCK)))
        keys = [EventKey(self._ids.ulid()) for _ in taken]
        received = stored_time(now, text=in_text)
        rows = [row_of(i, k, received, sender.id, text_time=in_text) for (_, i), k in zip(taken, keys, strict=True)]
        written = connection.exec_driver_sql(self._insert, rows)
        if written.rowcount == len(taken):
            return keys, 0, []
        return _sort_out(connection, taken, keys)

    def get(self, tenant: TenantId, key: EventKey) -> Event | None:
        """Return one event of the tenant, or None."""
        found = self._events(select(events).where(events.c.tenant == tenant, events.c.key == key))
        return found[0] if found else None

    def window(
        self,
        tenant: TenantId,
        window: TimeRange,
        *,
        environment: EnvironmentId | None = None,
        services: Sequence[str] = (),
        types: Sequence[str] = (),
        limit: int = 1000,
    ) -> tuple[Event, ...]:
        """Return events whose time lies in the window, oldest first."""
        query = select(events).where(
            events.c.tenant == tenant, events.c.time >= window.start, events.c.time < window.end
        )
        if environment is not None:
            query = query.where(events.c.environmentid == environment)
        if services:
            query = query.where(events.c.serviceid.in_(services))
        if types:
            query = query.where(events.c.type.in_(types))
        return self._events(query.order_by(events.c.time, events.c.seq).limit(limit))

    def search(
        self, tenant: TenantId, words: str, *, window: TimeRange | None = None, limit: int = 50
    ) -> tuple[Event, ...]:
        """Return events that hold every word, newest first. Punctuation separates words; case does not count."""
        terms: list[str] = _WORD.findall(words)
        if not terms:
            return ()
        query = select(events).where(events.c.tenant == tenant, _matches(self._database.dialect, terms))
        if window is not None:
            query = query.where(events.c.time >= window.start, events.c.time < window.end)
        return self._events(query.order_by(events.c.time.desc(), events.c.seq.desc()).limit(limit))

    def since(self, cursor: int, tenants: Tenants, *, limit: int = 500) -> tuple[tuple[int, Event], ...]:
        """Return (sequence, event) after the cursor in order of arrival; the last sequence is the next cursor."""
        query = select(events).where(events.c.seq > cursor)
        if tenants != "*":
            query = query.where(events.c.tenant.in_(tenants))
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(events.c.seq).limit(limit)).mappings()
            return tuple((row["seq"], event_of_row(row)) for row in rows)

    def last(self) -> int:
        """Return the newest sequence number, 0 when the log is empty: the cursor of who wants only what comes."""
        with self._database.read() as connection:
            return connection.execute(select(func.coalesce(func.max(events.c.seq), 0))).scalar_one()

    def count(self, tenant: TenantId) -> int:
        """Return how many events of the tenant are in the log."""
        with self._database.read() as connection:
            return connection.execute(select(func.count()).where(events.c.tenant == tenant)).scalar_one()

    def _events(self, query: Select[tuple[object, ...]]) -> tuple[Event, ...]:
        with self._database.read() as connection:
            return tuple(event_of_row(row) for row in connection.execute(query).mappings())


def _sort_out(
    connection: Connection, taken: list[tuple[int, Settled]], keys: list[EventKey]
) -> tuple[list[EventKey], int, list[tuple[int, RefusedInput]]]:
    """Tell the rows that went in from those whose identity was taken: same body is a duplicate, another a conflict."""
    there = held(connection, [item for _, item in taken])
    accepted: list[EventKey] = []
    duplicates = 0
    conflicts: list[tuple[int, RefusedInput]] = []
    for (position, item), key in zip(taken, keys, strict=True):
        first_key, first_digest = there[(item.tenant, item.event.source, item.id)]
        if first_key == key:
            accepted.append(key)
        elif first_digest == item.digest:
            duplicates += 1
        else:
            unfit = Unfit("conflict", f"this source and id already stand for another body: event {first_key}")
            conflicts.append((position, _as_refused(item.event, unfit)))
    return accepted, duplicates, conflicts


def _as_refused(item: IncomingEvent | RefusedInput, unfit: Unfit) -> RefusedInput:
    if isinstance(item, RefusedInput):
        return item
    return RefusedInput(reason=unfit.reason, detail=unfit.detail, body=_body(item))


def _body(event: IncomingEvent) -> bytes:
    try:
        return write_event(event)
    except ValueError:  # half a surrogate pair or NaN: the very reason it is refused
        return repr(event).encode(errors="replace")


def _matches(dialect: str, terms: list[str]) -> TextClause:
    if dialect == "sqlite":
        match = " ".join(f'"{term}"' for term in terms)
        return text("events.seq IN (SELECT rowid FROM events_text WHERE events_text MATCH :words)").bindparams(
            words=match
        )
    return text("events.words @@ plainto_tsquery('simple', :words)").bindparams(words=" ".join(terms))
