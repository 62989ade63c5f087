"""Change plans: one digest, one approval, strict order, and everything taken back in order when one ends otherwise."""

from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.commands import State
from domain.crash_points import POINTS
from domain.decisions import Budget
from domain.errors import Conflict, Invalid, NotFound, Refused
from domain.ids import PrincipalId
from domain.plans import PlanState, next_undo
from governance.verification import verify
from tests.support.governed import ACME, Crash, GovernedPath, person
from tests.support.plans import PlanLoop, built, click, plan_over


def proposed(path: GovernedPath, *arguments, key="plan-key", **changed):
    plan, commands = built(path, *arguments, **changed)
    return path.governed.plans.propose(plan, commands, key=key)


def asked(path: GovernedPath, *arguments, quorums=(1, 1, 1), **changed):
    record = proposed(path, *arguments, **changed)
    for one, quorum in zip(record.members, quorums, strict=False):
        decision = path.decision(one, "ask")
        ask = decision.ask.model_copy(update={"quorum": quorum})
        path.governed.commands.record_decision(ACME, decision.model_copy(update={"ask": ask}))
    return path.governed.plans.settle(ACME, record.plan.id)


def test_a_plan_runs_in_order_and_succeeds(path: GovernedPath) -> None:
    record, loop = proposed(path), PlanLoop(path)
    end = loop.run(record.plan.id)
    assert end.state is PlanState.SUCCEEDED
    assert loop.order == ["forward shop", "forward cart", "forward pay"]
    assert set(loop.done.values()) == {1}


def test_a_command_does_not_start_before_the_one_before_it_succeeded(path: GovernedPath) -> None:
    record = asked(path)
    path.governed.approvals.decide_plan(click(record, path.people["ann"]))
    first, second = (path.read(m) for m in record.members[:2])
    with pytest.raises(Conflict) as caught:
        path.claim(second)
    assert caught.value.reason == "not_its_turn"
    assert path.claim(first).state is State.EXECUTING
    with pytest.raises(Conflict, match="EXECUTING"):
        path.claim(second)


def test_nothing_starts_before_the_window_or_after_it(path: GovernedPath) -> None:
    opens = path.clock.now() + timedelta(minutes=20)
    commands = (path.command("shop", expires_at=opens + timedelta(hours=1)),)
    plan = plan_over(path, commands, (opens, opens + timedelta(hours=1)))
    record = path.governed.plans.propose(plan, commands, key="later")
    path.governed.commands.record_decision(ACME, path.decision(record.members[0]))
    with pytest.raises(Conflict, match="window opens"):
        path.claim(path.read(record.members[0]))
    path.clock.advance(timedelta(hours=2))
    path.governed.commands.expire_due("*")
    assert path.governed.plans.settle(ACME, plan.id).state is PlanState.EXPIRED


@pytest.mark.parametrize("third", [State.REGRESSED, State.LAPSED])
def test_what_succeeded_is_undone_in_the_stated_order(path: GovernedPath, third) -> None:
    record, loop = proposed(path, compensate_in=(0, 1, 2)), PlanLoop(path, {"pay": third})
    end = loop.run(record.plan.id)
    assert end.state is PlanState.UNDONE
    undone = [line for line in loop.order if line.startswith("undo")]
    assert undone == (
        ["undo pay", "undo shop", "undo cart"] if third is State.REGRESSED else ["undo shop", "undo cart"]
    )


def test_the_commands_after_the_one_that_ended_otherwise_are_cancelled(path: GovernedPath) -> None:
    record, loop = proposed(path), PlanLoop(path, {"cart": State.REGRESSED})
    end = loop.run(record.plan.id)
    assert [m.state for m in end.members] == [State.UNDONE, State.UNDONE, State.CANCELLED]
    assert "forward pay" not in loop.order
    assert "command 2" in end.reason


def test_what_has_no_inverse_stays_and_pages(path: GovernedPath) -> None:
    record = proposed(path, compensate_in=(2,))
    end = PlanLoop(path, {"pay": State.REGRESSED}).run(record.plan.id)
    assert end.state is PlanState.STOPPED
    assert [m.state for m in end.members] == [State.SUCCEEDED, State.SUCCEEDED, State.UNDONE]
    pages = [e for e in told(path) if e.type == "opsmesh.page.raised.v1" and e.data["plan"]]
    assert len(pages) == 1
    assert pages[0].data["runbook"].count("Stands:") == 2


def told(path: GovernedPath):
    return [stored.event for stored in path.governed.outbox.take(1000)]


