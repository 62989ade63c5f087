"""Users who ask again: a storm outlives its rush, ends by what breaks the loop, and never begins where they do not."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from runtime.simulator import actuators, faults
from runtime.simulator.demand import Trend
from runtime.simulator.faults import Answer
from runtime.simulator.loglines import logs
from runtime.simulator.verdict import hurting
from runtime.simulator.world import World


def run(world: World, minutes: float) -> None:
    world.advance(world.now + timedelta(minutes=minutes))


def storm(world: World) -> faults.Draw:
    drawn = faults.draw(world, "retry_storm", 1)
    faults.inject(world, drawn)
    run(world, 12)
    return drawn


def rate(world: World, service: str) -> float:
    steps = world.history.rows(world.history.count - 6, world.history.count)
    return float(world.history.truth("request_rate", steps, world.layout.columns(service)).sum(axis=1).mean())


def test_the_storm_goes_on_long_after_the_rush(world: World):
    usual = rate(world, faults.draw(world, "retry_storm", 1).names["service"])
    drawn = storm(world)
    assert drawn.fault not in {name for name, t in world.demand.trends.items() if t.ends and t.ends > world.now}
    assert rate(world, drawn.names["service"]) > 2.0 * usual
    run(world, 20)
    assert next(h.service for h in hurting(world)) == drawn.names["service"]


def test_without_repeats_the_same_rush_is_over_when_it_is_over(world: World):
    drawn = faults.draw(world, "retry_storm", 1)
    faults.inject(world, drawn)
    habits = world.demand.clients.habits
    habits[drawn.fault] = replace(habits[drawn.fault], repeats=0.0)
    run(world, 12)
    assert hurting(world) == ()


def test_impatient_users_change_nothing_while_they_are_answered(world: World):
    drawn = faults.draw(world, "retry_storm", 1)
    usual = rate(world, drawn.names["service"])
    faults.inject(world, drawn)
    world.demand.trends.pop(drawn.fault)
    run(world, 10)
    assert rate(world, drawn.names["service"]) == pytest.approx(usual, rel=0.2)
    assert not faults.present(world, drawn)


@pytest.mark.parametrize("place", [0, 1])
def test_either_command_that_breaks_the_loop_ends_it(
    world: World, place: int, carry_out: Callable[[World, Answer], None]
):
    answers = faults.fault_named("retry_storm").answers(world, faults.draw(world, "retry_storm", 1))
    drawn = storm(world)
    carry_out(world, answers[place])
    run(world, 15)
    assert hurting(world) == ()
    assert not faults.present(world, drawn)


def test_neither_a_restart_nor_a_limit_on_somebody_else_ends_it(
    world: World, carry_out: Callable[[World, Answer], None]
):
    drawn = storm(world)
    actuators.restart(world, drawn.names["service"], "op-2")
    tenant = world.layout.services[world.layout.service_index[drawn.names["service"]]].tenant
    other = next(s.tenant for s in world.spec.services if s.demand_rps > 0.0 and s.tenant != tenant)
    carry_out(world, Answer(kind="tenant.throttle", target=f"tenant/{other}"))
    run(world, 15)
    assert faults.present(world, drawn)
    assert drawn.names["service"] in {h.service for h in hurting(world)}


def test_the_gateway_logs_the_repeats_and_those_who_gave_up(world: World):
    split = world.now
    drawn = storm(world)
    mine = {p.template: p for p in logs(world, split - timedelta(minutes=30), split, world.now)
            if p.entity == drawn.entity}  # fmt: skip
    again, gone = (
        mine["request <*> came again, attempt <*>"],
        mine["client closed the connection before the answer was ready"],
    )
    for pattern in (again, gone):
        assert pattern.current_count > 20 * max(pattern.baseline_count, 1)


def test_a_level_ends_and_growth_stops_when_they_say(world: World):
    begun = world.now
    pulse = Trend((0,), begun, level=3.0, ends=begun + timedelta(minutes=4))
    assert [pulse.factor(begun + timedelta(minutes=m), 0.0) for m in (1, 5)] == pytest.approx([3.0, 1.0])
    ramp = Trend((0,), begun, growth_per_day=2.0**36 - 1.0, grown_at=begun + timedelta(minutes=40))
    grown = [ramp.factor(begun + timedelta(minutes=m), 0.0) for m in (0, 20, 40, 90)]
    assert grown == pytest.approx([1.0, np.sqrt(2.0), 2.0, 2.0])
