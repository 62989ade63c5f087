"""What happened after execution: receipts of effects, verification over a hold window, outcomes and lessons."""

from typing import Literal

from pydantic import Field

from domain.base import Digest, Frozen, UtcDatetime
from domain.changes import Patch, Precondition, ResourceChange
from domain.commands import Inverse, Prediction
from domain.ids import CommandId, EnvironmentId, EvidenceId, IncidentId, TenantId
from domain.tenancy import AffectedSet

Verdict = Literal["recovered", "unchanged", "worse", "quiet"]
EffectStatus = Literal["applied", "not_applied", "unknown"]


class ActionPlan(Frozen):
    """What a tool says a command would do, before anything is decided."""

    preview: tuple[ResourceChange, ...]
    patches: tuple[Patch, ...] = ()
    inverse: Inverse = Inverse()
    preconditions: tuple[Precondition, ...] = ()
    affected: AffectedSet


class EffectReceipt(Frozen):
    """The target's answer to an apply under one idempotency key."""

    idempotency_key: str
    status: EffectStatus
    replayed: bool = False
    """The target had already done it under this key."""
    version: int | None = None
    """Desired-state version after the effect."""
    operation: str | None = None
    detail: str = ""


class Check(Frozen):
    """One signal looked at during verification."""

    entity: str
    metric: str
    before: float | None
    after: float | None
    bound: float | None
    ok: bool | None
    """None when the signal went quiet."""
    text: str = ""


class Verification(Frozen):
    """The verdict over the hold window, from readers the proposer did not choose."""

    command: CommandId
    verdict: Verdict
    checks: tuple[Check, ...]
    started_at: UtcDatetime
    ended_at: UtcDatetime
    reason: str = ""


class PredictionError(Frozen):
    """Predicted against measured, per quantity."""

    quantity: str
    predicted: float
    low: float
    high: float
    measured: float
    inside: bool


class Outcome(Frozen):
    """The verified end of one command."""

    command: CommandId
    digest: Digest
    incident: IncidentId | None
    tenant: TenantId
    environment: EnvironmentId
    kind: str
    target: str
    state: str
    verification: Verification | None
    prediction: Prediction | None
    errors: tuple[PredictionError, ...] = ()
    at: UtcDatetime


class Lesson(Frozen):
    """What a verified outcome teaches. Only verified outcomes become lessons."""

    id: str
    tenant: TenantId
    incident: IncidentId
    command: CommandId
    symptom: str
    fault_class: str
    command_kind: str
    target: str
    worked: bool
    weight: float = Field(ge=0, le=1)
    text: str
    evidence: tuple[EvidenceId, ...] = ()
    at: UtcDatetime