def test_one_answer_approves_exactly_its_digests(path: GovernedPath) -> None:
    record = asked(path)
    with pytest.raises(Refused) as caught:
        path.governed.approvals.decide_plan(click(record, path.people["ann"], digest=record.digest[:-1] + "0"))
    assert caught.value.reason == "digest_mismatch"
    result = path.governed.approvals.decide_plan(click(record, path.people["ann"]))
    assert (result.won, result.state) == (True, "APPROVED")
    for one in record.members:
        (approval,) = path.governed.commands.approvals(ACME, one.command.id)
        assert approval.digest == one.digest
    late = path.governed.approvals.decide_plan(click(record, path.people["bob"], "reject"))
    assert (late.won, late.state, late.decided_by) == (False, "APPROVED", "ann")


def test_a_member_is_not_answered_or_narrowed_by_itself(path: GovernedPath) -> None:
    record = asked(path)
    first = record.members[0]
    for verdict in ("approve", "reject"):
        with pytest.raises(Refused, match=f"opsmesh plans show {record.plan.id}") as caught:
            path.governed.approvals.decide(path.answer(first, path.people["ann"], verdict))
        assert caught.value.reason == "plan_member"
    child = path.command("shop", parent=first.command.id)
    with pytest.raises(Refused) as caught:
        path.governed.commands.supersede(ACME, first.command.id, child, PrincipalId("ann"), "less")
    assert caught.value.reason == "plan_member"
    assert path.read(first).state is State.AWAITING_APPROVAL


def test_the_quorum_is_the_largest_of_the_members(path: GovernedPath) -> None:
    record = asked(path, quorums=(1, 2, 1))
    decide = path.governed.approvals.decide_plan
    assert not decide(click(record, path.people["ann"])).won
    assert not decide(click(record, path.people["ann"])).won
    assert {path.read(m).state for m in record.members} == {State.AWAITING_APPROVAL}
    assert decide(click(record, path.people["bob"])).won


def test_who_approved_may_still_reject(path: GovernedPath) -> None:
    record = asked(path, quorums=(2, 2, 2))
    decide = path.governed.approvals.decide_plan
    decide(click(record, path.people["ann"]))
    assert decide(click(record, path.people["ann"], "reject")).state == "REJECTED"
    assert {path.read(m).state for m in record.members} == {State.REJECTED}
    for member in record.members:
        assert [a.verdict for a in path.governed.commands.approvals(ACME, member.command.id)] == ["reject"]
    with pytest.raises(Conflict) as caught:
        decide(click(record, path.people["ann"]))
    assert caught.value.reason == "already_answered"
    said = [line.record.action for line in path.governed.audit.read(ACME, subject=record.plan.id)]
    assert [said.count(f"approval.{kind}") for kind in ("recorded", "refused")] == [2, 1]


def test_a_late_answer_names_who_decided_and_not_policy_or_the_late_one(path: GovernedPath) -> None:
    record = proposed(path)
    for one, effect in zip(record.members, ("allow", "ask", "ask"), strict=True):
        path.governed.commands.record_decision(ACME, path.decision(one, effect))
    decide = path.governed.approvals.decide_plan
    assert decide(click(record, path.people["ann"])).decided_by == "ann"
    late = decide(click(record, path.people["bob"]))
    assert (late.won, late.state, late.decided_by) == (False, "APPROVED", "ann")


def test_rights_are_checked_for_every_member(path: GovernedPath) -> None:
    record = asked(path)
    second = record.members[1].command.id
    with pytest.raises(Refused, match="cart"):
        path.governed.approvals.decide_plan(
            click(record, path.people["ann"], forbidden={second: ("not for this one",)})
        )
    assert {path.read(m).state for m in record.members} == {State.AWAITING_APPROVAL}
    for who in (person("viewer", "viewer"), person("bot", "proposer", kind="agent")):
        with pytest.raises(Refused):
            path.governed.approvals.decide_plan(click(record, who))
    with pytest.raises(NotFound):
        path.governed.approvals.decide_plan(click(record, person("mallory", "approver", tenant="globex")))


def test_nobody_approves_their_own_plan(path: GovernedPath) -> None:
    record = asked(path, proposer=PrincipalId("ann"))
    with pytest.raises(Refused) as caught:
        path.governed.approvals.decide_plan(click(record, path.people["ann"]))
    assert caught.value.reason == "self_approval"


def test_a_budget_that_holds_two_of_three_holds_none(path: GovernedPath) -> None:
    path.governed.budgets.set(Budget(tenant=ACME, resource="commands", limit=2, window_s=60), PrincipalId("eve"))
    record = asked(path)
    with pytest.raises(Refused) as caught:
        path.governed.approvals.decide_plan(click(record, path.people["ann"]))
    assert caught.value.reason == "budget"
    (level,) = path.governed.budgets.levels(ACME, path.clock.now())
    assert level.used == 0
    assert {path.read(m).state for m in record.members} == {State.AWAITING_APPROVAL}


