"""Versions whose processes do not stay up: waves, back-off, and what ends it."""

from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pytest

from domain.desired import EnvironmentState
from runtime.simulator import actuators, faults, readers
from runtime.simulator.crashes import LONGEST_BACKOFF_S, CrashLoop
from runtime.simulator.verdict import hurting
from runtime.simulator.world import World


def run(world: World, minutes: float) -> None:
    world.advance(world.now + timedelta(minutes=minutes))


def crash(world: World, minutes: float = 8.0) -> faults.Draw:
    drawn = faults.draw(world, "deploy_crash_loop", 1)
    faults.inject(world, drawn)
    run(world, minutes)
    return drawn


def ready(world: World, service: str, minutes: float) -> float:
    steps = world.history.rows(world.history.count - round(minutes * 6), world.history.count)
    return float(world.history.truth("replicas_ready", steps, world.layout.columns(service)).sum(axis=1).mean())


def test_the_back_off_doubles_up_to_five_minutes():
    loop = CrashLoop("v2", lives_s=40.0, startup_s=20.0, rng=np.random.default_rng(1))
    loop.begin(np.array([0.0]))
    exits = [at for at in range(0, 7200, 10) if loop.step(float(at))]
    gaps = np.diff(exits)
    assert gaps[2] < gaps[3] < gaps[4] < gaps[5]
    # start-up and one life come on top of the back-off
    assert gaps.max() < LONGEST_BACKOFF_S + 20.0 + 1.3 * 40.0 + 20.0
    assert gaps[-1] == pytest.approx(LONGEST_BACKOFF_S + 60.0, abs=40.0)


def test_replicas_go_in_waves_and_their_restarts_are_counted(world: World):
    service = faults.draw(world, "deploy_crash_loop", 1).names["service"]
    usual = ready(world, service, 5)
    began = world.now
    crash(world, 4)
    early = ready(world, service, 2)
    run(world, 12)
    late = ready(world, service, 5)
    assert usual > early > late
    _, exits = readers.metrics(world, f"service/{service}", "replicas_ready", began, world.now)
    assert len(set(exits.tolist())) > 3
    restarts = next(
        s for s in readers.series_window(world, began, world.now, entities=(f"service/{service}",))
        if s.metric == "restarts"
    )  # fmt: skip
    assert sum(v or 0.0 for v in restarts.values) >= 3.0


def test_a_restart_hides_it_for_one_life_only(world: World):
    drawn = crash(world)
    before = ready(world, drawn.names["service"], 2)
    actuators.restart(world, drawn.names["service"], "op-1")
    run(world, 0.7)
    assert ready(world, drawn.names["service"], 0.3) > before
    run(world, 12)
    assert drawn.names["service"] in {h.service for h in hurting(world)}


def test_rolling_back_another_service_does_not_help(world: World, changed: Callable[..., EnvironmentState]):
    drawn = crash(world)
    other = next(s for s in ("storefront", "pricing", "checkout") if s != drawn.names["service"])
    actuators.apply_desired(world, changed(world, other, version="v0.9.0"), "op-1")
    run(world, 12)
    assert drawn.names["service"] in {h.service for h in hurting(world)}


def test_switching_another_feature_back_does_not_help(world: World, changed: Callable[..., EnvironmentState]):
    drawn = faults.draw(world, "feature_flag", 2)
    faults.inject(world, drawn)
    run(world, 5)
    other = next(s for s in world.spec.services if s.flags and s.id != drawn.names["service"])
    config = {**world.live.services[other.id].config, other.flags[0]: "false"}
    actuators.apply_desired(world, changed(world, other.id, config=config), "op-1")
    run(world, 8)
    assert drawn.names["service"] in {h.service for h in hurting(world)}
