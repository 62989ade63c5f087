"""The golden decisions: what the shipped policies say about a hundred situations, one changed fact at a time."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from domain.changes import ResourceChange
from domain.commands import Command, FieldUndo, Inverse, Prediction, Quantity
from domain.decisions import Effect
from domain.principals import Principal, RoleGrant
from domain.tenancy import AffectedSet
from domain.topology import EntityRef
from governance.facts import Facts, Surroundings, assemble
from governance.policy import PolicySet

AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ALL = ("approver", "operator", "admin")

SURROUNDINGS = Surroundings(
    at=AT,
    proposer_kind="agent",
    proposer_name="sre",
    proposer_enabled=True,
    proposer_has_role=True,
    parent_allowed=False,
    production=True,
    tier=1,
    isolation="pooled",
    autonomy="act",
    kill_switches=(),
    undos_continue=True,
    freeze_active=False,
    clock_doubtful=False,
    services_touched=1,
    services_total=15,
    replicas_affected=0,
    replicas_total=4,
    conflicts=0,
    incident_open=True,
    evidence_age_s=60,
    spend_change_usd_per_hour=0,
    budget_left_usd_per_hour=10,
    commands_in_window=0,
    command_limit=10,
    error_budget_left=0.5,
    residency_ok=True,
    quota_ok=True,
    compliance_violations=(),
    recent_bad_outcomes=0,
    same_fix_failed=False,
)


def command(**changes: object) -> Command:
    quantity = Quantity(value=0.02, low=0.01, high=0.03)
    base = Command.model_validate(
        {
            "id": "01JNZ8Q0000000000000000001",
            "kind": "service.rollback",
            "arguments": {"service": "checkout", "to_version": "v41"},
            "target": EntityRef(kind="service", id="checkout"),
            "tenant": "acme",
            "environment": "prod",
            "proposer": "agent-sre",
            "preview": (ResourceChange(address="service/checkout", operation="update", path="version"),),
            "inverse": Inverse(
                fields=(FieldUndo(path=("services", "checkout", "version"), written="v41", restore="v42"),)
            ),
            "preconditions": (),
            "affected": AffectedSet(tenants=("acme",), environments=("prod",), resources=("service/checkout",)),
            "expires_at": AT + timedelta(hours=2),
            "idempotency_key": "one",
            "proposed_at": AT,
            "evidence": ("ev-1",),
            "prediction": Prediction(known=True, horizon_s=900, slo_attainment=quantity),
            "confidence": 0.9,
            "incident": "inc-1",
        }
    )
    return base.model_copy(update=changes)


COMMAND = command()
FACTS = assemble(COMMAND, SURROUNDINGS)
TICKET = {"kind": "ticket.open", "reversibility": "harmless", "undo_planned": False, "prediction_known": False}
UNDO = {"role": "undo", "parent_allowed": True}


def facts(**changes: object) -> Facts:
    return FACTS.model_copy(update=changes)


def subject(snapshot: Facts) -> Command:
    """The command whose identity the facts state, so that only policy is under test."""
    return COMMAND.model_copy(update={"kind": snapshot.kind, "role": snapshot.role, "proposer": snapshot.proposer})


class Golden(NamedTuple):
    """One situation: changed facts, and what must come of it."""

    changes: dict[str, object]
    effect: Effect
    rules: tuple[str, ...]
    quorum: int = 0
    roles: tuple[str, ...] = ()


def ask(changes: dict[str, object], *rules: str, quorum: int = 1, roles: tuple[str, ...] = ALL) -> Golden:
    return Golden(changes, "ask", rules, quorum, roles)


def allow(changes: dict[str, object], *rules: str) -> Golden:
    return Golden(changes, "allow", rules)


def deny(changes: dict[str, object], *rules: str) -> Golden:
    return Golden(changes, "deny", rules)


AUTONOMY = (
    allow({}, "unattended.act"),
    ask({"autonomy": "propose"}),
    deny({"autonomy": "observe"}, "observe.no-proposals"),
    ask({"autonomy": "observe", "proposer_kind": "person"}, "four-eyes"),
    ask({"proposer_kind": "person"}, "four-eyes"),
    ask({"proposer_kind": "service"}, "four-eyes"),
    allow(TICKET, "unattended.act"),
    allow({**TICKET, "autonomy": "propose"}, "unattended.informational"),
    deny({**TICKET, "autonomy": "observe"}, "observe.no-proposals"),
    ask({**TICKET, "autonomy": "observe", "proposer_kind": "person"}),
    allow({**TICKET, "autonomy": "propose", "proposer_kind": "person"}, "unattended.informational"),
    ask({"kind": "service.restart", "autonomy": "propose"}),
    deny({"proposer_has_role": False}),
    deny({"proposer_enabled": False}, "proposer.disabled"),
    deny({"proposer_in_catalogue": False}, "proposer.not-in-catalogue"),
    ask({"reversibility": "one_way", "undo_planned": False}, "one-way"),
    ask({"risk": "high"}, "high-risk", quorum=2),
    ask({"risk": "high", "reversibility": "one_way"}, "high-risk", "one-way", quorum=2),
    allow({"risk": "medium"}, "unattended.act"),
    ask({"undo_planned": False}, "no-undo-planned"),
    allow({"undo_planned": False, "reversibility": "harmless"}, "unattended.act"),
)
UNDOS = (
    allow(UNDO, "unattended.undo"),
    deny({**UNDO, "parent_allowed": False}),
    allow({**UNDO, "proposer_has_role": False}, "unattended.undo"),
    allow({**UNDO, "autonomy": "observe"}, "unattended.undo"),
    allow({**UNDO, "autonomy": "propose", "kind": "ticket.open"}, "unattended.undo"),
    ask({"parent_allowed": True, "autonomy": "propose"}),
    deny({"parent_allowed": True, "proposer_has_role": False}),
    allow({**UNDO, "proposer_enabled": False, "proposer_in_catalogue": False}, "unattended.undo"),
    allow({**UNDO, "proposer_kind": "person", "risk": "high", "undo_planned": False}, "unattended.undo"),
    allow({**UNDO, "freeze_active": True, "seconds_to_expiry": 0, "untrusted_only": True}, "unattended.undo"),
    allow({**UNDO, "evidence_count": 0, "evidence_age_s": 9999, "confidence_pct": 0, "tier": 0}, "unattended.undo"),
    allow({**UNDO, "prediction_known": False, "predicted_slo_change_ppm": -5}, "unattended.undo"),
    allow({**UNDO, "predicted_slo_worst_ppm": -99999, "same_fix_failed": True, "attempt": 9}, "unattended.undo"),
    allow({**UNDO, "recent_bad_outcomes": 9, "resources": 9, "service_share_pct": 90}, "unattended.undo"),
    allow({**UNDO, "replicas_affected_pct": 90, "spans_tenants": True, "tenants_affected": 3}, "unattended.undo"),
    allow({**UNDO, "conflicts": 1, "spend_change_cents_per_hour": 5000}, "unattended.undo"),
    allow({**UNDO, "commands_in_window": 99, "residency_ok": False, "quota_ok": False}, "unattended.undo"),
    allow({**UNDO, "error_budget_left_pct": -3, "remediates": False}, "unattended.undo"),
    allow({**UNDO, "compliance_violations": ("exposure on service/checkout",)}, "unattended.undo"),
)
STOPS = (
    deny({"kill_switches": ("global:*",)}, "kill-switch"),
    deny({**UNDO, "kill_switches": ("global:*",), "undos_continue": False}, "kill-switch"),
    allow({**UNDO, "kill_switches": ("global:*",), "undos_continue": True}, "unattended.undo"),
    deny({"kill_switches": ("global:*",), "undos_continue": False}, "kill-switch"),
    allow({"kind": "chaos.abort", "kill_switches": ("global:*",)}, "unattended.act"),
    deny({**TICKET, "kill_switches": ("agent:sre",)}, "kill-switch"),
    deny({"clock_doubtful": True}, "clock-doubtful"),
    deny({**UNDO, "clock_doubtful": True}, "clock-doubtful"),
    deny({"seconds_to_expiry": 0}, "expired"),
    allow({"seconds_to_expiry": 1}, "unattended.act"),
    ask({"freeze_active": True}, "freeze", roles=("operator",)),
    ask({"freeze_active": True, "risk": "high"}, "freeze", "high-risk", quorum=2, roles=("operator",)),
    allow({**TICKET, "freeze_active": True}, "unattended.act"),
    allow({"kind": "chaos.abort", "freeze_active": True}, "unattended.act"),
)
EVIDENCE = (
    ask({"untrusted_only": True}, "untrusted-only"),
    ask({**TICKET, "untrusted_only": True}, "untrusted-only"),
    ask({"evidence_count": 0}, "no-evidence"),
    allow({"evidence_count": 1}, "unattended.act"),
    ask({"evidence_age_s": 901}, "stale-evidence"),
    allow({"evidence_age_s": 900}, "unattended.act"),
    ask({"confidence_pct": 59}, "low-confidence"),
    allow({"confidence_pct": 60}, "unattended.act"),
    allow({**TICKET, "confidence_pct": 0}, "unattended.act"),
    ask({"tier": 0, "confidence_pct": 79}, "critical-tier-confidence"),
    allow({"tier": 0, "confidence_pct": 80}, "unattended.act"),
    allow({"tier": 0, "confidence_pct": 79, "production": False}, "unattended.act"),
    allow({"tier": 1, "confidence_pct": 79}, "unattended.act"),
    allow({"tier": -1, "confidence_pct": 79}, "unattended.act"),
    allow({**TICKET, "tier": 0, "confidence_pct": 10}, "unattended.act"),
    ask({"prediction_known": False}, "prediction-unknown"),
    ask({"predicted_slo_change_ppm": -1}, "prediction-harm"),
    allow({"predicted_slo_change_ppm": 0}, "unattended.act"),
    ask({"predicted_slo_worst_ppm": -10001}, "prediction-worst-case"),
    allow({"predicted_slo_worst_ppm": -10000}, "unattended.act"),
    ask({"same_fix_failed": True}, "fix-did-not-hold"),
    allow({"attempt": 3}, "unattended.act"),
    deny({"attempt": 4}, "too-many-attempts"),
    ask({"attempt": 4, "proposer_kind": "person"}, "four-eyes"),
    allow({**TICKET, "attempt": 4}, "unattended.act"),
    allow({"recent_bad_outcomes": 1}, "unattended.act"),
    ask({"recent_bad_outcomes": 2}, "recent-bad-outcomes"),
    allow({**TICKET, "recent_bad_outcomes": 9}, "unattended.act"),
)
IMPACT = (
    allow({"resources": 5}, "unattended.act"),
    ask({"resources": 6}, "blast-radius.resources"),
    allow({"resources": 1, "service_share_pct": 100}, "unattended.act"),
    allow({"resources": 2, "service_share_pct": 25}, "unattended.act"),
    ask({"resources": 2, "service_share_pct": 26}, "blast-radius.share"),
    allow({"replicas_affected_pct": 50}, "unattended.act"),
    ask({"replicas_affected_pct": 51}, "blast-radius.replicas"),
    ask({"spans_tenants": True}, "spans-tenants"),
    ask({"tenants_affected": 2}, "spans-tenants"),
    ask({"conflicts": 1}, "conflict"),
    deny({"spend_change_cents_per_hour": 101, "budget_left_cents_per_hour": 100}, "budget.exceeded"),
    ask({"spend_change_cents_per_hour": 100, "budget_left_cents_per_hour": 100}, "budget.large-share"),
    ask({"spend_change_cents_per_hour": 26, "budget_left_cents_per_hour": 100}, "budget.large-share"),
    allow({"spend_change_cents_per_hour": 25, "budget_left_cents_per_hour": 100}, "unattended.act"),
    ask({"spend_change_cents_per_hour": 20, "budget_left_cents_per_hour": 79}, "budget.large-share"),
    deny({"spend_change_cents_per_hour": 1, "budget_left_cents_per_hour": 0}, "budget.exceeded"),
    ask({"spend_change_cents_per_hour": 1, "budget_left_cents_per_hour": 3}, "budget.large-share"),
    allow({"spend_change_cents_per_hour": 0, "budget_left_cents_per_hour": -1}, "unattended.act"),
    allow({"spend_change_cents_per_hour": -1, "budget_left_cents_per_hour": -500}, "unattended.act"),
    allow({"commands_in_window": 9}, "unattended.act"),
    ask({"commands_in_window": 10}, "rate"),
    allow({**TICKET, "commands_in_window": 99}, "unattended.act"),
    ask({"error_budget_left_pct": 9, "remediates": False}, "error-budget"),
    allow({"error_budget_left_pct": 10, "remediates": False}, "unattended.act"),
    allow({"error_budget_left_pct": -40}, "unattended.act"),
    allow({**TICKET, "error_budget_left_pct": -40, "remediates": False}, "unattended.act"),
    deny({"residency_ok": False}, "residency"),
    deny({"quota_ok": False}, "quota"),
    deny({"compliance_violations": ("exposure on service/checkout",)}, "compliance"),
    deny(
        {"compliance_violations": ("exposure on service/checkout",), "proposer_kind": "person", "autonomy": "propose"},
        "compliance",
    ),
)
GOLDENS = AUTONOMY + UNDOS + STOPS + EVIDENCE + IMPACT


class Click(NamedTuple):
    """Somebody tries to approve: who, changed facts, and whether it counts."""

    who: Principal
    changes: dict[str, object]
    allowed: bool
    rules: tuple[str, ...]


def person(*roles: str, tenant: str = "acme", environment: str = "*", **changes: object) -> Principal:
    grants = tuple(RoleGrant.model_validate({"role": r, "tenant": tenant, "environment": environment}) for r in roles)
    base: dict[str, object] = {"id": "dana", "kind": "person", "name": "Dana", "grants": grants}
    return Principal.model_validate(base | changes)


BOTH = person("approver").model_copy(
    update={"grants": (*person("approver").grants, *person("approver", tenant="platform").grants)}
)
CLICKS = (
    Click(person("approver"), {}, True, ("approve.by-role",)),
    Click(person("operator"), {}, True, ("approve.by-role",)),
    Click(person("admin"), {}, True, ("approve.by-role",)),
    Click(person("approver", tenant="*"), {}, True, ("approve.by-role",)),
    Click(person("viewer", "proposer", "auditor", "ingest"), {}, False, ()),
    Click(person("approver", tenant="globex"), {}, False, ()),
    Click(person("approver", environment="staging"), {}, False, ()),
    Click(person("approver", kind="service"), {}, False, ("approve.people-only",)),
    Click(person("viewer", kind="agent"), {}, False, ("approve.people-only",)),
    Click(person("approver", id="agent-sre"), {}, False, ("approve.not-oneself",)),
    Click(person("approver", disabled_at=AT), {}, False, ("approve.enabled",)),
    Click(person("approver"), {"freeze_active": True}, False, ("approve.freeze",)),
    Click(person("operator"), {"freeze_active": True}, True, ("approve.by-role",)),
    Click(person("approver"), {"spans_tenants": True}, False, ("approve.spans-tenants",)),
    Click(person("approver"), {"tenants_affected": 2}, False, ("approve.spans-tenants",)),
    Click(person("approver"), {"tenants_affected": 1}, True, ("approve.by-role",)),
    Click(BOTH, {"spans_tenants": True}, True, ("approve.by-role",)),
    *(
        Click(
            BOTH.model_copy(update={"grants": (*person("approver").grants, *person(role, tenant="platform").grants)}),
            {"tenants_affected": 2},
            role in ALL,
            ("approve.by-role",) if role in ALL else ("approve.spans-tenants",),
        )
        for role in ("operator", "admin", "viewer")
    ),
    Click(person("approver"), {"kill_switches": ("kind:service.rollback",)}, False, ("kill-switch",)),
    Click(person("approver"), {"clock_doubtful": True}, False, ("clock-doubtful",)),
    Click(person("approver"), {"seconds_to_expiry": 0}, False, ("expired",)),
)


def rule_ids(reasons: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(r.rpartition("[")[2].rstrip("]") for r in reasons if r.endswith("]"))


def got(policies: PolicySet, row: Golden) -> Golden:
    snapshot = facts(**row.changes)
    subject_ = subject(snapshot)
    decision = policies.decide(subject_, snapshot.model_copy(update={"command": subject_.digest}))
    shape = (decision.ask.quorum, decision.ask.roles) if decision.ask else (0, ())
    return Golden(row.changes, decision.effect, rule_ids(decision.reasons), *shape)


def clicked(policies: PolicySet, row: Click) -> Click:
    permission = policies.can_approve(row.who, COMMAND, facts(**row.changes))
    return Click(row.who, row.changes, permission.allowed, rule_ids(permission.reasons))
