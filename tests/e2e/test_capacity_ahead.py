"""Room made before it is needed, told whole: the forecast's finding, its command, who answered, and how it ended.

The world has lived for two days; then one entry grows by the hour, towards what its policy may not exceed.
"""

from datetime import timedelta

from domain.commands import TERMINAL, State
from grounding.vectors import MemoryVectors
from mesh.on_call import Approver
from mesh.simulation import Choices, open_simulated
from runtime.simulator.demand import Trend
from runtime.simulator.demo import demo_world
from tests.e2e.test_worker_traces import ORDER, records, stages, told

STEP_S = 60


async def test_growth_is_met_before_it_needs_the_room(tmp_path, monkeypatch):
    spec = demo_world().model_copy(update={"step_s": STEP_S, "retention_steps": 4 * 86_400 // STEP_S})
    choices = Choices(
        vectors=MemoryVectors(), loops=("capacity_forecast",), approver=Approver(), warm_up=timedelta(days=2, hours=21)
    )
    simulated = await open_simulated(tmp_path, spec, 7, choices)
    world, mesh = simulated.world, simulated.mesh
    entry = next(s for s in spec.services if s.demand_rps > 0 and s.scaling is not None)
    began, columns = world.now, tuple(world.layout.columns(entry.id))
    world.demand.trends["growth"] = Trend(columns=columns, since=world.now, growth_per_day=2.0)
    store = mesh.governed.commands

    def mine():
        return [r for r in store.list("*") if r.command.target.address == entry.address]

    await simulated.simulation.run(
        world.now + timedelta(hours=8), stop=lambda: any(r.state in TERMINAL for r in mine())
    )
    await simulated.simulation.run(world.now + timedelta(minutes=1))
    (done,) = mine()
    assert done.state is State.SUCCEEDED, done.reason
    assert done.command.proposer == "worker:capacity_forecast"
    assert done.command.kind == "scaling_policy.update"
    assert world.live.services[entry.id].scaling.max_replicas > entry.scaling.max_replicas
    series = await mesh.runtime.services.parts.target.series(spec.environment, [entry.address], began, world.now)
    told_ms = next(s for s in series if s.metric == "latency_p95_ms").values
    assert max(told_ms) <= entry.slo.latency_p95_ms
    (record,) = [r for r in records(mesh, "capacity.service") if r.finding.resource == entry.address]
    view = await told(mesh, tmp_path, record.finding.id, monkeypatch)
    assert stages(view["lines"]) == [stage for stage in ORDER if stage != "event"]
