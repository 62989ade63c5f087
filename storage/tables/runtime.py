"""The runtime extension's own tables, on their own metadata: they share no transaction or foreign key with Opsmesh's.

`effects` is the ledger by which the target counts: one row per (tenant, environment, idempotency key), ever.
"""

from sqlalchemy import Boolean, Column, Index, Integer, MetaData, String, Table, UniqueConstraint
from sqlalchemy.engine import Engine

from storage.tables.base import Json, UtcTime, metadata

runtime_metadata = MetaData(naming_convention=metadata.naming_convention)

environments = Table(
    "environments",
    runtime_metadata,
    Column("environment", String(200), primary_key=True),
    Column("tenant", String(200), nullable=False),
    Column("registered_at", UtcTime, nullable=False),
    Column("actuated_version", Integer, nullable=False, default=0),
    Column("actuated_digest", String(80)),
)

bindings = Table(
    "bindings",
    runtime_metadata,
    Column("environment", String(200), primary_key=True),
    Column("tenant", String(200), primary_key=True),
    Column("document", Json, nullable=False),
)

desired_versions = Table(
    "desired_versions",
    runtime_metadata,
    Column("environment", String(200), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("document", Json, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("idempotency_key", String(200)),
    Column("at", UtcTime, nullable=False),
)

effects = Table(
    "effects",
    runtime_metadata,
    Column("tenant", String(200), primary_key=True),
    Column("environment", String(200), primary_key=True),
    Column("idempotency_key", String(200), primary_key=True),
    Column("command", String(200), nullable=False),
    Column("digest", String(80), nullable=False),
    Column("preview_digest", String(80), nullable=False),
    Column("request_digest", String(80), nullable=False),
    Column("fencing", Integer, nullable=False),
    Column("jti", String(200), nullable=False),
    Column("receipt", Json, nullable=False),
    Column("applied_count", Integer, nullable=False),
    Column("at", UtcTime, nullable=False),
)
Index("ix_effects_environment_at", effects.c.environment, effects.c.at)

used_grants = Table(
    "used_grants",
    runtime_metadata,
    Column("jti", String(200), primary_key=True),
    Column("idempotency_key", String(200), nullable=False),
    Column("used_at", UtcTime, nullable=False),
)

fencing = Table(
    "fencing",
    runtime_metadata,
    Column("environment", String(200), primary_key=True),
    Column("resource", String(400), primary_key=True),
    Column("high_water", Integer, nullable=False),
)

operations = Table(
    "operations",
    runtime_metadata,
    Column("id", String(26), primary_key=True),
    Column("tenant", String(200), nullable=False),
    Column("environment", String(200), nullable=False),
    Column("idempotency_key", String(200), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("target", String(400), nullable=False),
    Column("arguments", Json, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("accepted_at", UtcTime, nullable=False),
    Column("progress", Json, nullable=False),
    Column("ended", Boolean, nullable=False),
    UniqueConstraint("tenant", "environment", "idempotency_key"),
)
Index("ix_operations_ended", operations.c.ended)

documents = Table(
    "documents",
    runtime_metadata,
    Column("environment", String(200), primary_key=True),
    Column("tenant", String(200), primary_key=True),
    Column("kind", String(64), primary_key=True),
    Column("id", String(200), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("body", Json, nullable=False),
    Column("at", UtcTime, nullable=False),
    Index("documents_by_time", "environment", "kind", "at"),
)

proposed_writes = Table(
    "proposed_writes",
    runtime_metadata,
    Column("tenant", String(200), primary_key=True),
    Column("environment", String(200), primary_key=True),
    Column("principal", String(200), primary_key=True),
    Column("idempotency_key", String(200), primary_key=True),
    Column("request_digest", String(80), nullable=False),
    Column("location", String(400), nullable=False),
    Column("at", UtcTime, nullable=False),
)


def create_runtime_tables(engine: Engine) -> None:
    """Create every runtime table that is missing."""
    runtime_metadata.create_all(engine)
