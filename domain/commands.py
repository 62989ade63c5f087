"""Governed commands: what may be proposed, what identifies one, and the only legal path it can take.

A command's digest covers kind, arguments, target, scope, proposer, preview, inverse, preconditions and expiry:
a changed argument is a new command. Predictions and rationale are not part of it.
"""

from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, JsonValue, model_validator

from domain.base import Digest, Frozen, UtcDatetime, digest_of
from domain.changes import Patch, PatchPath, Precondition, ResourceChange
from domain.command_kinds import CATALOGUE, CommandKind, CommandSpec
from domain.ids import CommandId, EnvironmentId, EvidenceId, IncidentId, PrincipalId, TenantId
from domain.tenancy import AffectedSet
from domain.topology import EntityRef


class State(StrEnum):
    """Where a command stands on its path."""

    PROPOSED = "PROPOSED"
    DENIED = "DENIED"
    AWAITING_APPROVAL = "AWAITING_APPROVAL"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    LAPSED = "LAPSED"
    CANCELLED = "CANCELLED"
    SUPERSEDED = "SUPERSEDED"
    EXECUTING = "EXECUTING"
    EXECUTED = "EXECUTED"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"
    VERIFYING = "VERIFYING"
    SUCCEEDED = "SUCCEEDED"
    REGRESSED = "REGRESSED"
    INCONCLUSIVE = "INCONCLUSIVE"
    UNDOING = "UNDOING"
    UNDONE = "UNDONE"
    UNDO_FAILED = "UNDO_FAILED"


_BEFORE_EXECUTING = frozenset({State.CANCELLED, State.SUPERSEDED})
TRANSITIONS: dict[State, frozenset[State]] = {
    State.PROPOSED: frozenset({State.DENIED, State.AWAITING_APPROVAL, State.APPROVED}) | _BEFORE_EXECUTING,
    State.AWAITING_APPROVAL: frozenset({State.APPROVED, State.REJECTED, State.EXPIRED}) | _BEFORE_EXECUTING,
    State.APPROVED: frozenset({State.EXECUTING, State.LAPSED, State.EXPIRED}) | _BEFORE_EXECUTING,
    State.EXECUTING: frozenset({State.EXECUTED, State.FAILED, State.UNKNOWN}),
    State.UNKNOWN: frozenset({State.EXECUTED, State.FAILED}),
    State.EXECUTED: frozenset({State.VERIFYING}),
    State.VERIFYING: frozenset({State.SUCCEEDED, State.REGRESSED, State.INCONCLUSIVE}),
    State.REGRESSED: frozenset({State.UNDOING}),
    State.INCONCLUSIVE: frozenset({State.UNDOING}),
    State.SUCCEEDED: frozenset({State.UNDOING}),
    State.FAILED: frozenset({State.UNDOING}),
    State.UNDOING: frozenset({State.UNDONE, State.UNDO_FAILED}),
}
"""The only legal steps. UNKNOWN is resolved by asking the target; FAILED goes on to UNDOING only when partial,
SUCCEEDED only when its change plan has stopped."""
TERMINAL: frozenset[State] = frozenset(
    {
        State.DENIED,
        State.REJECTED,
        State.EXPIRED,
        State.LAPSED,
        State.CANCELLED,
        State.SUPERSEDED,
        State.SUCCEEDED,
        State.FAILED,
        State.INCONCLUSIVE,
        State.UNDONE,
        State.UNDO_FAILED,
    }
)
"""States in which a command may rest. FAILED and INCONCLUSIVE may still be undone."""
PAGES: frozenset[State] = frozenset({State.FAILED, State.INCONCLUSIVE, State.UNKNOWN, State.UNDO_FAILED})
IN_FLIGHT: frozenset[State] = frozenset(
    {State.EXECUTING, State.UNKNOWN, State.EXECUTED, State.VERIFYING, State.REGRESSED, State.UNDOING}
)
"""States that hold the one-in-flight reservation of their resources."""


class Quantity(Frozen):
    """A predicted or measured value with its 90 % interval."""

    value: float
    low: float
    high: float


