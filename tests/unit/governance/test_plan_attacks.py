"""What somebody may try with a plan after it was shown or approved: nothing starts that was not on the card."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from domain.commands import State
from domain.decisions import Freeze, KillSwitch
from domain.errors import Conflict, Invalid, Refused
from domain.ids import PrincipalId
from domain.plans import PlanState
from storage.tables.governance import change_plans, commands
from tests.support.governed import ACME, GovernedPath, person
from tests.support.plans import PlanLoop, built, click
from tests.unit.governance.test_plans import asked, proposed

SECOND = 1


def approved(path: GovernedPath, *arguments):
    record = asked(path, *arguments)
    assert path.governed.approvals.decide_plan(click(record, path.people["ann"])).won
    return path.governed.plans.get(ACME, record.plan.id)


def rewritten(path: GovernedPath, record, **changed) -> None:
    """Change the stored plan behind governance's back; its digest is left as it was."""
    body = record.plan.model_copy(update=changed).model_dump(mode="json")
    with path.database.begin() as connection:
        connection.execute(update(change_plans).where(change_plans.c.id == record.plan.id).values(body=body))


def after_the_first(path: GovernedPath, record, loop: PlanLoop) -> None:
    """Carry the plan on until its first command has succeeded and the second could start."""
    first = record.members[0]
    while path.read(first).state is not State.SUCCEEDED:
        loop.advance(path.read(first))


def test_a_step_edited_after_approval_lapses_and_the_others_are_taken_back(path: GovernedPath) -> None:
    record, loop = approved(path), PlanLoop(path)
    edited = record.members[SECOND].command.model_copy(update={"arguments": {"service": "cart", "to_version": "v0"}})
    assert edited.digest != record.members[SECOND].digest
    with path.database.begin() as connection:
        body = edited.model_dump(mode="json")
        connection.execute(update(commands).where(commands.c.id == edited.id).values(body=body))
    end = loop.run(record.plan.id)
    assert [m.state for m in end.members] == [State.UNDONE, State.LAPSED, State.CANCELLED]
    assert "digest" in end.reason
    assert loop.order == ["forward shop", "undo shop"]


@pytest.mark.parametrize("what", ["window", "compensation", "another step's digest"])
def test_a_plan_rewritten_after_approval_starts_nothing(path: GovernedPath, what) -> None:
    record = approved(path)
    changed = {
        "window": {"window_end": record.plan.window_end + timedelta(days=1)},
        "compensation": {"compensate_in": ()},
        "another step's digest": {"digests": (record.plan.digests[1], *record.plan.digests[1:])},
    }
    rewritten(path, record, **changed[what])
    with pytest.raises(Conflict, match="plan_altered"):
        path.claim(path.read(record.members[0]))
    path.clock.advance(timedelta(hours=3))
    path.governed.commands.expire_due("*")
    assert path.governed.plans.settle(ACME, record.plan.id).state is PlanState.EXPIRED


def test_two_steps_that_changed_places_take_no_answer(path: GovernedPath) -> None:
    record = asked(path)
    rewritten(path, record, commands=record.plan.commands[::-1])
    with pytest.raises(Refused) as caught:
        path.governed.approvals.decide_plan(click(record, path.people["ann"]))
    assert caught.value.reason == "plan_altered"
    assert {path.read(m).state for m in record.members} == {State.AWAITING_APPROVAL}


def test_a_plan_whose_digests_are_not_its_commands_is_not_taken(path: GovernedPath) -> None:
    plan, members = built(path)
    other = path.command("shop", expires_at=plan.window_end, rationale="another")
    for wrong in ((other, *members[1:]), members[::-1], members[:2]):
        with pytest.raises(Invalid) as caught:
            path.governed.plans.propose(plan, wrong, key="k")
        assert caught.value.reason == "plan_mismatch"
    assert path.governed.commands.list(ACME) == ()


def test_one_person_under_two_channels_and_names_is_one_of_the_quorum(path: GovernedPath) -> None:
    record = asked(path, quorums=(2, 2, 2))
    decide = path.governed.approvals.decide_plan
    twice = person("ann", "approver", "operator").model_copy(update={"name": "Somebody else"})
    for who in (path.people["ann"], twice):
        assert not decide(click(record, who)).won
    assert {path.read(m).state for m in record.members} == {State.AWAITING_APPROVAL}


def test_a_window_that_ends_between_two_steps_takes_the_first_back(path: GovernedPath) -> None:
    record, loop = approved(path), PlanLoop(path)
    after_the_first(path, record, loop)
    path.clock.advance(timedelta(hours=3))
    path.governed.commands.expire_due("*")
    end = loop.run(record.plan.id)
    assert [m.state for m in end.members] == [State.UNDONE, State.EXPIRED, State.EXPIRED]
    assert (end.state, loop.order) == (PlanState.UNDONE, ["forward shop", "undo shop"])


def test_the_same_resource_twice_is_changed_twice_in_order_and_each_once(path: GovernedPath) -> None:
    record, loop = proposed(path, ("shop", "shop")), PlanLoop(path)
    assert loop.run(record.plan.id).state is PlanState.SUCCEEDED
    assert (loop.order, set(loop.done.values())) == (["forward shop"] * 2, {1})


@pytest.mark.parametrize("stop", ["kill switch", "freeze"])
def test_a_stop_between_two_steps_lets_no_further_one_start(path: GovernedPath, stop) -> None:
    record, loop = approved(path), PlanLoop(path)
    after_the_first(path, record, loop)
    now, eve = path.clock.now(), PrincipalId("eve")
    if stop == "freeze":
        path.governed.switches.freeze(
            Freeze(tenant=ACME, start=now, end=now + timedelta(hours=1), reason="sale", by=eve)
        )
    else:
        path.governed.switches.engage(KillSwitch(scope="tenant", value=ACME, engaged_by=eve, at=now, reason="stop"))
    end = loop.run(record.plan.id)
    assert [o for o in loop.order if o.startswith("forward")] == ["forward shop"]
    assert end.members[SECOND].state is State.LAPSED
    assert end.state in {PlanState.UNDONE, PlanState.STOPPED}
