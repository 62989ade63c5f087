"""The feed: everything that left the outbox, in one order, kept so that a subscriber can take it again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, func, or_, select

from domain.events import OutgoingEvent
from domain.ids import TenantId
from domain.ports import Clock
from domain.subscriptions import FeedEntry
from storage.engine import Database
from storage.inserts import insert_once
from storage.outbox import Outbox, StoredEvent
from storage.tables.feed import feed

KEPT = timedelta(days=30)
"""How far back a subscriber can go: a month's reporting period."""
BATCH = 500


@dataclass(frozen=True, slots=True)
class Feed:
    """Moves events from the outbox into the feed, and reads it."""

    database: Database
    outbox: Outbox
    clock: Clock

    def publish(self) -> int:
        """Move what the outbox holds into the feed and forget what is older than a month; return how many moved.

        A crash in between moves an event again, which changes nothing: its id is in the feed already.
        """
        if self.database.rehearsing:
            return 0  # a rehearsal takes nothing out of the outbox: draining it would never end
        moved = 0
        while taken := self.outbox.drain(self._keep, BATCH):
            moved += taken
        if moved:
            with self.database.begin() as connection:
                connection.execute(delete(feed).where(feed.c.at < self.clock.now() - KEPT))
        return moved

    def after(self, tenant: TenantId, cursor: int, types: Sequence[str], *, limit: int) -> tuple[FeedEntry, ...]:
        """Return a tenant's next events behind a position whose types begin with one of the given, oldest first."""
        wanted = or_(*(feed.c.type.startswith(beginning, autoescape=True) for beginning in types))
        query = select(feed).where(feed.c.tenant == tenant, feed.c.seq > cursor, wanted)
        with self.database.read() as connection:
            rows = connection.execute(query.order_by(feed.c.seq).limit(limit)).all()
        return tuple(
            FeedEntry(seq=row.seq, id=row.id, at=row.at, event=OutgoingEvent.model_validate(row.body)) for row in rows
        )

    def newest(self, tenant: TenantId) -> int:
        """Return the position of a tenant's newest event, 0 where there is none."""
        with self.database.read() as connection:
            found = connection.execute(select(func.max(feed.c.seq)).where(feed.c.tenant == tenant)).scalar()
        return found or 0

    def _keep(self, events: Sequence[StoredEvent]) -> None:
        with self.database.begin() as connection:
            for one in events:
                row = {
                    "id": one.id, "tenant": one.event.tenant, "type": one.event.type, "at": one.at,
                    "body": one.event.model_dump(mode="json"),
                }  # fmt: skip
                insert_once(connection, feed, row)
