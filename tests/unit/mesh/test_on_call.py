"""The persona on call answers late, with the digest it was shown, as a person, and gets no further than one."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from domain.commands import State
from domain.decisions import Freeze
from domain.ids import PrincipalId
from domain.plans import PlanRecord, PlanState, PlanWindow
from domain.principals import Principal, RoleGrant
from evals.crash_cases import TENANT, proposal_of
from mesh.cards import command_card, plan_card
from mesh.on_call import DELAY, ON_CALL, Approver, OnCall, trusting
from tests.support.composed import Composed, composed


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Composed]:
    async with composed(tmp_path) as made:
        yield made


def on_call(world: Composed, **changed: object) -> OnCall:
    people = OnCall(world.mesh, replace(Approver(), **changed))
    people.introduce()
    return people


async def test_it_answers_after_its_delay_and_not_before(world: Composed):
    people, record = on_call(world), await world.proposed()
    await people.answer()
    world.clock.move_to(world.clock.now() + DELAY - timedelta(seconds=1))
    await people.answer()
    assert world.read(record).state is State.AWAITING_APPROVAL
    world.clock.move_to(world.clock.now() + timedelta(seconds=1))
    await people.answer()
    decided = world.read(record)
    assert (decided.state, decided.decided_by) == (State.APPROVED, ON_CALL[0].id)
    approvals = world.mesh.governed.commands.approvals(TENANT, record.command.id)
    assert [(a.principal, a.digest) for a in approvals] == [(ON_CALL[0].id, record.digest)]


async def test_its_opinion_of_the_card_decides(world: Composed):
    seen: list[str] = []
    people = on_call(world, delay=timedelta(), opinion=lambda card: (seen.append(card.title), None)[1])
    record = await world.proposed()
    await people.answer()
    assert set(seen) == {"service.rollback on service/routing"}
    assert world.read(record).state is State.AWAITING_APPROVAL
    rejecting = OnCall(world.mesh, replace(Approver(), delay=timedelta(), opinion=lambda _: "reject"))
    await rejecting.answer()
    assert world.read(record).state is State.REJECTED


async def test_a_card_that_hides_its_effect_is_left_lying(world: Composed):
    record = await world.proposed()
    card = command_card(record)
    assert trusting(card) == "approve"
    hidden = card.model_copy(update={"sections": tuple(s for s in card.sections if s.title != "Would change")})
    assert trusting(hidden) is None
    assert trusting(card.model_copy(update={"actions": ()})) is None


async def test_in_a_freeze_its_answer_does_not_count_and_is_audited(world: Composed):
    people = on_call(world, delay=timedelta())
    now = world.clock.now()
    freeze = Freeze(
        tenant=TENANT, start=now, end=now + timedelta(minutes=30), reason="release stop", by=PrincipalId("ann")
    )
    world.mesh.governed.switches.freeze(freeze)
    record = await world.proposed()
    await people.answer()
    assert world.read(record).state is State.AWAITING_APPROVAL
    assert "approval.refused" in world.audited(record)
    grants = (RoleGrant(role="viewer", tenant=TENANT), RoleGrant(role="operator", tenant=TENANT))
    operator = Principal(id=PrincipalId("person:operator"), kind="person", name="Operator", grants=grants)
    await on_call(world, delay=timedelta(), people=(operator,)).answer()
    assert world.read(record).decided_by == operator.id


async def plan_of(world: Composed) -> PlanRecord:
    now = world.clock.now()
    proposals = [proposal_of(kind) for kind in ("service.configure", "scaling_policy.update")]
    window = PlanWindow(start=now, end=now + timedelta(hours=2))
    return await world.mesh.loop.planning.propose(proposals, window=window)


async def test_a_plan_is_answered_as_one_after_the_delay(world: Composed):
    people, record = on_call(world), await plan_of(world)
    assert record.state is PlanState.AWAITING_APPROVAL
    world.clock.move_to(world.clock.now() + DELAY - timedelta(seconds=1))
    await people.answer()
    assert world.mesh.governed.plans.get(TENANT, record.plan.id).state is PlanState.AWAITING_APPROVAL
    world.clock.move_to(world.clock.now() + timedelta(seconds=1))
    await people.answer()
    decided = world.mesh.governed.plans.get(TENANT, record.plan.id)
    assert decided.state is PlanState.APPROVED
    assert {m.decided_by for m in decided.members} == {ON_CALL[0].id}


async def test_a_plans_card_that_hides_its_order_or_its_undo_is_left_lying(world: Composed):
    record = await plan_of(world)
    card = plan_card(record, [])
    assert trusting(card) == "approve"
    for hidden in ("Why", "In order", "If one ends otherwise"):
        left = card.model_copy(update={"sections": tuple(s for s in card.sections if s.title != hidden)})
        assert trusting(left) is None, hidden
    lying = on_call(world, delay=timedelta(), opinion=lambda _: None)
    await lying.answer()
    assert world.mesh.governed.plans.get(TENANT, record.plan.id).state is PlanState.AWAITING_APPROVAL
    await OnCall(world.mesh, replace(Approver(), delay=timedelta(), opinion=lambda _: "reject")).answer()
    assert world.mesh.governed.plans.get(TENANT, record.plan.id).state is PlanState.REJECTED
