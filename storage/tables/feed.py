"""Tables of what leaves: the feed of events, who subscribes to it, and what they would not take."""

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table

from storage.tables.base import Json, UtcTime, metadata

_SERIAL = BigInteger().with_variant(Integer(), "sqlite")  # SQLite counts up INTEGER primary keys only

feed = Table(
    "feed",
    metadata,
    Column("seq", _SERIAL, primary_key=True, autoincrement=True),
    Column("id", String(26), nullable=False, unique=True),
    Column("tenant", String(200), nullable=False),
    Column("type", String(200), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("body", Json, nullable=False),
)
Index("ix_feed_tenant_seq", feed.c.tenant, feed.c.seq)
Index("ix_feed_at", feed.c.at)

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("id", String(200), primary_key=True),
    Column("tenant", String(200), nullable=False),
    Column("body", Json, nullable=False),
    Column("cursor", BigInteger, nullable=False),
)
Index("ix_subscriptions_tenant", subscriptions.c.tenant)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("subscription", String(200), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("tenant", String(200), nullable=False),
    Column("body", Json, nullable=False),
)
