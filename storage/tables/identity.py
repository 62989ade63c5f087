"""Tables of identity: principals, their roles, event source keys, and hashes of the tokens they present."""

from sqlalchemy import Column, ForeignKey, Integer, LargeBinary, String, Table, Text

from storage.tables.base import UtcTime, metadata

principals = Table(
    "principals",
    metadata,
    Column("id", String(200), primary_key=True),
    Column("kind", String(8), nullable=False),
    Column("name", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("disabled_at", UtcTime),
)

role_grants = Table(
    "role_grants",
    metadata,
    Column("principal", String(200), ForeignKey("principals.id"), primary_key=True),
    Column("role", String(16), primary_key=True),
    Column("tenant", String(200), primary_key=True),
    Column("environment", String(200), primary_key=True),
)

source_keys = Table(
    "source_keys",
    metadata,
    Column("id", String(200), primary_key=True),
    Column("source", String(512), nullable=False),
    Column("trust", String(16), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("disabled_at", UtcTime),
)

source_tenants = Table(
    "source_tenants",
    metadata,
    Column("key", String(200), ForeignKey("source_keys.id"), primary_key=True),
    Column("tenant", String(200), primary_key=True),
    Column("position", Integer, nullable=False),
)
"""Tenants a source may speak for; the lowest position is the one it speaks for by default."""

tokens = Table(
    "tokens",
    metadata,
    Column("lookup", String(16), primary_key=True),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("principal", String(200), ForeignKey("principals.id"), index=True),
    Column("source_key", String(200), ForeignKey("source_keys.id"), index=True),
    Column("issued_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Column("revoked_at", UtcTime),
)
"""SHA-256 of 256 random bits: nothing to guess, so nothing to slow down; the token itself is stored nowhere."""
