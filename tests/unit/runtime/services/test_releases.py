"""Releases over HTTP and in time: asked for, moved, held, taken back, carried on after a restart, kept apart."""

from dataclasses import dataclass
from datetime import timedelta

import pytest

from domain.changes import Patch
from domain.commands import Proposal
from domain.policies import ReleasePolicy, TrafficPolicy, TrafficStep
from domain.releases import ReleaseState
from domain.topology import EntityRef
from mesh.time import VirtualClock
from runtime.planes import Planes
from runtime.services.traffic.controller import RELEASES, ReleaseController
from runtime.simulator import actuators
from runtime.simulator.demo import demo_world
from runtime.simulator.live import Traits
from runtime.simulator.world import World
from runtime.targets.simulated import SimulatedTarget
from runtime.targets.traffic import SimulatedTraffic
from tests.support.runtime_bench import EXECUTOR, PROD, make_bench, principal
from tools.actions import bind_actions

TENANT, SERVICE, NEW = "borealis-media", "player-api", "v9.0.0"
STEPS = (TrafficStep(share=0.2, hold_s=120), TrafficStep(share=0.5, hold_s=120))
CANARY = ReleasePolicy(candidate=NEW, steps=STEPS)


@dataclass
class Place:
    bench: object
    world: World

    async def command(self, kind, **arguments):
        """Let a governed command take effect through its tool, the door and a grant."""
        tool = {"traffic_policy.apply": "traffic_policy", "release.promote": "release"}.get(
            kind, kind.replace(".", "_")
        )
        proposal = Proposal(
            kind=kind, arguments={"service": SERVICE, **arguments}, target=EntityRef(kind="service", id=SERVICE),
            tenant=TENANT, environment=PROD, proposer="ana", rationale="because",
        )  # fmt: skip
        action = bind_actions(self.bench.client)[tool]
        command = self.bench.command(proposal, await action.plan(proposal, at=self.bench.clock.now()))
        await action.apply(command, grant=self.bench.issuer.grant(command))
        return action, command

    async def undo(self, action, command):
        plan = await action.plan_undo(command, at=self.bench.clock.now())
        undo = self.bench.command(
            Proposal.model_validate({name: getattr(command, name) for name in ("kind", "arguments", "target", "tenant",
                                     "environment", "proposer")} | {"rationale": "undo"}),
            plan, parent=command.id, role="undo",
        )  # fmt: skip
        await action.apply(undo, grant=self.bench.issuer.grant(undo))

    async def release(self, plan=CANARY):
        return await self.command("traffic_policy.apply", policy=TrafficPolicy(release=plan).model_dump(mode="json"))

    async def live(self, minutes):
        ends = self.world.now + timedelta(minutes=minutes)
        while self.world.now < ends:
            self.world.advance(self.world.now + timedelta(seconds=30))
            self.bench.clock.move_to(self.world.now)
            assert await self.bench.services.reconcile() == ()

    def state(self) -> ReleaseState:
        with self.bench.services.database.read() as connection:
            return next(d.body for d in RELEASES.list(connection, PROD) if d.body.service == SERVICE)

    @property
    def runs(self):
        return self.world.live.services[SERVICE].version

    @property
    def share(self):
        return self.world.live.beside.get(SERVICE, ("", 0.0))[1]

    def told(self):
        return [e.data for _, e in self.bench.told.events if e.type == "runtime.release.changed.v1"]


@pytest.fixture
async def place(tmp_path):
    world = World(demo_world(), 1)
    world.advance(world.now + timedelta(minutes=10))
    bench = await make_bench(
        tmp_path, lambda _: SimulatedTarget(world), world.spec.tenants, clock=VirtualClock(world.now),
        planes=Planes(traffic=SimulatedTraffic(world)),
    )  # fmt: skip
    bench.services.authenticator.held["person-token"] = principal("ana", ("proposer", TENANT))
    yield Place(bench, world)
    await bench.client.http.aclose()
    bench.services.database.close()


