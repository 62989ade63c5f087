"""What befalls a call on its way: the caller notices, the callee only gets less or the same to do."""

from datetime import timedelta

import pytest

from runtime.simulator.live import Modifier
from runtime.simulator.loglines import log_lines, logs
from runtime.simulator.world import World

CALLER, CALLEE = "checkout", "payments-provider"


def disturb(world: World, **fields: float) -> None:
    edges = tuple(world.layout.edges(caller=CALLER, callee=CALLEE))
    world.live.modifiers["way"] = tuple(Modifier(name, edges, add=value) for name, value in fields.items())
    world.live.dirty = True
    world.advance(world.now + timedelta(minutes=5))


def level(world: World, service: str, channel: str) -> float:
    steps = world.history.rows(world.history.count - 12, world.history.count)
    return float(world.history.truth(channel, steps, world.layout.columns(service)).mean())


def test_edges_are_found_by_either_end(world: World):
    both = world.layout.edges(caller=CALLER, callee=CALLEE)
    assert both
    assert set(both) == set(world.layout.edges(caller=CALLER)) & set(world.layout.edges(callee=CALLEE))
    assert world.layout.edges(caller=CALLEE, callee=CALLER) == []


@pytest.mark.parametrize("kind", ["unresolved", "unauthorised", "unreachable"])
def test_a_call_lost_on_its_way_fails_its_caller_and_spares_its_callee(world: World, kind: str):
    rate, own = level(world, CALLEE, "request_rate"), level(world, CALLEE, "error_share")
    disturb(world, **{kind: 0.9})
    assert level(world, CALLER, "downstream_failed") > 0.3
    assert level(world, CALLEE, "request_rate") < 0.8 * rate
    assert level(world, CALLEE, "error_share") == pytest.approx(own, abs=0.01)


def test_no_answer_costs_the_whole_timeout_and_a_refusal_nothing(world: World):
    quick = level(world, CALLER, "latency_mean_ms")
    disturb(world, unauthorised=0.9)
    assert level(world, CALLER, "latency_mean_ms") < 1.5 * quick
    disturb(world, unreachable=0.9)
    assert level(world, CALLER, "latency_mean_ms") > 5.0 * quick


def test_delay_on_the_way_is_the_callers_time_and_not_the_callees(world: World):
    caller, callee = level(world, CALLER, "latency_mean_ms"), level(world, CALLEE, "latency_mean_ms")
    own = level(world, CALLER, "self_ms")
    disturb(world, way_ms=200.0, jitter_ms=50.0)
    assert level(world, CALLER, "latency_mean_ms") > caller + 100.0
    assert level(world, CALLEE, "latency_mean_ms") < 1.3 * callee
    assert level(world, CALLER, "self_ms") < 1.2 * own


def test_a_lifted_disturbance_leaves_nothing_behind(world: World):
    disturb(world, unreachable=0.5, way_ms=100.0)
    assert not world.plant.undisturbed
    disturb(world)
    assert world.plant.undisturbed
    assert level(world, CALLER, "error_share") < 0.01


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("unresolved", f"could not resolve host {CALLEE}"),
        ("unauthorised", f"login {CALLER} at {CALLEE} refused"),
        ("unreachable", f"connection to {CALLEE} timed out"),
    ],
)
def test_the_caller_logs_what_befell_its_calls_and_nobody_else_does(world: World, kind: str, words: str):
    split = world.now
    disturb(world, **{kind: 0.9})
    patterns = [p for p in logs(world, split - timedelta(minutes=30), split, world.now) if words in p.template]
    assert [p.entity for p in patterns] == [f"service/{CALLER}"]
    assert patterns[0].baseline_count <= 3
    assert patterns[0].current_count > 1000
    lines = log_lines(world, world.now - timedelta(minutes=1), world.now, CALLER)
    assert any(words in line.text for line in lines)


def test_names_fail_to_resolve_now_and_then_on_a_healthy_day(world: World):
    patterns = logs(world, world.now - timedelta(minutes=50), world.now - timedelta(minutes=25), world.now)
    strays = [p for p in patterns if "could not resolve" in p.template]
    assert strays
    assert max(p.baseline_count + p.current_count for p in strays) <= 5
