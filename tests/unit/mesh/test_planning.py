"""A change plan over the whole mesh: planned and decided as its commands, answered as one, run in order."""

from datetime import timedelta

import pytest

from api.ports import PlanClick
from domain.commands import State
from domain.errors import Conflict, Invalid, Refused
from domain.plans import PlanState, PlanWindow
from domain.principals import Reach
from evals.crash_cases import APPROVER, ENVIRONMENT, PROPOSER, TENANT, proposal_of
from mesh.plan_services import PlansBehind
from tests.support.composed import composed

KINDS = ("service.configure", "scaling_policy.update")


def window(held, hours=2):
    now = held.clock.now()
    return PlanWindow(start=now, end=now + timedelta(hours=hours))


async def proposed(held, kinds=KINDS, key="plan", **changed):
    proposals = [proposal_of(kind).model_copy(update=changed) for kind in kinds]
    return await held.mesh.loop.planning.propose(proposals, window=window(held), key=key)


async def answered(held, record, who=APPROVER, verdict="approve"):
    return await held.mesh.loop.planning.answer(record, record.digest, who, verdict, "api")


async def test_a_plan_is_shown_answered_once_and_run_in_order(tmp_path) -> None:
    async with composed(tmp_path) as held:
        record = await proposed(held)
        assert record.state is PlanState.AWAITING_APPROVAL
        assert (await proposed(held)).plan.id == record.plan.id
        with pytest.raises(Conflict):
            await proposed(held, ("service.restart",))
        behind = PlansBehind(held.mesh)
        card = behind.view(Reach(places=frozenset({(TENANT, ENVIRONMENT)})), record.plan.id).card
        assert [line.split(":")[0] for line in card.sections[1].lines if line[0].isdigit()] == [
            f"{n}. {kind} on service/routing" for n, kind in enumerate(KINDS, start=1)
        ]
        assert {(a.of, a.command) for a in card.actions} == {("plan", record.plan.id)}
        for member in record.members:
            assert isinstance(await refused(held, member), Refused)
        result = await behind.decide(PlanClick(APPROVER, record, record.digest, ""), "approve")
        assert (result.won, result.state) == (True, "APPROVED")
        seen: list[tuple[State, State]] = []
        end = held.world.now + timedelta(minutes=40)
        while (
            held.world.now < end
            and held.mesh.governed.plans.get("*", record.plan.id).standing is not PlanState.SUCCEEDED
        ):
            await held.simulation.run(held.world.now + timedelta(minutes=1))
            seen.append(tuple(m.state for m in held.mesh.governed.plans.get("*", record.plan.id).members))
        now = held.mesh.governed.plans.get("*", record.plan.id)
        assert now.state is PlanState.SUCCEEDED, now.reason
        assert all(second is State.APPROVED for first, second in seen if first is not State.SUCCEEDED)


async def refused(held, member):
    try:
        return held.approve(member)
    except Refused as error:
        return error


async def test_what_a_plan_did_is_taken_back_when_a_later_command_cannot_be(tmp_path) -> None:
    async with composed(tmp_path) as held:
        before = held.world.environment_state().services["routing"]
        record = await proposed(held)
        await answered(held, record)
        await held.simulation.run(held.world.now + timedelta(minutes=2))
        first, second = held.mesh.governed.plans.get("*", record.plan.id).members
        assert (first.state, second.state) == (State.VERIFYING, State.APPROVED)
        held.mesh.governed.commands.cancel(TENANT, second.command.id, PROPOSER.id, "not today")
        await held.simulation.run(held.world.now + timedelta(minutes=15))
        end = held.mesh.governed.plans.get("*", record.plan.id)
        assert [m.state for m in end.members] == [State.UNDONE, State.CANCELLED]
        assert end.state is PlanState.UNDONE
        assert held.world.environment_state().services["routing"].config == before.config


async def test_proposals_that_make_no_plan_are_refused(tmp_path) -> None:
    async with composed(tmp_path) as held:
        planning = held.mesh.loop.planning
        one, other = (proposal_of(kind) for kind in KINDS)
        for proposals, reason in (
            ((), "plan_size"),
            ((one, other.model_copy(update={"tenant": "acme-retail"})), "plan_mixed"),
            ((one, one.model_copy(update={"arguments": one.arguments | {"value": "3000"}})), "plan_overlap"),
        ):
            with pytest.raises(Invalid) as caught:
                await planning.propose(proposals, window=window(held))
            assert caught.value.reason == reason
        for hours in (24 * 8, -1):
            with pytest.raises((Invalid, ValueError)):
                await planning.propose((one,), window=window(held, hours))
        assert held.mesh.governed.plans.list("*") == ()
