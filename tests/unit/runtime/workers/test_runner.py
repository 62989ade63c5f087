"""Workers: a finding is kept, told and proposed once per time it is raised, and resolved when it is gone."""

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.errors import Refused, Unavailable
from domain.findings import Act, Finding
from domain.ids import EventKey, TenantId
from domain.topology import EntityRef
from runtime.findings import FINDINGS, RESOLVED
from runtime.ports import Announced
from runtime.worker_runner import WorkerRunner
from tests.support.runtime_bench import PROD
from tests.support.small_runtime import small_bench

SHOP = EntityRef.parse("shop")


def finding(**changed):
    act = Act(
        kind="service.scale", arguments={"service": "shop", "replicas": 1}, target=SHOP, rationale="idle",
        confidence=0.9,
    )  # fmt: skip
    fields = {
        "owner": "cost_anomaly", "kind": "cost.idle", "tenant": TenantId("acme"), "environment": PROD,
        "resource": SHOP.address, "summary": "nobody calls it", "acts": (act,),
    }  # fmt: skip
    return Finding.model_validate(fields | changed)


class Looks:
    name = "cost_anomaly"
    every = timedelta(minutes=5)

    def __init__(self):
        self.found, self.looks, self.blind = (finding(),), 0, False

    async def look(self, parts, environment):
        self.looks += 1
        if self.blind:
            raise Unavailable("no bill", reason="down")
        return self.found


@pytest.fixture
async def bench(tmp_path):
    bench = await small_bench(tmp_path)
    yield bench
    await bench.client.http.aclose()
    bench.services.database.close()


@pytest.fixture
def worker():
    return Looks()


@pytest.fixture
def runner(bench, worker):
    return WorkerRunner(bench.services.parts, bench.proposals, workers=(worker,))


async def later(bench, runner, minutes=5):
    bench.clock.advance(timedelta(minutes=minutes))
    await runner.turn()


def kept(bench):
    with bench.services.database.read() as connection:
        return [d.body for store in (FINDINGS, RESOLVED) for d in store.list(connection, PROD)]


async def test_a_finding_is_told_and_proposed_once(bench, runner, worker):
    await runner.turn()
    for _ in range(3):
        await later(bench, runner)
    assert worker.looks == 4
    assert [(t, e.type) for t, e in bench.told.events] == [("acme", "runtime.finding.raised.v1")]
    (proposal,) = bench.proposals.taken.values()
    (record,) = kept(bench)
    assert (proposal.proposer, proposal.evidence) == ("worker:cost_anomaly", (record.finding.id,))
    assert proposal.trace == record.trace == bench.told.events[0][1].dimensions.traceparent
    assert record.proposed == tuple(f"/commands/{key}" for key in bench.proposals.taken)


async def test_it_rests_between_two_looks(bench, runner, worker):
    await runner.turn()
    await later(bench, runner, minutes=4)
    assert worker.looks == 1


async def test_what_is_gone_is_resolved_and_may_be_raised_again(bench, runner, worker):
    await runner.turn()
    worker.found = ()
    await later(bench, runner)
    assert [r.status for r in kept(bench)] == ["resolved"]
    worker.found = (finding(),)
    await later(bench, runner)
    assert [e.type.split(".")[2] for _, e in bench.told.events] == ["raised", "resolved", "raised"]
    assert len({e.id for _, e in bench.told.events}) == 3
    assert len(bench.proposals.taken) == 2


async def test_a_worker_that_cannot_look_resolves_nothing(bench, runner, worker):
    await runner.turn()
    worker.blind = True
    await later(bench, runner)
    assert [r.status for r in kept(bench)] == ["open"]


async def test_several_acts_are_one_plan(bench, runner, worker):
    (act,) = worker.found[0].acts
    worker.found = (finding(acts=(act, act)),)
    await runner.turn()
    await later(bench, runner)
    assert bench.proposals.taken == {}
    assert [[p.kind for p in plan] for plan in bench.proposals.plans.values()] == [["service.scale", "service.scale"]]
    assert kept(bench)[0].proposed == tuple(f"/plans/{key}" for key in bench.proposals.plans)


async def test_what_cannot_be_proposed_now_is_tried_again(bench, runner, monkeypatch):
    async def refuse(proposal, *, idempotency_key):
        raise Refused("it burns", reason="held")

    with monkeypatch.context() as patched:
        patched.setattr(bench.proposals, "propose", refuse)
        await runner.turn()
    assert [(r.held, r.proposed) for r in kept(bench)] == [("it burns", ())]
    await later(bench, runner)
    assert [(r.held, len(r.proposed)) for r in kept(bench)] == [("", 1)]


async def test_only_the_workers_that_are_on_look(bench, worker):
    await WorkerRunner(bench.services.parts, bench.proposals, only=("backup",), workers=(worker,)).turn()
    assert worker.looks == 0


class Heard:
    def __init__(self, announced):
        self.said, self.asked = announced, []

    def announced(self, finding, types, since):
        self.asked.append((finding.id, tuple(types), since))
        return self.said


@pytest.mark.parametrize(("trace", "kept_trace"), [(f"00-{'e' * 32}-{'f' * 16}-01", "e" * 32), (None, None)])
async def test_a_finding_goes_on_in_the_trace_of_the_event_that_announced_it(bench, worker, trace, kept_trace):
    heard = Heard(Announced(EventKey("01J0000000000000000000000A"), trace))
    parts = replace(bench.services.parts, heard=heard)
    await WorkerRunner(parts, bench.proposals, workers=(worker,)).turn()
    (record,), ((_, event),) = kept(bench), bench.told.events
    (proposal,) = bench.proposals.taken.values()
    assert heard.asked[0][:2] == (record.finding.id, ("runtime.billing.recorded.v1",))
    assert record.woken_by == event.dimensions.causationid == "01J0000000000000000000000A"
    assert proposal.trace == event.dimensions.traceparent == record.trace
    assert kept_trace is None or record.trace.split("-")[1] == kept_trace
