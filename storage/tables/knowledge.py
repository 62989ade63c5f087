"""Incidents and the knowledge index's own record: standing symptoms, what they fold into, documents with vectors.

Vectors lie beside their text, so that the vector store can be rebuilt without computing one embedding again.
"""

from sqlalchemy import Column, Float, Index, Integer, LargeBinary, String, Table, UniqueConstraint

from storage.tables.base import Json, UtcTime, metadata

symptoms = Table(
    "symptoms",
    metadata,
    Column("tenant", String(200), primary_key=True),
    Column("environment", String(200), primary_key=True),
    Column("entity", String(300), primary_key=True),
    Column("signal", String(200), primary_key=True),
    Column("body", Json, nullable=False),
    Column("last_at", UtcTime, nullable=False),
    Column("incident", String(26), nullable=True),
)
"""One row per (entity, signal) that has ever been out of its gate; `incident` is the open one it belongs to."""

incidents = Table(
    "incidents",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("tenant", String(200), nullable=False),
    Column("environment", String(200), nullable=False),
    Column("status", String(20), nullable=False),
    Column("fingerprint", String(80), nullable=False),
    Column("opened_at", UtcTime, nullable=False),
    Column("last_event_at", UtcTime, nullable=False),
    Column("body", Json, nullable=False),
    Index(None, "tenant", "status"),
    Index(None, "environment", "status"),
)

index_documents = Table(
    "index_documents",
    metadata,
    Column("tenant", String(200), primary_key=True),
    Column("id", String(80), primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("text", String, nullable=False),
    Column("trust", String(20), nullable=False),
    Column("source", String(512), nullable=False),
    Column("digest", String(80), nullable=False),
    Column("body", Json, nullable=False),
    Column("count", Integer, nullable=False),
    Column("weight", Float, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("embedding", String(200), nullable=False),
    Column("vector", LargeBinary, nullable=False),
    Index(None, "tenant", "kind"),
)
"""`embedding` names what made the vector (float32, little endian); vectors of two names are never compared."""

index_tokens = Table(
    "index_tokens",
    metadata,
    Column("tenant", String(200), primary_key=True),
    Column("token", String(100), primary_key=True),
    Column("document", String(80), primary_key=True),
    UniqueConstraint("tenant", "document", "token"),
)
"""Inverted index for exact tokens (error codes, names): one seek on either database."""
