"""The way of a command on both databases: what each step writes, and what it refuses."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from domain.commands import State
from domain.decisions import Budget
from domain.errors import Conflict, Invalid, NotFound, Refused
from domain.ids import PrincipalId, TenantId
from governance.verification import verify
from storage.tables.governance import audit_records, outbox, reservations
from tests.support.governed import ACME, WORKER, GovernedPath


def states_told(path):
    return [event.event.data["state"] for event in path.governed.outbox.take(1000) if "state" in event.event.data]


def test_the_good_way_is_told_in_state_audit_and_events(path: GovernedPath) -> None:
    record = path.reach(State.SUCCEEDED)
    assert path.read(record).state is State.SUCCEEDED
    way = ["PROPOSED", "APPROVED", "EXECUTING", "EXECUTED", "VERIFYING", "SUCCEEDED"]
    assert states_told(path) == way
    lines = path.governed.audit.read(ACME, subject=record.command.id)
    assert [line.body["to"] for line in lines if "to" in line.body] == way
    assert verify(path.database, path.governed.audit).ok


def test_the_same_key_gives_the_first_and_another_content_is_a_conflict(path: GovernedPath) -> None:
    first = path.proposed(idempotency_key="k")
    again = path.proposed(idempotency_key="k")
    assert again.command.id == first.command.id
    with pytest.raises(Conflict):
        path.proposed("cart", idempotency_key="k")


def test_one_proposal_name_has_one_command_whatever_a_second_run_proposes(path: GovernedPath) -> None:
    commands = path.governed.commands
    first = commands.propose(path.command(), unique="incident-1|sre|1")
    assert commands.propose(path.command("cart"), unique="incident-1|sre|1").command.id == first.command.id
    other = commands.propose(path.command("cart", tenant="globex"), unique="incident-1|sre|1")
    assert other.command.id != first.command.id


def test_policy_decides_once_and_the_second_learns_the_first(path: GovernedPath) -> None:
    record = path.proposed()
    first = path.governed.commands.record_decision(ACME, path.decision(record, "deny"))
    second = path.governed.commands.record_decision(ACME, path.decision(record, "allow"))
    assert (first.won, second.won, second.state, second.decided_by) == (True, False, "DENIED", "policy")
    assert path.governed.commands.decision(ACME, record.command.id).effect == "deny"


def test_a_decision_about_another_digest_is_refused(path: GovernedPath) -> None:
    one, other = path.proposed(), path.proposed("cart")
    with pytest.raises(Refused, match="another digest"):
        path.governed.commands.record_decision(ACME, path.decision(one, digest=other.digest))
    assert path.read(one).state is State.PROPOSED


@pytest.mark.parametrize(
    "changed",
    [
        {"untrusted_only": True},
        {"kind": "secret.rotate", "arguments": {"secret": "db"}},
    ],
)
def test_what_always_needs_a_human_is_denied_when_policy_would_let_it_run(path: GovernedPath, changed) -> None:
    record = path.decided("allow", **changed)
    assert record.state is State.DENIED
    assert record.reason.startswith("floor:")


def test_another_tenant_never_sees_a_command(path: GovernedPath) -> None:
    record, globex = path.executing(), TenantId("globex")
    commands, executions, key = path.governed.commands, path.governed.executions, record.command.id
    for call in (
        lambda: commands.get(globex, key),
        lambda: commands.cancel(globex, key, PrincipalId("ann"), ""),
        lambda: executions.renew(globex, key, fencing=record.fencing, lease_s=9),
        lambda: executions.start_verifying(globex, key, fencing=record.fencing, worker=WORKER),
        lambda: path.governed.grants.issue(globex, key, fencing=record.fencing),
    ):
        with pytest.raises(NotFound):
            call()
    assert commands.list(globex) == ()
    assert commands.decision(globex, key) is None
    assert path.governed.audit.read(globex) == ()


def test_one_command_in_flight_per_resource_and_failure_domain(path: GovernedPath) -> None:
    first, same = path.executing("shop"), path.decided("allow", "shop")
    with pytest.raises(Conflict) as caught:
        path.claim(same)
    assert caught.value.reason == "in_flight"
    assert first.command.id in str(caught.value)
    zone = {"failure_domains": ("zone/a",), "resources": ()}
    affected = first.command.affected.model_copy(update=zone)
    path.executing("cart", affected=affected)
    with pytest.raises(Conflict):
        path.claim(path.decided("allow", "auth", affected=affected))
    assert path.claim(path.decided("allow", "free")).state is State.EXECUTING


@pytest.mark.parametrize("end", [State.SUCCEEDED, State.INCONCLUSIVE, State.FAILED])
def test_an_end_gives_the_resources_back(path: GovernedPath, end) -> None:
    path.reach(end)
    with path.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(reservations)).scalar_one() == 0
    assert path.executing().state is State.EXECUTING


def test_an_undo_runs_under_its_parents_decision_and_reservation(path: GovernedPath) -> None:
    go, parent = path.governed.executions, path.reach(State.REGRESSED)
    held = path.held(parent)
    parent, undo = go.start_undo(ACME, parent.command.id, **held, child=path.undo_of(parent))
    assert (parent.state, undo.state, undo.decided_by) == (State.UNDOING, State.APPROVED, "policy")
    running = path.claim(undo, decision=None)
    assert running.state is State.EXECUTING
    assert path.governed.grants.issue(ACME, undo.command.id, fencing=running.fencing)
    with pytest.raises(Conflict):
        path.claim(path.decided("allow", "shop"))
    done = go.record_effect(ACME, undo.command.id, **path.held(running), receipt=path.receipt(running))
    done = go.start_verifying(ACME, done.command.id, **path.held(running))
    go.finish(ACME, done.command.id, **path.held(running), verdict=State.SUCCEEDED)
    assert go.finish_undo(ACME, parent.command.id, **held, undone=True).state is State.UNDONE
    assert path.claim(path.decided("allow", "shop")).state is State.EXECUTING


def test_an_undo_restores_only_what_its_command_wrote(path: GovernedPath) -> None:
    parent = path.reach(State.REGRESSED)
    wide = path.undo_of(parent, patches=path.command("cart").patches)
    with pytest.raises(Refused, match="only what its command wrote"):
        path.governed.executions.start_undo(ACME, parent.command.id, **path.held(parent), child=wide)
    with pytest.raises(Invalid):
        path.governed.commands.propose(path.undo_of(parent))


def test_a_failed_commands_undo_waits_for_whoever_took_its_resources(path: GovernedPath) -> None:
    failed = path.reach(State.FAILED)
    path.executing("shop")
    with pytest.raises(Conflict) as caught:
        path.governed.executions.start_undo(ACME, failed.command.id, **path.held(failed), child=path.undo_of(failed))
    assert caught.value.reason == "in_flight"
    assert path.read(failed).state is State.FAILED


@pytest.mark.parametrize("state", [State.FAILED, State.INCONCLUSIVE, State.UNKNOWN])
def test_states_that_need_a_person_page_one_with_a_filled_in_runbook(path: GovernedPath, state) -> None:
    record = path.reach(state)
    pages = [e.event for e in path.governed.outbox.take(100) if e.event.type == "opsmesh.page.raised.v1"]
    assert [page.subject for page in pages] == [record.command.id]
    assert record.command.id in pages[0].data["runbook"]
    assert "{" not in pages[0].data["runbook"]


def test_a_failed_undo_pages(path: GovernedPath) -> None:
    parent = path.reach(State.UNDOING)
    path.governed.executions.finish_undo(ACME, parent.command.id, **path.held(parent), undone=False, reason="conflict")
    pages = [e.event for e in path.governed.outbox.take(100) if e.event.type == "opsmesh.page.raised.v1"]
    assert "UNDO_FAILED" in pages[-1].data["reason"]


def test_narrowing_supersedes_and_the_child_needs_its_own_decision(path: GovernedPath) -> None:
    parent = path.decided("ask")
    child = path.command(parent=parent.command.id, arguments={"service": "shop", "to_version": "v0"})
    made = path.governed.commands.supersede(ACME, parent.command.id, child, PrincipalId("ann"), "older is safer")
    assert made.state is State.PROPOSED
    assert path.read(parent).state is State.SUPERSEDED
    result = path.governed.approvals.decide(path.answer(parent, path.people["ann"]))
    assert (result.won, result.state) == (False, "SUPERSEDED")


def test_a_child_that_reaches_further_is_refused(path: GovernedPath) -> None:
    parent = path.decided("ask")
    wider = path.command(parent=parent.command.id)
    wider = wider.model_copy(
        update={"affected": wider.affected.model_copy(update={"resources": ("service/shop", "service/cart")})}
    )
    with pytest.raises(Refused, match="service/cart"):
        path.governed.commands.supersede(ACME, parent.command.id, wider, PrincipalId("ann"), "more")
    assert path.read(parent).state is State.AWAITING_APPROVAL


def test_what_nobody_answers_or_starts_in_time_ends(path: GovernedPath) -> None:
    proposed, asked, approved = path.proposed(), path.decided("ask", "cart"), path.decided("allow", "auth")
    path.clock.advance(timedelta(minutes=31))
    assert [r.command.id for r in path.governed.commands.expire_due("*")] == [asked.command.id]
    path.clock.advance(timedelta(minutes=30))
    path.governed.commands.expire_due("*")
    assert [path.read(r).state for r in (proposed, asked, approved)] == [State.DENIED, State.EXPIRED, State.EXPIRED]
    assert path.governed.commands.expire_due("*") == ()


def test_cancelling_works_before_the_start_only(path: GovernedPath) -> None:
    waiting, running = path.decided("ask", "cart"), path.executing()
    cancel = path.governed.commands.cancel
    assert cancel(ACME, waiting.command.id, PrincipalId("ann"), "no longer wanted").state is State.CANCELLED
    with pytest.raises(Conflict):
        cancel(ACME, running.command.id, PrincipalId("ann"), "too late")


def test_budgets_are_held_with_the_decision_and_given_back_before_the_start(path: GovernedPath) -> None:
    path.governed.budgets.set(Budget(tenant=ACME, resource="commands", limit=2, window_s=3600), PrincipalId("ann"))
    one, two = path.decided("allow", "a"), path.decided("allow", "b")
    denied = path.decided("allow", "c")
    assert (denied.state, denied.reason.partition(":")[0]) == (State.DENIED, "budget")
    path.governed.commands.cancel(ACME, two.command.id, PrincipalId("ann"), "")
    path.claim(one)
    assert path.decided("allow", "d").state is State.APPROVED
    path.clock.advance(timedelta(seconds=3601))
    assert path.governed.budgets.levels(ACME, path.clock.now())[0].used == 1  # held counts, spent has left the window


def test_a_lowered_budget_lapses_what_it_no_longer_holds(path: GovernedPath) -> None:
    record = path.decided("allow")
    path.governed.budgets.set(Budget(tenant=ACME, resource="commands", limit=0, window_s=60), PrincipalId("ann"))
    moved = path.claim(record)
    assert (moved.state, moved.reason.partition(":")[0]) == (State.LAPSED, "budget")


def test_nothing_is_left_of_a_step_whose_transaction_fails(path: GovernedPath) -> None:
    record = path.decided("allow")
    with path.database.read() as connection:
        before = [connection.execute(select(func.count()).select_from(t)).scalar_one() for t in (audit_records, outbox)]
    path.points.armed = "claim.before_commit"
    with pytest.raises(BaseException, match="claim"):
        path.claim(record)
    with path.database.read() as connection:
        after = [connection.execute(select(func.count()).select_from(t)).scalar_one() for t in (audit_records, outbox)]
    assert before == after
    assert path.read(record).state is State.APPROVED
    assert path.claim(record).state is State.EXECUTING