def test_any_deny_denies_the_plan(path: GovernedPath) -> None:
    record = proposed(path)
    for one, effect in zip(record.members, ("allow", "deny", "ask"), strict=True):
        path.governed.commands.record_decision(ACME, path.decision(one, effect))
    end = path.governed.plans.settle(ACME, record.plan.id)
    assert end.state is PlanState.DENIED
    assert [m.state for m in end.members] == [State.CANCELLED, State.DENIED, State.CANCELLED]


def test_an_answer_after_the_approval_expired_counts_for_nothing(path: GovernedPath) -> None:
    record = asked(path)
    path.clock.advance(timedelta(minutes=30))
    result = path.governed.approvals.decide_plan(click(record, path.people["ann"]))
    assert (result.won, result.state, result.decided_by) == (False, "EXPIRED", None)
    told = [line.record for line in path.governed.audit.read(ACME, subject=record.plan.id)]
    assert (told[-1].action, told[-1].actor) == ("plan.expired", "clock")


def test_what_succeeded_outside_a_stopped_plan_is_not_undone(path: GovernedPath) -> None:
    alone = path.reach(State.SUCCEEDED)
    with pytest.raises(Refused) as caught:
        path.governed.executions.start_undo(ACME, alone.command.id, **path.held(alone), child=path.undo_of(alone))
    assert caught.value.reason == "not_compensated"


def test_the_same_key_gives_the_first_plan_and_another_content_is_refused(path: GovernedPath) -> None:
    first = proposed(path)
    assert proposed(path).plan.id == first.plan.id
    with pytest.raises(Conflict):
        proposed(path, ("shop", "cart"))
    assert len(path.governed.plans.list(ACME)) == 1


def test_an_order_of_undo_that_cannot_be_kept_is_refused(path: GovernedPath) -> None:
    restart = {"kind": "service.restart", "arguments": {"service": "shop"}}
    with pytest.raises(Invalid) as caught:
        proposed(path, ("shop",), **restart)
    assert caught.value.reason == "plan_not_undoable"
    assert proposed(path, ("shop",), (), **restart).state is PlanState.PROPOSED


@pytest.mark.parametrize("which", ["first", "last"])
def test_a_crash_at_any_point_leaves_a_plan_that_goes_on(path: GovernedPath, which: str) -> None:
    """Die at every point that the life of a plan meets, the first or the last time; the loop goes on to an end."""
    PlanLoop(path, {"pay": State.REGRESSED}).run(proposed(path, key="rehearsal").plan.id)
    met = Counter(path.points.met)
    assert {"plan.before_commit", "plan.committed"} <= set(met) <= POINTS
    for point, times in sorted(met.items()):
        loop, (plan, commands) = PlanLoop(path, {"pay": State.REGRESSED}), built(path)
        path.points.armed, path.points.nth = point, 1 if which == "first" else times
        crashed = 0
        for _ in range(3):
            try:
                end = loop.run(path.governed.plans.propose(plan, commands, key=point).plan.id)
                break
            except Crash:
                crashed += 1
        assert crashed == 1, point
        assert max(loop.done.values(), default=0) <= 1, f"{point}: an effect happened twice"
        stays = [m for m in end.members if loop.done[m.command.idempotency_key] and m.state is not State.UNDONE]
        lost_in_undo = [m.state for m in stays] == [State.UNDO_FAILED]
        assert (end.state is PlanState.UNDONE and not stays) or (end.state is PlanState.STOPPED and lost_in_undo), point
        assert which == "last" or end.state is PlanState.UNDONE, point
        assert path.governed.executions.in_flight("*") == ()
    assert verify(path.database, path.governed.audit, ACME).ok


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ends=st.lists(st.sampled_from([State.SUCCEEDED, State.SUCCEEDED, State.REGRESSED]), min_size=1, max_size=5),
    data=st.data(),
)
def test_whatever_the_ends_a_plan_leaves_all_or_nothing(path: GovernedPath, ends, data) -> None:
    targets = [f"s{number}" for number in range(len(ends))]
    order = tuple(data.draw(st.permutations(range(len(ends)))))
    plan, commands = built(path, targets, order)
    record = path.governed.plans.propose(plan, commands, key=path.ids.ulid())
    loop = PlanLoop(path, dict(zip(targets, ends, strict=True)))
    end = loop.run(record.plan.id)
    failed = ends.index(State.REGRESSED) if State.REGRESSED in ends else None
    ran = targets if failed is None else targets[: failed + 1]
    assert [o for o in loop.order if o.startswith("forward")] == [f"forward {t}" for t in ran]
    back = [] if failed is None else [failed, *(i for i in order if i < failed)]
    assert [o for o in loop.order if o.startswith("undo")] == [f"undo {targets[i]}" for i in back]
    assert end.state is (PlanState.SUCCEEDED if failed is None else PlanState.UNDONE)
    assert next_undo(end) is None