async def test_a_good_candidate_goes_step_by_step_and_each_step_is_told(place):
    former = place.runs
    await place.release()
    await place.live(20)
    assert (place.state().phase, place.runs, place.share) == ("promoted", NEW, 0.0)
    told = [(d["phase"], d["step"], d["share"]) for d in place.told()]
    assert told == [("waiting", 0, 0.0), ("running", 0, 0.2), ("running", 1, 0.5), ("promoted", 1, 1.0)]
    assert place.world.live.services[SERVICE].split.version == former


async def test_a_bad_candidate_is_taken_back(place):
    former = place.runs
    place.world.live.traits[SERVICE, NEW] = Traits(error_add=0.2)
    await place.release()
    await place.live(12)
    state = place.state()
    assert (state.phase, place.runs, place.share) == ("rolled_back", former, 0.0)
    assert "errors rate" in state.detail
    assert place.world.live.services[SERVICE].split is None


async def test_paused_it_stays_where_it_is_and_resumed_it_goes_on(place):
    await place.release()
    await place.live(6)
    assert place.state().phase == "running"
    await place.command("release.pause")
    await place.live(10)
    held = place.share
    assert place.state().phase == "paused"
    assert held in (0.2, 0.5)
    await place.command("release.resume")
    await place.live(15)
    assert place.state().phase == "promoted"


async def test_people_abort_and_promote(place):
    former = place.runs
    await place.release()
    await place.live(5)
    await place.command("release.abort")
    await place.live(1.5)
    assert (place.state().phase, place.share, place.runs) == ("rolled_back", 0.0, former)
    await place.command("release.resume")
    await place.command("release.promote")
    await place.live(2)
    assert (place.state().phase, place.runs) == ("promoted", NEW)


async def test_one_command_takes_a_finished_release_back_without_a_rollout(place):
    former = place.runs
    await place.release()
    await place.live(20)
    await place.command("release.abort")
    await place.live(1)
    assert (place.state().phase, place.runs, place.share) == ("undone", former, 0.0)
    assert SERVICE not in place.world.live.rollouts or place.world.live.rollouts[SERVICE].end_s <= place.world.elapsed_s


async def test_the_undo_of_a_promotion_is_the_way_back(place):
    former = place.runs
    await place.release()
    await place.live(5)
    action, command = await place.command("release.promote")
    await place.live(1.5)
    assert place.runs == NEW
    await place.undo(action, command)
    await place.live(1.5)
    assert (place.state().phase, place.runs) == ("undone", former)


async def test_the_undo_of_the_policy_ends_the_release(place):
    former = place.runs
    action, command = await place.release()
    await place.live(5)
    await place.undo(action, command)
    await place.live(1.5)
    assert (place.state().phase, place.runs, place.share) == ("rolled_back", former, 0.0)


async def test_a_controller_that_starts_anew_goes_on_where_the_last_one_was(place):
    await place.release()
    await place.live(6)
    before = place.state()
    fresh = ReleaseController(place.bench.services.parts)
    await fresh.turn()
    assert place.state().step == before.step
    assert place.state().looks >= before.looks
    await place.live(15)
    assert place.state().phase == "promoted"
    assert [d["phase"] for d in place.told()].count("waiting") == 1


async def test_the_former_version_is_let_go_after_a_while(place):
    await place.release(CANARY.model_copy(update={"keep_warm_s": 300}))
    await place.live(20)
    assert place.state().phase == "promoted"
    await place.live(6)
    assert place.world.live.services[SERVICE].split is None


async def test_blue_green_moves_all_at_once_and_is_judged_by_what_was_before(place):
    plan = ReleasePolicy(candidate=NEW, strategy="blue_green", steps=(TrafficStep(share=1.0, hold_s=180),))
    await place.release(plan)
    await place.live(5)
    assert place.share == 1.0
    await place.live(8)
    assert (place.state().phase, place.runs) == ("promoted", NEW)


