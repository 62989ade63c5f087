"""People's answers: one winner, no self-approval, distinct humans, bound to a digest, in time."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.commands import State
from domain.decisions import Budget, Freeze
from domain.errors import Conflict, NotFound, Refused
from domain.ids import PrincipalId
from domain.principals import APPROVING_ROLES, Principal, RoleGrant
from tests.support.governed import ACME, GovernedPath, person


def test_the_first_answer_wins_and_later_ones_learn_it(path: GovernedPath) -> None:
    record = path.decided("ask")
    decide = path.governed.approvals.decide
    first = decide(path.answer(record, path.people["ann"], "reject"))
    late = decide(path.answer(record, path.people["bob"], "approve"))
    again = decide(path.answer(record, path.people["ann"], "reject"))
    assert (first.won, first.state) == (True, "REJECTED")
    for other in (late, again):
        assert (other.won, other.state, other.decided_by) == (False, "REJECTED", "ann")


def test_a_quorum_is_distinct_people(path: GovernedPath) -> None:
    record = path.decided("ask", quorum=2)
    decide = path.governed.approvals.decide
    first = decide(path.answer(record, path.people["ann"]))
    again = decide(path.answer(record, path.people["ann"], channel="slack"))
    assert [r.won for r in (first, again)] == [False, False]
    assert path.read(record).state is State.AWAITING_APPROVAL
    last = decide(path.answer(record, path.people["bob"]))
    assert (last.won, last.state, last.decided_by) == (True, "APPROVED", "bob")
    assert [a.principal for a in path.governed.commands.approvals(ACME, record.command.id)] == ["ann", "bob"]


def actions(path: GovernedPath, subject: str) -> list[tuple[str, str]]:
    lines = path.governed.audit.read(ACME, subject=subject)
    said = [(str(line.record.actor), line.record.action, line.body or {}) for line in lines]
    return [(who, str(text.get("verdict"))) for who, action, text in said if action == "approval.recorded"]


def test_who_approved_may_reject_before_the_quorum_and_the_audit_has_both(path: GovernedPath) -> None:
    record = path.decided("ask", quorum=2)
    decide = path.governed.approvals.decide
    assert not decide(path.answer(record, path.people["ann"])).won
    changed = decide(path.answer(record, path.people["ann"], "reject", note="seen the graph"))
    assert (changed.won, changed.state, changed.decided_by) == (True, "REJECTED", "ann")
    (stands,) = path.governed.commands.approvals(ACME, record.command.id)
    assert (stands.verdict, stands.note) == ("reject", "seen the graph")
    assert actions(path, record.command.id) == [("ann", "approve"), ("ann", "reject")]


def test_after_the_decision_nobody_changes_their_own_answer(path: GovernedPath) -> None:
    record = path.decided("ask", quorum=2)
    decide = path.governed.approvals.decide
    for who in ("ann", "bob"):
        decide(path.answer(record, path.people[who]))
    for who in ("ann", "bob"):
        with pytest.raises(Conflict, match="approve") as caught:
            decide(path.answer(record, path.people[who], "reject"))
        assert caught.value.reason == "already_answered"
        again = decide(path.answer(record, path.people[who]))
        assert (again.won, again.state, again.decided_by) == (False, "APPROVED", "bob")
    assert path.read(record).state is State.APPROVED
    assert [a.verdict for a in path.governed.commands.approvals(ACME, record.command.id)] == ["approve", "approve"]
    said = [line.record.action for line in path.governed.audit.read(ACME, subject=record.command.id)]
    assert said.count("approval.refused") == 2


@pytest.mark.parametrize(
    ("who", "reason"),
    [
        (person("viewer", "viewer"), "role"),
        (person("agent:sre", "proposer", kind="agent"), "not_a_person"),
        (person("robot", "approver", kind="service"), "not_a_person"),
        (person("gone", "approver", disabled_at="2026-11-23T11:00:00Z"), "disabled"),
    ],
)
def test_who_may_not_approve_is_refused_and_audited(path: GovernedPath, who, reason) -> None:
    record = path.decided("ask")
    with pytest.raises(Refused) as caught:
        path.governed.approvals.decide(path.answer(record, who))
    assert caught.value.reason == reason
    assert path.read(record).state is State.AWAITING_APPROVAL
    last = path.governed.audit.read(ACME, subject=record.command.id)[-1]
    assert (last.record.action, last.record.actor) == ("approval.refused", who.id)


def test_somebody_of_another_tenant_does_not_learn_that_it_exists(path: GovernedPath) -> None:
    record = path.decided("ask")
    with pytest.raises(NotFound):
        path.governed.approvals.decide(path.answer(record, person("mallory", "approver", tenant="globex")))


def test_nobody_decides_about_their_own_proposal_or_its_narrowing(path: GovernedPath) -> None:
    record = path.decided("ask", proposer=PrincipalId("ann"))
    with pytest.raises(Refused) as caught:
        path.governed.approvals.decide(path.answer(record, path.people["ann"]))
    assert caught.value.reason == "self_approval"
    child = path.command(parent=record.command.id, proposer=PrincipalId("bob"))
    made = path.governed.commands.supersede(ACME, record.command.id, child, PrincipalId("bob"), "less")
    path.governed.commands.record_decision(ACME, path.decision(made, "ask"))
    for author in ("ann", "bob"):
        with pytest.raises(Refused) as caught:
            path.governed.approvals.decide(path.answer(made, path.people[author]))
        assert caught.value.reason == "self_approval"
    assert path.governed.approvals.decide(path.answer(made, path.people["eve"])).won


def test_an_answer_to_another_version_is_refused(path: GovernedPath) -> None:
    record, other = path.decided("ask"), path.decided("ask", "cart")
    with pytest.raises(Refused) as caught:
        path.governed.approvals.decide(path.answer(record, path.people["ann"], digest=other.digest))
    assert caught.value.reason == "digest_mismatch"


def test_policy_may_forbid_one_person(path: GovernedPath) -> None:
    record = path.decided("ask")
    with pytest.raises(Refused, match="on call"):
        path.governed.approvals.decide(
            path.answer(record, path.people["ann"], forbidden={record.command.id: ("not on call",)})
        )


def test_an_answer_after_the_approval_expired_counts_for_nothing(path: GovernedPath) -> None:
    record = path.decided("ask")
    path.clock.advance(timedelta(minutes=30))
    result = path.governed.approvals.decide(path.answer(record, path.people["ann"]))
    assert (result.won, result.state) == (False, "EXPIRED")


def test_a_freeze_takes_an_operator(path: GovernedPath) -> None:
    now = path.clock.now()
    window = Freeze(tenant=ACME, start=now, end=now + timedelta(hours=1), reason="sale", by=PrincipalId("eve"))
    path.governed.switches.freeze(window)
    record = path.decided("ask")
    with pytest.raises(Refused) as caught:
        path.governed.approvals.decide(path.answer(record, path.people["ann"]))
    assert caught.value.reason == "freeze"
    assert path.governed.approvals.decide(path.answer(record, path.people["eve"])).won


def test_an_approval_that_no_budget_holds_is_refused_and_can_be_given_later(path: GovernedPath) -> None:
    none = Budget(tenant=ACME, resource="commands", limit=0, window_s=60)
    path.governed.budgets.set(none, PrincipalId("eve"))
    record = path.decided("ask")
    with pytest.raises(Refused) as caught:
        path.governed.approvals.decide(path.answer(record, path.people["ann"]))
    assert caught.value.reason == "budget"
    path.governed.budgets.set(none.model_copy(update={"limit": 1}), PrincipalId("eve"))
    assert path.governed.approvals.decide(path.answer(record, path.people["ann"])).won


ROLES = st.sampled_from(["viewer", "proposer", "approver", "operator", "auditor", "ingest", "admin"])


@st.composite
def role_graphs(draw: st.DrawFn) -> list[Principal]:
    people = []
    for number in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["person", "person", "service", "agent"]))
        roles = draw(st.lists(st.tuples(ROLES, st.sampled_from(["acme", "globex", "*"])), max_size=3))
        grants = tuple(
            RoleGrant.model_validate({"role": role, "tenant": tenant})
            for role, tenant in roles
            if kind != "agent" or role not in APPROVING_ROLES
        )
        people.append(Principal.model_validate({"id": f"p{number}", "kind": kind, "name": "n", "grants": grants}))
    return people


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    people=role_graphs(),
    quorum=st.integers(1, 3),
    author=st.integers(0, 4),
    order=st.lists(st.integers(0, 4), max_size=8),
)
def test_whatever_the_roles_an_approved_command_has_a_quorum_of_entitled_others(
    path: GovernedPath, people, quorum, author, order
) -> None:
    proposer = PrincipalId(f"p{author}")
    record = path.decided("ask", quorum=quorum, proposer=proposer)
    path.people.update({p.id: p for p in people})
    for turn in order:
        if turn < len(people):
            try:
                path.governed.approvals.decide(path.answer(record, people[turn]))
            except (Refused, NotFound):
                continue
    entitled = {
        p.id
        for turn in order
        if turn < len(people)
        and (p := people[turn]).kind == "person"
        and p.id != proposer
        and {"approver", "operator"} & p.roles_on(ACME, record.command.environment)
    }
    approved = path.read(record).state is State.APPROVED
    assert approved == (len(entitled) >= quorum)
    approvers = {a.principal for a in path.governed.commands.approvals(ACME, record.command.id)}
    assert approvers <= entitled
