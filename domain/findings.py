"""Findings: what a service computed and a worker detected, with the commands it proposes. Each has one owner.

OWNERS is the one table that says, per kind of finding, which service computes it, which worker detects it and who
proposes what follows.
"""

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Literal

from pydantic import Field, JsonValue

from domain.base import Frozen, Severity, Slug, UtcDatetime
from domain.command_kinds import CommandKind, Proposer
from domain.ids import EnvironmentId, EventKey, TenantId
from domain.topology import EntityRef


class Act(Frozen):
    """One command that a finding proposes."""

    kind: CommandKind
    arguments: dict[str, JsonValue]
    target: EntityRef
    rationale: str = Field(max_length=8000)
    confidence: float = Field(ge=0, le=1)


class Finding(Frozen):
    """Something a worker found out about one resource."""

    owner: Proposer
    kind: Slug
    tenant: TenantId
    environment: EnvironmentId
    resource: str
    """Address of what it is about."""
    episode: str = ""
    """Tells two findings of one kind on one resource apart: a certificate's serial, a day."""
    summary: str = Field(max_length=2000)
    severity: Severity = "warning"
    amount_usd: float | None = None
    """Money at stake per month, where that is what counts."""
    evidence: tuple[str, ...] = ()
    """Lines a person can check: what was read where, in numbers."""
    trace: str | None = None
    """W3C traceparent that the worker itself knows it belongs to; else the runner asks for the event before it."""
    acts: tuple[Act, ...] = ()
    """None: people are told. One: a proposal. Several: one change plan, in this order."""

    @property
    def id(self) -> str:
        """Return the same id for the same matter on every look."""
        parts = (self.owner, self.kind, self.tenant, self.environment, self.resource, self.episode)
        said = "\x1f".join(parts)
        return f"finding-{hashlib.sha256(said.encode()).hexdigest()[:20]}"


class FindingRecord(Frozen):
    """A finding over time."""

    finding: Finding
    status: Literal["open", "resolved"]
    first_seen: UtcDatetime
    last_seen: UtcDatetime
    trace: str
    """W3C traceparent that its event, proposal and all that follows carry: the announcing event's, where it has one."""
    woken_by: EventKey | None = None
    """The platform's event that announced the matter; None where only a timer found it."""
    proposed: tuple[str, ...] = ()
    """Addresses of the commands or the plan it became."""
    held: str = ""
    """Why nothing was proposed although it names commands; it is tried again."""


class Announcement(Frozen):
    """Which events announce what a worker finds, and how long before."""

    types: tuple[str, ...]
    within: timedelta


ANNOUNCED: Mapping[Proposer, Announcement] = {
    # A bill comes up to some hours after what it bills.
    "cost_anomaly": Announcement(types=("runtime.billing.recorded.v1",), within=timedelta(hours=6)),
    # Witnesses confirm for a minute; going back is offered half an hour after the region came back.
    "disaster_recovery": Announcement(types=("runtime.zone.changed.v1",), within=timedelta(hours=1)),
    # The platform warns some days before the end, and the worker has its own window and jitter.
    "certificate_rotation": Announcement(types=("runtime.certificate.expiring.v1",), within=timedelta(days=14)),
    # Every change of what runs is looked at within minutes.
    "compliance_drift": Announcement(
        types=("runtime.config.changed.v1", "runtime.drift.detected.v1"), within=timedelta(hours=1)
    ),
}
"""By worker. Who is not here finds things by a timer alone."""


class Ownership(Frozen):
    """One row of the table of owners."""

    kind: Slug
    computes: str
    """Service that works the figures out."""
    detects: Proposer
    proposes: Proposer


OWNERS: tuple[Ownership, ...] = (
    # Only what lacks room: too much of it is `cost.scaling` and `cost.idle`.
    Ownership(
        kind="capacity.service", computes="capacity", detects="capacity_forecast", proposes="capacity_forecast"
    ),
    Ownership(
        kind="capacity.node_pool", computes="capacity", detects="capacity_forecast", proposes="capacity_forecast"
    ),
    Ownership(kind="cost.usage", computes="cost", detects="cost_anomaly", proposes="cost_anomaly"),
    Ownership(kind="cost.price", computes="cost", detects="cost_anomaly", proposes="cost_anomaly"),
    Ownership(kind="cost.sku", computes="cost", detects="cost_anomaly", proposes="cost_anomaly"),
    Ownership(kind="cost.capacity", computes="cost", detects="cost_anomaly", proposes="cost_anomaly"),
    Ownership(kind="cost.right_sizing", computes="cost", detects="cost_anomaly", proposes="cost_anomaly"),
    Ownership(kind="cost.scaling", computes="cost", detects="cost_anomaly", proposes="cost_anomaly"),
    Ownership(kind="cost.idle", computes="cost", detects="cost_anomaly", proposes="cost_anomaly"),
    Ownership(kind="cost.schedule", computes="cost", detects="cost_anomaly", proposes="cost_anomaly"),
    Ownership(
        kind="compliance.drift", computes="compliance", detects="compliance_drift", proposes="compliance_drift"
    ),
    Ownership(
        kind="certificate.expiring", computes="certificates", detects="certificate_rotation",
        proposes="certificate_rotation",
    ),
    Ownership(
        kind="certificate.served_wrong", computes="certificates", detects="certificate_rotation",
        proposes="certificate_rotation",
    ),
    Ownership(
        kind="certificate.reissue", computes="certificates", detects="certificate_rotation",
        proposes="certificate_rotation",
    ),
    Ownership(
        kind="secret.expiring", computes="certificates", detects="certificate_rotation",
        proposes="certificate_rotation",
    ),
    Ownership(
        kind="region.lost", computes="recovery", detects="disaster_recovery", proposes="disaster_recovery"
    ),
    Ownership(
        kind="region.back", computes="recovery", detects="disaster_recovery", proposes="disaster_recovery"
    ),
    Ownership(
        kind="tenant.held", computes="recovery", detects="disaster_recovery", proposes="disaster_recovery"
    ),
)  # fmt: skip
OWNER_OF: dict[str, Ownership] = {row.kind: row for row in OWNERS}
