"""Runs of experiments: steady state first, watched at every step, everything taken back whatever happens."""

from datetime import timedelta

import pytest

from domain.errors import Conflict, NotFound, Refused
from runtime.injection.ports import LoopSeen
from tests.support.chaos_bench import ALWAYS, chaos_bench, document


@pytest.fixture
async def bench(tmp_path):
    return await chaos_bench(tmp_path)


def loop(stage, within_s):
    provider = {"type": "opsmesh.loop", "stage": stage, "of": "bad release", "within_s": within_s}
    return {"type": "probe", "name": f"{stage} in time", "provider": provider}


async def test_a_run_hurts_waits_looks_and_takes_back(bench):
    progress = await bench.run()
    journal = bench.journal()
    assert (progress.status, journal.status, journal.deviated) == ("done", "completed", False)
    assert [r.activity["name"] for r in journal.run] == ["bad release", "few errors", "good again"]
    assert journal.steady_states.before.steady_state_met
    assert journal.steady_states.after.steady_state_met
    assert journal.duration == 360.0
    assert bench.faults.broken == {}
    assert bench.faults.effects == ["inject op-run-1-0", "revert deploy_errors service/cart"]
    assert bench.told == [("started", "info"), ("injected", "info"), ("reverted", "info"), ("completed", "info")]


async def test_without_a_steady_state_nothing_is_hurt(bench):
    bench.errors(cart=0.5)
    progress = await bench.step()
    assert (progress.status, bench.journal().status, bench.journal().deviated) == ("failed", "failed", True)
    assert "not started" in progress.detail
    assert bench.faults.effects == []


async def test_a_figure_nobody_measured_is_no_steady_state(bench):
    bench.bench.target.metrics = []
    assert (await bench.step()).status == "failed"
    assert bench.faults.effects == []


async def test_a_safeguard_ends_it_at_the_next_look(bench):
    await bench.step()
    assert bench.faults.broken
    progress = await bench.round(shop=0.4)
    assert (progress.status, bench.journal().status) == ("cancelled", "aborted")
    assert "shop works: error_rate of service/shop is 0.4" in progress.detail
    assert bench.faults.broken == {}


async def test_the_deadline_ends_it(bench):
    raw = document()
    raw["controls"][0]["provider"]["after_s"] = 120
    bench.store(raw)
    progress = await bench.run()
    assert progress.status == "cancelled"
    assert "it has lasted 120 s" in progress.detail
    assert bench.journal().duration == 120.0


async def test_a_deviation_is_told_and_the_operation_is_done(bench):
    progress = await bench.run(cart=0.2)
    assert (progress.status, progress.result["deviated"]) == ("done", True)
    assert not bench.journal().steady_states.after.steady_state_met


async def test_a_fault_that_cannot_be_taken_back_is_loud_and_tried_again(bench):
    await bench.step()
    for _ in range(9):
        await bench.round()
    bench.faults.unreachable = 1000
    progress = await bench.run()
    assert progress.status == "failed"
    assert "a rollback failed" in progress.detail
    assert ("rollback_failed", "critical") in bench.told
    (lease,) = bench.watch.book.all()
    assert lease.attempts >= 2
    bench.faults.unreachable = 0
    await bench.watch.turn()
    assert bench.watch.book.all() == ()
    assert bench.faults.broken == {}
    assert bench.told[-1][0] == "reverted"


async def test_an_abort_takes_back_at_once(bench):
    await bench.step()
    record = bench.record("chaos.abort", number=2)
    assert (await bench.operators["chaos.abort"].step(record)).status == "done"
    assert bench.faults.broken == {}
    assert (await bench.round()).status == "cancelled"


async def test_nobody_watching_ends_the_fault_with_its_lease(bench):
    await bench.step()
    bench.bench.clock.move_to(bench.parts.clock.now().replace(minute=3))
    await bench.watch.turn()
    assert bench.faults.broken == {}
    progress = await bench.round()
    assert (progress.status, bench.journal().status) == ("failed", "interrupted")


