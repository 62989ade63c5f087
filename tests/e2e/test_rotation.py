"""A certificate and a login end: one plan of the worker, one answer of whoever is on call, both new and proven."""

from dataclasses import replace
from datetime import timedelta

from domain.commands import State
from domain.plans import PlanState
from domain.principals import Reach
from evals.crash_cases import TENANT
from mesh.on_call import ON_CALL, Approver, OnCall
from mesh.tracing import TracesBehind
from runtime.simulator.trust import serve_certificate
from tests.support.composed import composed

EVERYWHERE = Reach(places=frozenset({("*", "*")}))
CERTIFICATE, SECRET = "tracking-api-tls", "tracking-api-at-fleet-db"


async def test_certificate_and_secret_are_replaced_in_one_plan(tmp_path):
    async with composed(tmp_path, loops=("certificate_rotation",)) as bench:
        world = bench.world
        serve_certificate(world, CERTIFICATE, world.elapsed_s + timedelta(days=3).total_seconds(), "nobody-renewed-it")
        world.logins.ends_s[SECRET] = world.elapsed_s + timedelta(days=26).total_seconds()
        await bench.simulation.run(world.now + timedelta(minutes=16))
        (plan,) = bench.mesh.governed.plans.list(TENANT)
        assert plan.state is PlanState.AWAITING_APPROVAL
        assert [m.command.kind for m in plan.members] == ["certificate.rotate", "secret.rotate"]
        people = OnCall(bench.mesh, Approver())
        people.introduce()
        await replace(bench.simulation, people=people.answer).run(world.now + timedelta(minutes=44))
        done = bench.mesh.governed.plans.get(TENANT, plan.plan.id)
        assert [m.state for m in done.members] == [State.SUCCEEDED, State.SUCCEEDED]
        assert done.standing is PlanState.SUCCEEDED
        assert {m.decided_by for m in done.members} <= {person.id for person in ON_CALL}
        traced = TracesBehind(bench.mesh).find(EVERYWHERE, done.members[0].command.evidence[0]).lines
        kinds = [line.kind for line in traced]
        order = ["finding", "proposal", "decision", "tool", "verification", "outcome"]
        assert sorted(order, key=kinds.index) == order
        assert {m.command.id for m in done.members} <= {line.ref for line in traced}
        assert world.certificates[CERTIFICATE] > world.elapsed_s + timedelta(days=89).total_seconds()
        assert world.logins.ends_s[SECRET] > world.elapsed_s + timedelta(days=89).total_seconds()
