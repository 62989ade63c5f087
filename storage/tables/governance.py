"""Tables of the governed path: commands, decisions, approvals, reservations, budgets, switches, audit, outbox.

State row, audit record and outgoing event of one step are written in one transaction, so they lie in one schema.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from storage.tables.base import Json, UtcTime, metadata

_SERIAL = BigInteger().with_variant(Integer(), "sqlite")  # SQLite counts up INTEGER primary keys only

commands = Table(
    "commands",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("tenant", String(200), nullable=False),
    Column("environment", String(200), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("target", String(300), nullable=False),
    Column("proposer", String(200), nullable=False),
    Column("incident", String(200)),
    Column("parent", String(26)),
    Column("role", String(8), nullable=False),
    Column("idempotency_key", String(300), nullable=False),
    Column("proposal_key", String(300)),
    Column("digest", String(71), nullable=False),
    Column("state", String(20), nullable=False),
    Column("version", Integer, nullable=False),
    Column("reason", Text, nullable=False, default=""),
    Column("decided_by", String(200)),
    Column("policy_digest", String(71)),
    Column("approval_expires_at", UtcTime),
    Column("fencing", BigInteger),
    Column("worker", String(200)),
    Column("lease_until", UtcTime),
    Column("expires_at", UtcTime, nullable=False),
    Column("proposed_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("body", Json, nullable=False),
    UniqueConstraint("tenant", "idempotency_key"),
    UniqueConstraint("tenant", "proposal_key"),
    Index("ix_commands_tenant_state", "tenant", "state", "id"),
    Index("ix_commands_state_lease_until", "state", "lease_until"),
    Index("ix_commands_tenant_incident", "tenant", "incident"),
)

decisions = Table(
    "decisions",
    metadata,
    Column("command", String(26), ForeignKey("commands.id"), primary_key=True),
    Column("tenant", String(200), nullable=False),
    Column("digest", String(71), nullable=False),
    Column("effect", String(8), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("body", Json, nullable=False),
)
"""Policy's one decision per command; the primary key is what makes it one."""

approvals = Table(
    "approvals",
    metadata,
    Column("command", String(26), ForeignKey("commands.id"), primary_key=True),
    Column("principal", String(200), primary_key=True),
    Column("tenant", String(200), nullable=False),
    Column("digest", String(71), nullable=False),
    Column("verdict", String(8), nullable=False),
    Column("channel", String(8), nullable=False),
    Column("note", Text, nullable=False, default=""),
    Column("at", UtcTime, nullable=False),
)
"""One answer per person and command."""

change_plans = Table(
    "change_plans",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("tenant", String(200), nullable=False),
    Column("environment", String(200), nullable=False),
    Column("idempotency_key", String(300), nullable=False),
    Column("digest", String(71), nullable=False),
    Column("state", String(20), nullable=False),
    Column("version", Integer, nullable=False),
    Column("reason", Text, nullable=False, default=""),
    Column("rationale", Text, nullable=False, default=""),
    Column("updated_at", UtcTime, nullable=False),
    Column("body", Json, nullable=False),
    UniqueConstraint("tenant", "idempotency_key"),
    Index("ix_change_plans_state", "state", "id"),
)
"""`state` is what was told last; where a plan stands follows from its commands."""

plan_commands = Table(
    "plan_commands",
    metadata,
    Column("command", String(26), ForeignKey("commands.id"), primary_key=True),
    Column("plan", String(26), ForeignKey("change_plans.id"), nullable=False),
    Column("position", Integer, nullable=False),
    UniqueConstraint("plan", "position"),
)
"""A command belongs to one plan at most."""

reservations = Table(
    "reservations",
    metadata,
    Column("key", String(500), primary_key=True),
    Column("command", String(26), ForeignKey("commands.id"), nullable=False, index=True),
    Column("tenant", String(200), nullable=False),
    Column("at", UtcTime, nullable=False),
)
"""One in-flight command per resource and failure domain: the primary key cannot be held twice."""

