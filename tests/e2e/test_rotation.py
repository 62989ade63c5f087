"""A service's certificate and login end: one plan of its worker, one approval, and both are new and proven."""

from datetime import timedelta

from domain.commands import State
from domain.plans import PlanState
from evals.crash_cases import APPROVER, TENANT
from governance.plan_approvals import PlanAnswer
from runtime.simulator.trust import serve_certificate
from tests.support.composed import composed

CERTIFICATE, SECRET = "tracking-api-tls", "tracking-api-at-fleet-db"


async def test_certificate_and_secret_are_replaced_in_one_plan(tmp_path):
    async with composed(tmp_path) as bench:
        world = bench.world
        serve_certificate(world, CERTIFICATE, world.elapsed_s + timedelta(days=3).total_seconds(), "nobody-renewed-it")
        world.logins.ends_s[SECRET] = world.elapsed_s + timedelta(days=26).total_seconds()
        await bench.simulation.run(world.now + timedelta(minutes=16))
        (plan,) = bench.mesh.governed.plans.list(TENANT)
        assert plan.state is PlanState.AWAITING_APPROVAL
        assert [m.command.kind for m in plan.members] == ["certificate.rotate", "secret.rotate"]
        answer = PlanAnswer(TENANT, plan.plan.id, plan.digest, APPROVER, "approve", "api")
        bench.mesh.governed.plan_approvals.decide(answer)
        await bench.simulation.run(world.now + timedelta(minutes=40))
        done = bench.mesh.governed.plans.get(TENANT, plan.plan.id)
        assert [m.state for m in done.members] == [State.SUCCEEDED, State.SUCCEEDED]
        assert done.standing is PlanState.SUCCEEDED
        assert world.certificates[CERTIFICATE] > world.elapsed_s + timedelta(days=89).total_seconds()
        assert world.logins.ends_s[SECRET] > world.elapsed_s + timedelta(days=89).total_seconds()
