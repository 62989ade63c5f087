"""What must hold over any facts and any people, not only over the golden ones."""

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.command_kinds import KINDS
from domain.principals import APPROVING_ROLES, Principal, RoleGrant
from governance.facts import Facts
from governance.policy import PolicySet
from tests.unit.governance.policy_goldens import COMMAND, FACTS, subject

POLICIES = PolicySet.load()
AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

# Mostly the harmless value of each fact, so that one or two others decide.
HARMLESS = FACTS.model_dump()
OTHERS: dict[str, st.SearchStrategy[object]] = {
    "kind": st.sampled_from(KINDS),
    "reversibility": st.sampled_from(["inverse", "harmless", "one_way"]),
    "risk": st.sampled_from(["low", "medium", "high"]),
    "role": st.just("undo"),
    "undo_planned": st.just(False),
    "parent_allowed": st.just(True),
    "seconds_to_expiry": st.integers(-5, 5),
    "attempt": st.integers(1, 9),
    "proposer_kind": st.sampled_from(["person", "service", "agent"]),
    "proposer_enabled": st.just(False),
    "proposer_in_catalogue": st.just(False),
    "proposer_has_role": st.just(False),
    "tier": st.integers(0, 3),
    "autonomy": st.sampled_from(["observe", "propose", "act"]),
    "kill_switches": st.just(("global:*",)),
    "undos_continue": st.booleans(),
    "freeze_active": st.just(True),
    "clock_doubtful": st.just(True),
    "resources": st.integers(0, 20),
    "service_share_pct": st.integers(0, 100),
    "spans_tenants": st.just(True),
    "conflicts": st.integers(0, 2),
    "evidence_count": st.integers(0, 2),
    "evidence_age_s": st.integers(0, 5000),
    "untrusted_only": st.just(True),
    "confidence_pct": st.integers(0, 100),
    "prediction_known": st.just(False),
    "predicted_slo_change_ppm": st.integers(-20_000, 20_000),
    "spend_change_cents_per_hour": st.integers(1 - 2**53, 2**53 - 1),
    "budget_left_cents_per_hour": st.integers(1 - 2**53, 2**53 - 1),
    "residency_ok": st.just(False),
    "quota_ok": st.just(False),
    "compliance_violations": st.just(("exposure on service/checkout",)),
    "recent_bad_outcomes": st.integers(0, 4),
    "same_fix_failed": st.just(True),
}


@st.composite
def snapshots(draw: st.DrawFn) -> Facts:
    names = draw(st.sets(st.sampled_from(sorted(OTHERS)), max_size=4))
    return Facts.model_validate(HARMLESS | {name: draw(OTHERS[name]) for name in sorted(names)})


def effect_of(facts: Facts) -> str:
    command = subject(facts)
    return POLICIES.decide(command, facts.model_copy(update={"command": command.digest})).effect


@given(snapshots())
@settings(max_examples=200)
def test_nothing_runs_unattended_that_a_person_must_see(facts: Facts) -> None:
    if effect_of(facts) != "allow":
        return
    assert not facts.clock_doubtful
    assert facts.reversibility != "one_way"
    stopped = facts.kill_switches and facts.kind != "chaos.abort"
    if facts.role == "undo":
        assert facts.parent_allowed
        assert not stopped or facts.undos_continue
        return
    assert not stopped
    assert facts.autonomy == "act" or (facts.autonomy == "propose" and facts.kind == "ticket.open")
    assert not facts.untrusted_only
    assert facts.risk != "high"
    assert facts.proposer_kind == "agent" or facts.kind == "ticket.open"
    assert facts.prediction_known or facts.kind == "ticket.open"
    assert not facts.spans_tenants
    assert facts.proposer_enabled
    assert facts.proposer_has_role
    assert facts.residency_ok
    assert facts.quota_ok
    assert not facts.compliance_violations


WORSE: tuple[dict[str, object], ...] = (
    {"autonomy": "observe"},
    {"kill_switches": ("global:*",), "undos_continue": False},
    {"freeze_active": True},
    {"clock_doubtful": True},
    {"untrusted_only": True},
    {"confidence_pct": 0},
    {"prediction_known": False},
    {"reversibility": "one_way"},
    {"risk": "high"},
    {"spans_tenants": True},
    {"same_fix_failed": True},
    {"recent_bad_outcomes": 9},
    {"resources": 99},
)
RANK = {"deny": 0, "ask": 1, "allow": 2}


@given(snapshots(), st.sampled_from(WORSE))
@settings(max_examples=200)
def test_a_worse_fact_never_gives_more_freedom(facts: Facts, worse: dict[str, object]) -> None:
    assert RANK[effect_of(facts.model_copy(update=worse))] <= RANK[effect_of(facts)]


ROLES = ("viewer", "proposer", "approver", "operator", "auditor", "ingest", "admin")


@st.composite
def people(draw: st.DrawFn) -> Principal:
    kind = draw(st.sampled_from(["person", "person", "service", "agent"]))
    roles = [role for role in ROLES if kind != "agent" or role not in APPROVING_ROLES]
    grant = st.builds(
        RoleGrant,
        role=st.sampled_from(roles),
        tenant=st.sampled_from(["acme", "globex", "platform", "*"]),
        environment=st.sampled_from(["prod", "staging", "*"]),
    )
    return Principal(
        id=draw(st.sampled_from(["agent-sre", "dana", "kim"])),
        kind=kind,
        name="x",
        grants=tuple(draw(st.lists(grant, max_size=4))),
        disabled_at=draw(st.sampled_from([None, None, None, AT])),
    )


@given(people(), snapshots())
@settings(max_examples=200)
def test_only_another_enabled_person_with_a_role_there_approves(who: Principal, facts: Facts) -> None:
    command = subject(facts)
    facts = facts.model_copy(update={"command": command.digest})
    if not POLICIES.can_approve(who, command, facts).allowed:
        return
    assert who.kind == "person"
    assert who.id != command.proposer
    assert who.disabled_at is None
    assert who.roles_on("acme", "prod") & APPROVING_ROLES
    assert not facts.clock_doubtful
    assert not facts.spans_tenants or who.roles_on("platform", "prod") & APPROVING_ROLES
    assert not facts.freeze_active or "operator" in who.roles_on("acme", "prod")


def test_the_base_of_the_snapshots_is_allowed() -> None:
    assert effect_of(FACTS) == "allow"
    assert COMMAND.proposer == "agent-sre"
