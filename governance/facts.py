"""Facts: all that a decision may depend on, gathered once into a frozen snapshot of whole numbers and names.

Cedar has no floats, so quantities are whole numbers with their unit in the name; rounding goes against the command.
`assemble` is pure: what it knows of the command it takes from the command, the rest from `Surroundings`, which the
mesh reads. The same facts and the same policy digest give the same decision, years later.
"""

import math
from typing import Literal

from pydantic import Field, JsonValue

from domain.base import Digest, Frozen, UtcDatetime, digest_of
from domain.command_kinds import CommandKind, Proposer, Reversibility
from domain.commands import Command, Prediction, Quantity
from domain.ids import EnvironmentId, PrincipalId, TenantId
from domain.principals import PrincipalKind
from domain.tenancy import AutonomyLevel, Isolation
from governance.budgets import spend_usd_per_hour

MILLION = 1_000_000


class Surroundings(Frozen):
    """What the stores and readers say around one command at one instant. Nothing has a permissive default."""

    at: UtcDatetime
    proposer_kind: PrincipalKind
    proposer_name: str
    proposer_enabled: bool
    proposer_has_role: bool
    """Holds a proposing role on the command's tenant and environment."""
    parent_allowed: bool
    """The command undoes another one that was decided, and restores only what that one wrote."""
    production: bool
    tier: int = Field(ge=0, le=3)
    isolation: Isolation
    autonomy: AutonomyLevel
    kill_switches: tuple[str, ...]
    """Engaged switches that cover the command, as `scope:value`."""
    undos_continue: bool
    freeze_active: bool
    clock_doubtful: bool
    services_touched: int = Field(ge=0)
    services_total: int = Field(ge=0)
    replicas_affected: int = Field(ge=0)
    replicas_total: int = Field(ge=0)
    """Running replicas of the touched services."""
    conflicts: int = Field(ge=0)
    incident_open: bool
    evidence_age_s: float = Field(ge=0)
    spend_change_usd_per_hour: float
    """By price list; the rehearsal's figure counts where it is higher."""
    budget_left_usd_per_hour: float
    commands_in_window: int = Field(ge=0)
    command_limit: int = Field(ge=0)
    error_budget_left: float
    """Share of the window's error budget, 1 untouched, below 0 overspent."""
    residency_ok: bool
    quota_ok: bool
    compliance_violations: tuple[str, ...]
    """What the preview would break, as `control on resource`."""
    recent_bad_outcomes: int = Field(ge=0)
    same_fix_failed: bool


class Facts(Frozen):
    """One decision's whole input. The field names are the attributes of `Facts` in the Cedar schema."""

    at: UtcDatetime
    command: Digest
    proposer: PrincipalId
    kind: CommandKind
    reversibility: Reversibility
    risk: Literal["low", "medium", "high"]
    role: Literal["forward", "undo"]
    undo_planned: bool
    parent_allowed: bool
    seconds_to_expiry: int
    attempt: int
    proposer_kind: PrincipalKind
    proposer_name: str
    proposer_enabled: bool
    proposer_in_catalogue: bool
    proposer_has_role: bool
    tenant: TenantId
    environment: EnvironmentId
    production: bool
    tier: int
    isolation: Isolation
    autonomy: AutonomyLevel
    kill_switches: tuple[str, ...]
    undos_continue: bool
    freeze_active: bool
    clock_doubtful: bool
    resources: int
    service_share_pct: int
    replicas_affected_pct: int
    tenants_affected: int
    spans_tenants: bool
    conflicts: int
    remediates: bool
    evidence_count: int
    evidence_age_s: int
    untrusted_only: bool
    confidence_pct: int
    prediction_known: bool
    predicted_slo_change_ppm: int
    predicted_slo_worst_ppm: int
    spend_change_cents_per_hour: int
    budget_left_cents_per_hour: int
    commands_in_window: int
    command_limit: int
    error_budget_left_pct: int
    residency_ok: bool
    quota_ok: bool
    compliance_violations: tuple[str, ...]
    recent_bad_outcomes: int
    same_fix_failed: bool

    @property
    def digest(self) -> Digest:
        """SHA-256 over the canonical JSON of every fact: what a decision is filed under."""
        return digest_of(self)

    def context(self) -> dict[str, JsonValue]:
        """Return the facts as the attributes that a policy may ask about."""
        return {name: value for name, value in self.model_dump(mode="json").items() if name not in BOOKKEEPING}


