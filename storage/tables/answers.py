"""The table of answers given under idempotency keys. Rows stay: a key means one request for ever."""

from sqlalchemy import Column, LargeBinary, String, Table

from storage.tables.base import UtcTime, metadata

kept_answers = Table(
    "kept_answers",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("request", String(80), nullable=False),
    Column("sealed", LargeBinary),
    Column("at", UtcTime, nullable=False),
)
"""`id` is a digest of caller and key. `sealed` is empty while the request is under way."""
