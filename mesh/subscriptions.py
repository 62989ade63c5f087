"""Subscriptions: kept per tenant, delivered in order, tried again with growing pauses, never silently given up.

Delivery is at least once. What a receiver will never take, or did not take in time, becomes a dead letter and the rest
goes on; a replay starts again from any position.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, delete, select, update

from domain.errors import Invalid, NotFound, OpsmeshError, Unavailable
from domain.ids import PrincipalId, TenantId
from domain.ports import Clock, FeedbackSink, Ids
from domain.subscriptions import DELIVERY_PROBLEMS, DeadLetter, FeedEntry, Subscriber, Subscription, SubscriptionForm
from governance.audit import AuditEntry, AuditLog
from mesh.feed import Feed
from storage.engine import Database
from storage.inserts import insert_once
from storage.tables.feed import dead_letters, subscriptions

FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=10), timedelta(hours=1)
MAX_ATTEMPTS = 12
"""Pauses double from ten seconds to an hour: half a day in all, as long as a receiver may be down unattended."""
PER_TURN = 50
"""Events per subscriber and turn: one busy subscriber does not starve the others."""
PER_TENANT = 20
"""Subscriptions a tenant may hold (our choice: a handful of platforms, with room)."""


@dataclass(frozen=True, slots=True)
class Subscriptions:
    """Keeps subscriptions and brings each forward."""

    database: Database
    feed: Feed
    sinks: Mapping[SubscriptionForm, FeedbackSink]
    audit: AuditLog
    clock: Clock
    ids: Ids
    key: str
    """Public key of the signer."""

    def public_key(self) -> str:
        """Return the key deliveries are verified with."""
        return self.key

    def add(self, subscriber: Subscriber, *, by: PrincipalId) -> Subscription:
        """Store a subscription that starts with what happens from now on. Raises Invalid beyond a tenant's limit."""
        if len(self.list(subscriber.tenant)) >= PER_TENANT:
            raise Invalid(f"a tenant holds {PER_TENANT} subscriptions at most", reason="too_many")
        self.feed.publish()
        newest = self.feed.newest(subscriber.tenant)
        made = Subscription(
            id=self.ids.ulid(), subscriber=subscriber, created_by=by, created_at=self.clock.now(), cursor=newest
        )
        with self.database.begin() as connection:
            row = {"id": made.id, "tenant": subscriber.tenant, "body": made.model_dump(mode="json"), "cursor": newest}
            connection.execute(subscriptions.insert().values(row))
            self._audited(connection, made, "subscription.added", by)
        return made

    def list(self, tenant: TenantId) -> tuple[Subscription, ...]:
        """Return a tenant's subscriptions, oldest first."""
        with self.database.read() as connection:
            rows = connection.execute(
                select(subscriptions.c.body).where(subscriptions.c.tenant == tenant).order_by(subscriptions.c.id)
            )
            return tuple(Subscription.model_validate(row.body) for row in rows)

    def get(self, tenant: TenantId, name: str) -> Subscription:
        """Return one subscription. Raises NotFound, also where it is another tenant's."""
        found = next((one for one in self.list(tenant) if one.id == name), None)
        if found is None:
            raise NotFound("no such subscription")
        return found

    def remove(self, tenant: TenantId, name: str, *, by: PrincipalId) -> None:
        """End a subscription; its dead letters go with it. Raises NotFound."""
        found = self.get(tenant, name)
        with self.database.begin() as connection:
            connection.execute(delete(subscriptions).where(subscriptions.c.id == found.id))
            connection.execute(delete(dead_letters).where(dead_letters.c.subscription == found.id))
            self._audited(connection, found, "subscription.removed", by)

    def replay(self, tenant: TenantId, name: str, *, after: int, by: PrincipalId) -> Subscription:
        """Start again behind a position of the feed; dead letters behind it are tried anew. Raises NotFound."""
        found = self.get(tenant, name)
        again = found.model_copy(
            update={"cursor": after, "attempts": 0, "due_at": None, "status": "active", "error": ""}
        )
        with self.database.begin() as connection:
            _write(connection, again)
            connection.execute(
                delete(dead_letters).where(dead_letters.c.subscription == found.id, dead_letters.c.seq > after)
            )
            self._audited(connection, again, "subscription.replayed", by)
        return again

    def dead(self, tenant: TenantId, name: str) -> tuple[DeadLetter, ...]:
        """Return what a subscriber would not take, oldest first. Raises NotFound."""
        found = self.get(tenant, name)
        query = select(dead_letters.c.body).where(dead_letters.c.subscription == found.id)
        with self.database.read() as connection:
            rows = connection.execute(query.order_by(dead_letters.c.seq))
            return tuple(DeadLetter.model_validate(row.body) for row in rows)

    async def step(self) -> int:
        """Publish what is new and bring every subscription forward that is due; return how many events were taken."""
        self.feed.publish()
        with self.database.read() as connection:
            bodies = connection.execute(select(subscriptions.c.body).order_by(subscriptions.c.id)).scalars().all()
        taken = 0
        for body in bodies:
            taken += await self._forward(Subscription.model_validate(body))
        return taken

    async def _forward(self, one: Subscription) -> int:
        """Deliver what is next, in order, until something has to wait or somebody else has moved the subscription."""
        now, to, taken = self.clock.now(), one.subscriber, 0
        if one.status != "active" or (one.due_at is not None and now < one.due_at):
            return 0
        for entry in self.feed.after(to.tenant, one.cursor, to.types, limit=PER_TURN):
            moved, letter = await self._delivered(one, entry)
            if not self._keep(one, moved, letter):
                break
            taken += moved.cursor == entry.seq and letter is None
            if moved.due_at is not None or moved.status != "active":
                break
            one = moved
        return taken

    async def _delivered(self, one: Subscription, entry: FeedEntry) -> tuple[Subscription, DeadLetter | None]:
        """Hand one event over; return where the subscription stands then, and the dead letter where it became one."""
        behind = one.model_copy(update={"cursor": entry.seq, "attempts": 0, "due_at": None, "error": ""})
        try:
            await self.sinks[one.subscriber.form].deliver(one.subscriber, entry)
        except NotFound as error:
            return one.model_copy(update={"status": "stopped", "error": _told(error)}), None
        except Unavailable as error:
            tried, reason = one.attempts + 1, _told(error)
            if tried < MAX_ATTEMPTS:
                due = self.clock.now() + min(FIRST_PAUSE * 2 ** (tried - 1), LONGEST_PAUSE)
                return one.model_copy(update={"attempts": tried, "due_at": due, "error": reason}), None
        except Invalid as error:
            tried, reason = one.attempts + 1, _told(error)
        else:
            return behind, None
        letter = DeadLetter(subscription=one.id, entry=entry, reason=reason, attempts=tried, at=self.clock.now())
        return behind.model_copy(update={"error": reason}), letter

    def _keep(self, before: Subscription, after: Subscription, letter: DeadLetter | None) -> bool:
        """Write where a subscription stands, with its dead letter; False where it was moved or removed meanwhile."""
        with self.database.begin() as connection:
            if not _write(connection, after, expect=before.cursor):
                return False
            if letter is not None:
                row = {
                    "subscription": after.id, "seq": letter.entry.seq, "tenant": after.subscriber.tenant,
                    "body": letter.model_dump(mode="json"),
                }  # fmt: skip
                insert_once(connection, dead_letters, row)
        return True

    def _audited(self, connection: Connection, one: Subscription, action: str, by: PrincipalId) -> None:
        body = one.model_dump(mode="json")
        entry = AuditEntry(tenant=one.subscriber.tenant, action=action, subject=one.id, actor=by, body=body)
        self.audit.append(connection, entry)


def _told(error: OpsmeshError) -> str:
    """Return the word for a failure that its tenant may read."""
    return error.reason if error.reason in DELIVERY_PROBLEMS else "failed"


def _write(connection: Connection, one: Subscription, *, expect: int | None = None) -> bool:
    """Write a subscription that stands where it is expected; one that was removed meanwhile stays removed."""
    where = [subscriptions.c.id == one.id]
    if expect is not None:
        where.append(subscriptions.c.cursor == expect)
    changed = update(subscriptions).where(*where).values(body=one.model_dump(mode="json"), cursor=one.cursor)
    return bool(connection.execute(changed).rowcount)