BOOKKEEPING = frozenset({"at", "command", "proposer"})
"""Facts that identify the decision and that no policy asks about."""


def assemble(command: Command, around: Surroundings) -> Facts:
    """Join a command with its surroundings into the facts of one decision."""
    change, worst, known = _attainment(command.prediction)
    affected = command.affected
    spend = spend_usd_per_hour(command.prediction, around.spend_change_usd_per_hour)
    return Facts(
        **_identity(command, around),
        **around.model_dump(include=_TAKEN),
        kill_switches=tuple(sorted(set(around.kill_switches))),
        service_share_pct=_share_pct(around.services_touched, around.services_total),
        replicas_affected_pct=_share_pct(around.replicas_affected, around.replicas_total),
        resources=len(affected.resources),
        tenants_affected=len(affected.tenants),
        spans_tenants=affected.spans_tenants,
        remediates=command.incident is not None and around.incident_open,
        evidence_count=len(command.evidence),
        evidence_age_s=_ceil(around.evidence_age_s),
        untrusted_only=command.untrusted_only,
        confidence_pct=math.floor(command.confidence * 100 + _ROUNDING),
        prediction_known=known,
        predicted_slo_change_ppm=change,
        predicted_slo_worst_ppm=worst,
        spend_change_cents_per_hour=_ceil(100 * spend),
        budget_left_cents_per_hour=_floor(100 * around.budget_left_usd_per_hour),
        error_budget_left_pct=_floor(100 * around.error_budget_left),
    )


def in_catalogue(command: Command, proposer_kind: PrincipalKind, name: str) -> bool:
    """Tell whether the kind's row names the proposer: agents and workers by name, everybody else as `person`."""
    proposers: tuple[Proposer, ...] = command.spec.proposers
    if proposer_kind == "agent":
        return name != "person" and name in proposers
    return "person" in proposers


_TAKEN = {
    "at",
    "proposer_kind",
    "proposer_name",
    "proposer_enabled",
    "proposer_has_role",
    "parent_allowed",
    "production",
    "tier",
    "isolation",
    "autonomy",
    "undos_continue",
    "freeze_active",
    "clock_doubtful",
    "conflicts",
    "commands_in_window",
    "command_limit",
    "residency_ok",
    "quota_ok",
    "compliance_violations",
    "recent_bad_outcomes",
    "same_fix_failed",
}
_ROUNDING = 1e-9
"""Keeps 0.29 * 100 at 29: far above a double's error at these sizes, far below one unit."""
_BOUND = 2**53 - 1
"""Largest size that canonical JSON and doubles hold exactly; what lies beyond is cut to it."""


def _identity(command: Command, around: Surroundings) -> dict[str, JsonValue]:
    spec = command.spec
    return {
        "command": command.digest,
        "proposer": command.proposer,
        "kind": command.kind,
        "reversibility": spec.reversibility,
        "risk": spec.risk,
        "role": command.role,
        "undo_planned": bool(command.inverse.fields),
        "seconds_to_expiry": math.floor((command.expires_at - around.at).total_seconds()),
        "attempt": command.attempt,
        "proposer_in_catalogue": in_catalogue(command, around.proposer_kind, around.proposer_name),
        "tenant": command.tenant,
        "environment": command.environment,
    }


def _attainment(prediction: Prediction | None) -> tuple[int, int, bool]:
    """Change and worst case of SLO attainment in ppm, and whether they are known at all."""
    quantity = prediction.slo_attainment if prediction is not None and prediction.known else None
    if quantity is None or not _finite(quantity):
        return 0, 0, False
    return _floor(quantity.value * MILLION), _floor(quantity.low * MILLION), True


def _finite(quantity: Quantity) -> bool:
    return all(math.isfinite(number) for number in (quantity.value, quantity.low, quantity.high))


def _share_pct(part: int, whole: int) -> int:
    """Rounded up; something of nothing is everything."""
    if whole <= 0:
        return 0 if part == 0 else 100
    return -(-100 * part // whole)


def _ceil(value: float) -> int:
    """Round a cost up; a cost that is no number is the largest."""
    if math.isnan(value):
        return _BOUND
    return math.ceil(max(-_BOUND, min(_BOUND, value)) - _ROUNDING)


def _floor(value: float) -> int:
    """Round a reserve down; a reserve that is no number is the smallest."""
    if math.isnan(value):
        return -_BOUND
    return math.floor(max(-_BOUND, min(_BOUND, value)) + _ROUNDING)