async def test_a_fault_outlives_no_step_that_never_came(bench):
    """The run itself finds the lease gone by, before the watch does: it does not renew it."""
    await bench.step()
    progress = await bench.round(seconds=121, watch=False)
    assert bench.journal().status == "interrupted"
    assert progress.status == "failed"
    assert bench.faults.broken == {}


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"faults": ()}, "acme has not agreed to deploy_errors"),
        ({"services": ("shop",)}, "acme has not agreed to faults of cart"),
        ({"windows": ()}, "acme has agreed to no fault at this hour"),
        ({"max_share": 0.4}, "reaches 67% of acme's services, 40% is agreed to"),
    ],
)
async def test_consent_that_is_missing_is_named(bench, changed, why):
    consent = ALWAYS.model_copy(update=changed)
    bench.consent(consent=consent)
    with pytest.raises(Refused, match=why) as refused:
        await bench.operators["chaos.run"].plan(bench.asked())
    assert refused.value.reason == "consent_missing"


async def test_shared_things_take_the_consent_of_everybody_who_uses_them(bench):
    raw = document(configuration={"service": "service/auth"})
    bench.place = bench.place.model_copy(update={"tenant": "platform"})
    bench.store(raw, "auth")
    with pytest.raises(Refused, match="globex has given no consent"):
        await bench.operators["chaos.run"].plan(bench.asked(tenant="platform", name="auth"))
    bench.consent("globex")
    plan = await bench.operators["chaos.run"].plan(bench.asked(tenant="platform", name="auth"))
    assert plan.changes[0].after["tenants"] == ["acme", "globex"]


async def test_consent_withdrawn_in_between_stops_the_fault(bench):
    await bench.operators["chaos.run"].plan(bench.asked())
    bench.consent(consent=ALWAYS.model_copy(update={"faults": ()}))
    progress = await bench.step()
    assert progress.status == "failed"
    assert "acme has not agreed" in progress.detail
    assert bench.faults.effects == []


async def test_anothers_service_is_not_found_and_one_run_at_a_time(bench):
    bench.store(document(configuration={"service": "service/portal"}), "portal")
    with pytest.raises(NotFound):
        await bench.operators["chaos.run"].plan(bench.asked(name="portal"))
    with pytest.raises(NotFound):
        await bench.operators["chaos.run"].plan(bench.asked(name="nothing"))
    await bench.step()
    with pytest.raises(Conflict):
        await bench.operators["chaos.run"].plan(bench.asked())


async def test_the_loop_is_witnessed_in_time_or_it_deviates(bench):
    raw = document()
    raw["method"] = [raw["method"][0] | {"pauses": {}}, loop("detected", 120), loop("fixed", 300), loop("undone", 600)]
    bench.store(raw)
    await bench.step()
    at = bench.parts.clock.now()
    bench.witness.said = LoopSeen(detected=at, proposed=at, fixed=None)
    for _ in range(11):
        progress = await bench.round()
    bench.faults.broken.clear()
    progress = await bench.round()
    assert (progress.status, progress.result["deviated"]) == ("done", True)
    assert [r.tolerance_met for r in bench.journal().run] == [None, True, False, True]
    assert bench.witness.asked[0][1] == {"service/cart", "service/shop"}


async def test_what_was_rewritten_after_it_was_allowed_does_not_run(bench):
    """A crash between the commit and the first step leaves time to put another experiment under the name."""
    record = bench.record()
    bench.bench.clock.advance(timedelta(seconds=1))
    other = document()
    other["method"][0]["provider"]["target"] = "service/shop"
    bench.store(other)
    with pytest.raises(Conflict, match="rewritten"):
        await bench.operators["chaos.run"].step(record)
    assert bench.faults.effects == []


async def test_the_platforms_abort_of_its_own_experiment_ends_no_tenants_of_the_same_name(bench):
    await bench.step()
    mine = bench.place
    bench.place = mine.model_copy(update={"tenant": "platform"})
    bench.store()
    assert (await bench.step(bench.record("chaos.abort", tenant="platform"))).status == "done"
    bench.place = mine
    assert len(bench.watch.book.all()) == 1
    assert (await bench.round()).status == "running"
    assert (await bench.step(bench.record("chaos.abort"))).status == "done"
    assert bench.watch.book.all() == ()
