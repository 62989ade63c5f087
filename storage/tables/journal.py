"""The loop's own memory: agent runs, what is being verified, outcomes and pages. Never the truth about effects."""

from sqlalchemy import Boolean, Column, Index, Integer, String, Table, UniqueConstraint

from storage.tables.base import Json, UtcTime, metadata

runs = Table(
    "runs",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("tenant", String(200), nullable=False),
    Column("environment", String(200), nullable=False),
    Column("incident", String(26), nullable=False),
    Column("agent", String(64), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("evidence_digest", String(80), nullable=False),
    Column("pack", Json, nullable=False),
    Column("status", String(16), nullable=False),
    Column("diagnosis", Json),
    Column("steps", Json),
    Column("proposals", Json),
    Column("started_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Column("look_again_at", UtcTime),
    Column("trace", String(64)),
    UniqueConstraint("tenant", "incident", "agent", "attempt", "evidence_digest"),
)
Index("ix_runs_tenant_incident", runs.c.tenant, runs.c.incident)

watches = Table(
    "watches",
    metadata,
    Column("command", String(26), primary_key=True),
    Column("tenant", String(200), nullable=False),
    Column("environment", String(200), nullable=False),
    Column("incident", String(26)),
    Column("started_at", UtcTime, nullable=False),
    Column("hold_until", UtcTime, nullable=False),
    Column("entities", Json, nullable=False),
    Column("before", Json, nullable=False),
    Column("verification", Json),
    Column("done", Boolean, nullable=False, default=False),
)

outcomes = Table(
    "outcomes",
    metadata,
    Column("command", String(26), primary_key=True),
    Column("tenant", String(200), nullable=False),
    Column("environment", String(200), nullable=False),
    Column("incident", String(26)),
    Column("kind", String(64), nullable=False),
    Column("state", String(32), nullable=False),
    Column("body", Json, nullable=False),
    Column("at", UtcTime, nullable=False),
)
Index("ix_outcomes_tenant_at", outcomes.c.tenant, outcomes.c.at)

pages = Table(
    "pages",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("tenant", String(200), nullable=False),
    Column("command", String(26)),
    Column("incident", String(26)),
    Column("reason", String(2000), nullable=False),
    Column("runbook", String(8000), nullable=False),
    Column("owner_team", String(200), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("acknowledged_by", String(200)),
)

cursors = Table(
    "cursors",
    metadata,
    Column("consumer", String(64), primary_key=True),
    Column("position", String(64), nullable=False),
)