budgets = Table(
    "budgets",
    metadata,
    Column("tenant", String(200), primary_key=True),
    Column("resource", String(32), primary_key=True),
    Column("limit", Float, nullable=False),
    Column("window_s", Integer, nullable=False),
)

budget_uses = Table(
    "budget_uses",
    metadata,
    Column("command", String(26), ForeignKey("commands.id"), primary_key=True),
    Column("tenant", String(200), primary_key=True),
    Column("resource", String(32), primary_key=True),
    Column("amount", Float, nullable=False),
    Column("status", String(8), nullable=False),
    Column("at", UtcTime, nullable=False),
    Index("ix_budget_uses_tenant_resource", "tenant", "resource", "at"),
)
"""`held` counts always, `spent` while inside the window, `released` never."""

kill_switches = Table(
    "kill_switches",
    metadata,
    Column("scope", String(16), primary_key=True),
    Column("value", String(200), primary_key=True),
    Column("engaged_by", String(200), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("reason", Text, nullable=False),
    Column("undos_continue", Boolean, nullable=False),
)

freezes = Table(
    "freezes",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("tenant", String(200), nullable=False, index=True),
    Column("environment", String(200), nullable=False),
    Column("start", UtcTime, nullable=False),
    Column("end", UtcTime, nullable=False),
    Column("reason", Text, nullable=False),
    Column("by", String(200), nullable=False),
)

counters = Table(
    "counters",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""The row `effects` is the gate that claims and switches take in turn; its value is the fencing number."""

grants = Table(
    "effect_grants",
    metadata,
    Column("command", String(26), ForeignKey("commands.id"), primary_key=True),
    Column("fencing", BigInteger, primary_key=True),
    Column("jti", String(26), nullable=False, unique=True),
    Column("tenant", String(200), nullable=False),
    Column("issued_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
)
"""One grant per claim: the primary key refuses a second."""

audit_chains = Table(
    "audit_chains",
    metadata,
    Column("tenant", String(200), primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("digest", String(71), nullable=False),
    Column("key_generation", Integer, nullable=False),
)
"""Head of each tenant's chain; locking its row orders the appends."""

audit_records = Table(
    "audit_records",
    metadata,
    Column("tenant", String(200), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", UtcTime, nullable=False),
    Column("action", String(64), nullable=False),
    Column("subject", String(300), nullable=False),
    Column("actor", String(200), nullable=False),
    Column("body_digest", String(71), nullable=False),
    Column("previous", String(71), nullable=False),
    Column("digest", String(71), nullable=False),
    Index("ix_audit_records_tenant_subject", "tenant", "subject", "seq"),
)

audit_bodies = Table(
    "audit_bodies",
    metadata,
    Column("tenant", String(200), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("key_generation", Integer, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)
"""Text of the records, encrypted under the tenant's key; lies outside the chain so that it can be erased."""

audit_keys = Table(
    "audit_keys",
    metadata,
    Column("tenant", String(200), primary_key=True),
    Column("generation", Integer, primary_key=True, autoincrement=False),
    Column("wrapped", LargeBinary),
)
"""Text keys wrapped by the master key file; `wrapped` is null once shredded."""

audit_checkpoints = Table(
    "audit_checkpoints",
    metadata,
    Column("tenant", String(200), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", String(71), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("signature", String(128), nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("seq", _SERIAL, primary_key=True, autoincrement=True),
    Column("id", String(26), nullable=False, unique=True),
    Column("tenant", String(200), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("body", Json, nullable=False),
    Column("leased_until", UtcTime),
    Column("deliveries", Integer, nullable=False, default=0),
)
"""Events not yet acknowledged by their consumer; an acknowledged one is deleted."""

consumed = Table(
    "consumed",
    metadata,
    Column("consumer", String(64), primary_key=True),
    Column("event", String(26), primary_key=True),
    Column("at", UtcTime, nullable=False),
)
"""What a consumer has taken in, written in the consumer's own transaction: makes a duplicate harmless."""
