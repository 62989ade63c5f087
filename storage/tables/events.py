"""Everything that arrives: the event log, what was refused, and telemetry (metric points, log records, spans).

`seq` is the order of arrival and the consumers' cursor; `key` is the ULID others cite. Full text is FTS5 on SQLite
and a generated tsvector on PostgreSQL, both kept by the database itself, so that no writer can forget it.
"""

import json

from pydantic import JsonValue, TypeAdapter
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from storage.tables.base import UtcTime, metadata

Sequence = BigInteger().with_variant(Integer(), "sqlite")
"""A row number that counts by itself: only INTEGER is the rowid on SQLite."""

_JSON: TypeAdapter[JsonValue] = TypeAdapter(JsonValue)


class ExactJson(TypeDecorator[JsonValue]):
    """JSON kept as sent: JSONB on PostgreSQL, TEXT on SQLite, where a JSON column would turn a lone number to REAL."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[JsonValue] | TypeEngine[str]:
        """Choose the native type of the dialect."""
        return dialect.type_descriptor(JSONB() if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: JsonValue, dialect: Dialect) -> JsonValue:
        """Write text on SQLite; PostgreSQL's own type does it there."""
        return value if value is None or dialect.name == "postgresql" else json.dumps(value)

    def process_result_value(self, value: JsonValue, dialect: Dialect) -> JsonValue:
        """Read the text back on SQLite."""
        return _JSON.validate_json(value) if isinstance(value, str) and dialect.name == "sqlite" else value


events = Table(
    "events",
    metadata,
    Column("seq", Sequence, primary_key=True, autoincrement=True),
    Column("key", String(26), nullable=False, unique=True),
    Column("tenant", String(200), nullable=False),
    Column("source", String(512), nullable=False),
    Column("id", String(256), nullable=False),
    Column("type", String(200), nullable=False),
    Column("subject", String(512)),
    Column("time", UtcTime, nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("environmentid", String(200)),
    Column("serviceid", String(200)),
    Column("region", String(200)),
    Column("computetarget", String(200)),
    Column("deploymentid", Text),
    Column("severity", String(16), nullable=False),
    Column("traceparent", Text),
    Column("correlationid", Text),
    Column("causationid", Text),
    Column("sequence", Text),
    Column("extensions", ExactJson),
    Column("data", ExactJson),
    Column("trust", String(16), nullable=False),
    Column("body_digest", String(71), nullable=False),
    Column("sender", String(200), nullable=False),
    UniqueConstraint("tenant", "source", "id"),
    Index("ix_events_tenant_time", "tenant", "time"),
    Index("ix_events_tenant_serviceid_time", "tenant", "serviceid", "time"),
    sqlite_autoincrement=True,  # a sequence number is never given twice, or a cursor would skip
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("tenant", String(200), nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("source", String(512), nullable=False),
    Column("sender", String(200), nullable=False),
    Column("channel", String(32), nullable=False),
    Column("reason", String(32), nullable=False),
    Column("detail", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("body_digest", String(71), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("line", BigInteger),
    Index("ix_quarantine_tenant_received_at", "tenant", "received_at"),
)

metric_points = Table(
    "metric_points",
    metadata,
    Column("tenant", String(200), nullable=False),
    Column("environment", String(200), nullable=False),
    Column("entity", String(200), nullable=False),
    Column("metric", String(200), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("statistic", String(32), nullable=False),
    Column("unit", String(32), nullable=False),
    Column("time", UtcTime, nullable=False),
    Column("value", Float, nullable=False),
    Index("ix_metric_points_window", "tenant", "environment", "time"),
)

log_records = Table(
    "log_records",
    metadata,
    Column("seq", Sequence, primary_key=True, autoincrement=True),
    Column("tenant", String(200), nullable=False),
    Column("environment", String(200), nullable=False),
    Column("entity", String(200), nullable=False),
    Column("time", UtcTime, nullable=False),
    Column("severity", String(16), nullable=False),
    Column("message", Text, nullable=False),
    Column("trace", String(32)),
    Column("span", String(16)),
    Index("ix_log_records_window", "tenant", "environment", "time"),
)

spans = Table(
    "spans",
    metadata,
    Column("tenant", String(200), nullable=False),
    Column("environment", String(200), nullable=False),
    Column("trace", String(64), nullable=False),
    Column("span", String(64), nullable=False),
    Column("parent", String(64)),
    Column("entity", String(200), nullable=False),
    Column("operation", String(300), nullable=False),
    Column("start_ns", BigInteger, nullable=False),
    Column("end_ns", BigInteger, nullable=False),
    Column("error", Boolean, nullable=False),
    UniqueConstraint("tenant", "environment", "trace", "span"),
    Index("ix_spans_window", "tenant", "environment", "start_ns"),
)

telemetry_usage = Table(
    "telemetry_usage",
    metadata,
    Column("tenant", String(200), primary_key=True),
    Column("environment", String(200), primary_key=True),
    Column("signal", String(16), primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("rows", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
)
"""Rows and bytes taken per tenant and UTC day of arrival: what the size limit is held against."""

telemetry_series = Table(
    "telemetry_series",
    metadata,
    Column("tenant", String(200), primary_key=True),
    Column("environment", String(200), primary_key=True),
    Column("series", String(71), primary_key=True),
    Column("first_seen", UtcTime, nullable=False),
)
"""One row per distinct (signal, entity, name): what the cardinality limit is held against."""

_TEXT_SQLITE = (
    (
        "CREATE VIRTUAL TABLE IF NOT EXISTS events_text USING fts5("
        "type, subject, data, content='events', content_rowid='seq', tokenize='unicode61')"
    ),
    (
        "CREATE TRIGGER IF NOT EXISTS events_text_insert AFTER INSERT ON events BEGIN"
        " INSERT INTO events_text(rowid, type, subject, data) VALUES (new.seq, new.type, new.subject, new.data); END"
    ),
    (
        "CREATE TRIGGER IF NOT EXISTS events_text_delete AFTER DELETE ON events BEGIN"
        " INSERT INTO events_text(events_text, rowid, type, subject, data)"
        " VALUES ('delete', old.seq, old.type, old.subject, old.data); END"
    ),
)
_TEXT_POSTGRES = (
    (
        "ALTER TABLE events ADD COLUMN IF NOT EXISTS words tsvector GENERATED ALWAYS AS (to_tsvector('simple',"
        " left(regexp_replace(type || ' ' || coalesce(subject, '') || ' ' || coalesce(data::text, ''),"
        " '[^[:alnum:]]+', ' ', 'g'), 250000))) STORED"
    ),
    "CREATE INDEX IF NOT EXISTS ix_events_words ON events USING gin (words)",
)
"""Punctuation becomes a space, so that both databases split words alike; a tsvector holds at most 1 MiB."""
TEXT_DDL: dict[str, tuple[str, ...]] = {"sqlite": _TEXT_SQLITE, "postgresql": _TEXT_POSTGRES}
"""Full-text statements per dialect, for migrations too."""


def _create_text(_table: Table, connection: Connection, **_options: object) -> None:
    for statement in TEXT_DDL[connection.dialect.name]:
        connection.exec_driver_sql(statement)


def _drop_text(_table: Table, connection: Connection, **_options: object) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("DROP TABLE IF EXISTS events_text")


event.listen(events, "after_create", _create_text)
event.listen(events, "before_drop", _drop_text)