class Prediction(Frozen):
    """Change against doing nothing over the horizon, from the twin. `unknown` when the fit is below its bound."""

    known: bool
    horizon_s: int = Field(gt=0)
    entity: str = ""
    """Address of the service whose service levels are predicted; cost and carbon are the environment's."""
    slo_attainment: Quantity | None = None
    latency_p95_ms: Quantity | None = None
    error_rate: Quantity | None = None
    cost_usd_per_hour: Quantity | None = None
    carbon_g_per_hour: Quantity | None = None
    fit: float | None = None
    """Share of the readings' variance the fitted twin explains, 0 to 1."""
    note: str = ""


class FieldUndo(Frozen):
    """How to take back one written field: only while it still holds what we wrote."""

    path: PatchPath
    written: JsonValue
    restore: JsonValue
    existed: bool = True
    restore_until: UtcDatetime | None = None
    """The field held somebody's override until this instant, and shall again."""


class Inverse(Frozen):
    """The undo, planned before approval. Empty fields: nothing lasting to take back."""

    fields: tuple[FieldUndo, ...] = ()
    note: str = ""


class Proposal(Frozen):
    """What a proposer hands over: no preview yet, no effect ever."""

    kind: CommandKind
    arguments: dict[str, JsonValue]
    target: EntityRef
    tenant: TenantId
    environment: EnvironmentId
    proposer: PrincipalId
    rationale: str = Field(max_length=8000)
    evidence: tuple[EvidenceId, ...] = ()
    evidence_digest: Digest | None = None
    prediction: Prediction | None = None
    confidence: float = Field(ge=0, le=1, default=0.0)
    untrusted_only: bool = False
    """Every cited item is untrusted telemetry: never runs unattended."""
    incident: IncidentId | None = None
    attempt: int = Field(ge=1, default=1)
    trace: str | None = None

    @model_validator(mode="after")
    def _arguments_fit(self) -> Self:
        CATALOGUE[self.kind].arguments.model_validate(self.arguments)
        return self


class Command(Frozen):
    """A proposal with its preview, inverse and preconditions: the thing that is decided and executed."""

    id: CommandId
    kind: CommandKind
    arguments: dict[str, JsonValue]
    target: EntityRef
    tenant: TenantId
    environment: EnvironmentId
    proposer: PrincipalId
    preview: tuple[ResourceChange, ...]
    patches: tuple[Patch, ...] = ()
    inverse: Inverse
    preconditions: tuple[Precondition, ...]
    affected: AffectedSet
    expires_at: UtcDatetime
    """Execution expiry: no effect may start after it. Approval expiry is the decision's own clock."""
    idempotency_key: str
    proposed_at: UtcDatetime
    rationale: str = ""
    evidence: tuple[EvidenceId, ...] = ()
    prediction: Prediction | None = None
    confidence: float = 0.0
    untrusted_only: bool = False
    incident: IncidentId | None = None
    attempt: int = 1
    parent: CommandId | None = None
    """The command this one narrows or undoes."""
    role: Literal["forward", "undo"] = "forward"
    trace: str | None = None

    @model_validator(mode="after")
    def _arguments_fit(self) -> Self:
        self.spec.arguments.model_validate(self.arguments)
        return self

    @property
    def spec(self) -> CommandSpec:
        """The catalogue row of the kind."""
        return CATALOGUE[self.kind]

    @property
    def digest(self) -> Digest:
        """SHA-256 over canonical JSON of all that determines the effect and its undo."""
        return digest_of(self.model_dump(mode="json", include=set(DIGEST_FIELDS)))


DIGEST_FIELDS: tuple[str, ...] = (
    "kind",
    "arguments",
    "target",
    "tenant",
    "environment",
    "proposer",
    "preview",
    "patches",
    "inverse",
    "preconditions",
    "affected",
    "expires_at",
    "idempotency_key",
    "parent",
    "role",
)


class CommandRecord(Frozen):
    """A stored command with its place on the path. `version` is what compare-and-set compares."""

    command: Command
    digest: Digest
    state: State
    version: int
    updated_at: UtcDatetime
    reason: str = ""
    decided_by: PrincipalId | None = None
    policy_digest: Digest | None = None
    fencing: int | None = None
    lease_until: UtcDatetime | None = None
