"""Outbox: events leave only when the change they tell of has committed, because both are one transaction.

A consumer takes a batch under a lease, handles it and acknowledges it. A crash in between delivers again, so
consumers are idempotent; `first_time` gives them the memory for it.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, func, or_, select, update

from domain.base import Frozen, UtcDatetime
from domain.events import OutgoingEvent
from domain.ports import Clock, CrashPoints, Ids
from storage.engine import Database
from storage.inserts import insert_once
from storage.tables.governance import consumed, outbox


class StoredEvent(Frozen):
    """An outgoing event with the identity and instant it got in the outbox."""

    id: str
    at: UtcDatetime
    event: OutgoingEvent


Handler = Callable[[Sequence[StoredEvent]], None]


class Outbox:
    """At-least-once delivery from the database. Order holds within one drain; duplicates are allowed."""

    def __init__(
        self, database: Database, clock: Clock, ids: Ids, crash: CrashPoints, *, lease_s: float = 30.0
    ) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._crash = crash
        self._lease = timedelta(seconds=lease_s)

    def append(self, connection: Connection, event: OutgoingEvent) -> str:
        """Store the event in the caller's transaction and return its id."""
        key = self._ids.ulid()
        row = {"id": key, "tenant": event.tenant, "at": self._clock.now(), "body": event.model_dump(mode="json")}
        connection.execute(outbox.insert().values(**row, deliveries=0))
        return key

    def drain(self, handler: Handler, batch: int = 100) -> int:
        """Take up to `batch` events, hand them over, acknowledge them; return how many. Errors leave them for later."""
        events = self.take(batch)
        if not events:
            return 0
        handler(events)
        self._crash.reach("outbox.before_ack", first=events[0].id)
        self.ack([event.id for event in events])
        return len(events)

    def take(self, batch: int = 100) -> tuple[StoredEvent, ...]:
        """Lease the oldest free events to the caller; another taker skips them until the lease ends."""
        now = self._clock.now()
        free = or_(outbox.c.leased_until.is_(None), outbox.c.leased_until <= now)
        with self._database.begin() as connection:
            rows = connection.execute(
                select(outbox.c.seq, outbox.c.id, outbox.c.at, outbox.c.body)
                .where(free)
                .order_by(outbox.c.seq)
                .limit(batch)
                .with_for_update(skip_locked=True)
            ).all()
            if rows:
                connection.execute(
                    update(outbox)
                    .where(outbox.c.seq.in_([row.seq for row in rows]))
                    .values(leased_until=now + self._lease, deliveries=outbox.c.deliveries + 1)
                )
        return tuple(StoredEvent(id=r.id, at=r.at, event=OutgoingEvent.model_validate(r.body)) for r in rows)

    def ack(self, ids: Sequence[str]) -> None:
        """Forget events that were handled; unknown ids are fine."""
        with self._database.begin() as connection:
            connection.execute(delete(outbox).where(outbox.c.id.in_(ids)))

    def waiting(self) -> int:
        """Return how many events have not been acknowledged."""
        with self._database.read() as connection:
            return connection.execute(select(func.count()).select_from(outbox)).scalar_one()


def first_time(connection: Connection, consumer: str, event: str, at: datetime) -> bool:
    """Record in the consumer's transaction that it took the event in; False when it already had."""
    return insert_once(connection, consumed, {"consumer": consumer, "event": event, "at": at})
