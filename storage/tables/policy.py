"""Tables of policy: every policy set and facts snapshot ever decided with, and autonomy levels with their history."""

from sqlalchemy import Column, Index, String, Table, Text, UniqueConstraint

from storage.tables.base import Json, UtcTime, metadata

policy_sets = Table(
    "policy_sets",
    metadata,
    Column("digest", String(71), primary_key=True),
    Column("body", Json, nullable=False),
    Column("stored_at", UtcTime, nullable=False),
)
"""Archive by digest, never updated: a decision can be made again years later."""

facts_snapshots = Table(
    "facts_snapshots",
    metadata,
    Column("tenant", String(200), primary_key=True),
    Column("digest", String(71), primary_key=True),
    Column("body", Json, nullable=False),
    Column("stored_at", UtcTime, nullable=False),
)

autonomy_levels = Table(
    "autonomy_levels",
    metadata,
    Column("tenant", String(200), primary_key=True),
    Column("environment", String(200), primary_key=True),
    Column("kind", String(64), primary_key=True),
    Column("level", String(8), nullable=False),
    Column("changed_at", UtcTime, nullable=False),
)
"""`*` as kind is the environment's own level; a kind's row overrides it."""

autonomy_history = Table(
    "autonomy_history",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("tenant", String(200), nullable=False),
    Column("environment", String(200), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("before", String(8), nullable=False),
    Column("after", String(8), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("by", String(200), nullable=False),
    Column("command", String(26)),
    Column("reason", Text, nullable=False),
    Index("ix_autonomy_history_place", "tenant", "environment", "kind", "id"),
)

autonomy_outcomes = Table(
    "autonomy_outcomes",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("tenant", String(200), nullable=False),
    Column("environment", String(200), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("command", String(26), nullable=False),
    Column("state", String(20), nullable=False),
    Column("at", UtcTime, nullable=False),
    UniqueConstraint("command", "state"),
    Index("ix_autonomy_outcomes_place", "tenant", "environment", "kind", "id"),
)
"""How commands ended, one row per command and ending; the track record that autonomy is earned and lost by."""