async def test_a_cohort_release_moves_tenants(place):
    await place.release(ReleasePolicy(candidate=NEW, strategy="cohort", cohorts=((TENANT,),), steps=STEPS[:1]))
    await place.live(5)
    assert place.share > 0.9


async def test_a_version_that_somebody_else_puts_in_place_stops_it(place):
    await place.release()
    await place.live(5)
    actuators.write_externally(place.world, ("services", SERVICE, "version"), "v1.7.7", "ci")
    await place.live(2)
    assert place.state().phase == "stopped"
    assert "v1.7.7" in place.state().detail
    assert place.runs == "v1.7.7"


async def test_nobody_writes_the_split_but_the_controller(place):
    patch = Patch(op="set", path=("services", SERVICE, "split"), value={"version": NEW, "share": 1.0})
    async with place.bench.http(EXECUTOR) as http:
        answer = await http.patch(
            f"/runtime/environments/{PROD}/desired-state?dryRun=true",
            json={"patches": [patch.model_dump(mode="json")]}, headers={"Opsmesh-Tenant": TENANT},
        )  # fmt: skip
    assert answer.json()["reason"] == "field_owned"


def body(**changed):
    return {"environment": PROD, "service": SERVICE, "policy": {"release": CANARY.model_dump(mode="json")}} | changed


async def test_a_policy_without_a_grant_is_a_proposal_and_a_dry_run_is_nothing(place):
    async with place.bench.http() as http:
        preview = await http.post("/runtime/traffic-policies?dryRun=true", json=body())
        assert preview.status_code == 200
        assert {c["path"] for c in preview.json()["changes"]} == {"traffic.release"}
        first = await http.post("/runtime/traffic-policies", json=body(), headers={"Idempotency-Key": "k1"})
        again = await http.post("/runtime/traffic-policies", json=body(), headers={"Idempotency-Key": "k1"})
        stale = await http.post("/runtime/traffic-policies", json=body(), headers={"If-Match": '"99"'})
    assert (first.status_code, again.json()) == (202, first.json())
    assert stale.status_code in (409, 412)
    (proposal,) = place.bench.proposals.taken.values()
    assert (proposal.kind, proposal.target.address) == ("traffic_policy.apply", f"service/{SERVICE}")


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"service": "storefront"}, 404),
        ({"service": "nothing"}, 404),
        ({"environment": "elsewhere"}, 404),
        ({"policy": {"region_weights": {"moon": 1.0}}}, 422),
        ({"policy": {"release": {"candidate": NEW, "steps": []}}}, 422),
        ({"extra": 1}, 422),
    ],
)
async def test_what_does_not_fit_is_refused(place, changed, status):
    async with place.bench.http() as http:
        assert (await http.post("/runtime/traffic-policies", json=body(**changed))).status_code == status


async def test_a_strangers_answer_is_that_for_a_missing_service(place):
    async with place.bench.http() as http:
        crossed = await http.post("/runtime/traffic-policies", json=body(service="storefront"))
        missing = await http.post("/runtime/traffic-policies", json=body(service="nothing"))
    assert crossed.content == missing.content


async def test_the_state_of_a_release_is_read_by_its_tenant_alone(place):
    await place.release()
    await place.live(6)
    async with place.bench.http() as http:
        read = (await http.get(f"/runtime/traffic-policies/{PROD}")).json()
    (mine,) = [s for s in read["services"] if s["service"] == SERVICE]
    assert mine["release"]["phase"] == "running"
    assert mine["split"]["share"] in (0.2, 0.5)
    assert mine["release"]["history"][-1]["share_observed"] == pytest.approx(mine["split"]["share"], abs=0.05)
    owners = {s.id: s.tenant for s in place.world.spec.services}
    assert {owners[s["service"]] for s in read["services"]} == {TENANT}
