from collections.abc import Callable
from datetime import timedelta

import pytest

from domain.desired import EnvironmentState
from domain.errors import NotFound
from runtime.simulator import actuators, faults
from runtime.simulator.faults import FAULTS, Answer
from runtime.simulator.verdict import hurting
from runtime.simulator.world import World

HURTING = [f for f in FAULTS if f.domain == "sre"]
NAMES = [f.name for f in HURTING]
LASTING = [f.name for f in HURTING if not f.self_heals]
# Of a lost region's users each tenant's are moved by a command of their own: tested with the other places.
RECOVERABLE = [f.name for f in HURTING if f.ending == "recover" and f.name != "region_loss"]
# A leak needs time to fill memory, users to become many, a disk to fill; everything else shows within minutes.
SHOWS_AFTER = {"deploy_leak": 16, "slow_ramp": 34, "quota_hit": 14, "disk_full": 10}


def strike(world: World, name: str, seed: int = 1) -> tuple[faults.Draw, faults.Truth]:
    drawn = faults.draw(world, name, seed)
    return drawn, faults.inject(world, drawn)


def run(world: World, minutes: float) -> None:
    world.advance(world.now + timedelta(minutes=minutes))


def hurt_within(world: World, minutes: int) -> bool:
    """Whether a gate was crossed for three minutes at any time; leaks come and go."""
    for _ in range(minutes):
        run(world, 1)
        if hurting(world, last_s=180.0):
            return True
    return False


def test_there_are_enough_faults_with_every_ending():
    assert len(FAULTS) >= 12
    assert {f.ending for f in FAULTS} == {"recover", "wait", "escalate"}
    assert all(f.self_heals == (f.ending == "wait") for f in FAULTS)


def test_the_demo_world_is_healthy(world: World):
    assert hurting(world, last_s=3000.0) == ()


@pytest.mark.parametrize("name", NAMES)
def test_a_fault_hurts_and_its_undo_heals(world: World, name: str):
    drawn, _ = strike(world, name)
    assert hurt_within(world, SHOWS_AFTER.get(name, 6) + 4)
    faults.undo(world, drawn)
    run(world, 15)
    assert hurting(world) == ()


@pytest.mark.parametrize("name", [f.name for f in FAULTS])
def test_a_cause_is_there_from_inject_to_undo(world: World, name: str):
    drawn = faults.draw(world, name, 1)
    assert not faults.present(world, drawn)
    faults.inject(world, drawn)
    run(world, 1)
    assert faults.present(world, drawn)
    faults.undo(world, drawn)
    run(world, 1)
    assert not faults.present(world, drawn)


@pytest.mark.parametrize("name", LASTING)
def test_a_lasting_fault_does_not_heal_by_itself(world: World, name: str):
    strike(world, name)
    run(world, 30)
    assert hurt_within(world, 15)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in LASTING])
def test_a_passing_fault_heals_by_itself(world: World, name: str):
    strike(world, name)
    run(world, 25)
    assert hurting(world) == ()


@pytest.mark.parametrize("name", RECOVERABLE)
def test_every_right_answer_heals(world: World, name: str, carry_out: Callable[[World, Answer], None]):
    _, truth = strike(world, name)
    run(world, SHOWS_AFTER.get(name, 6))
    carry_out(world, truth.answers[0])
    run(world, 15)
    assert hurting(world) == ()


@pytest.mark.parametrize("name", ["traffic_surge", "zone_loss"])
def test_the_second_answer_heals_too(world: World, name: str, carry_out: Callable[[World, Answer], None]):
    _, truth = strike(world, name)
    run(world, 6)
    carry_out(world, truth.answers[1])
    run(world, 15)
    assert hurting(world) == ()


def test_rolling_back_another_service_does_not_heal(world: World, changed: Callable[..., EnvironmentState]):
    drawn, _ = strike(world, "deploy_latency")
    run(world, 6)
    other = next(s for s in ("storefront", "pricing") if s != drawn.names["service"])
    actuators.apply_desired(world, changed(world, other, version="v0.9.0"), "op-1")
    run(world, 15)
    assert hurting(world)


def test_restarting_a_leaky_version_only_hides_it(world: World):
    drawn, _ = strike(world, "deploy_leak")
    run(world, 14)
    actuators.restart(world, drawn.names["service"], "op-1")
    run(world, 4)
    assert hurting(world, last_s=60.0) == ()
    assert hurt_within(world, 25)


def test_restart_does_not_end_a_surge(world: World):
    drawn, _ = strike(world, "traffic_surge")
    run(world, 6)
    actuators.restart(world, drawn.names["service"], "op-1")
    run(world, 10)
    assert hurting(world)


def test_draws_differ_by_seed_and_repeat_by_seed(world: World):
    draws = [faults.draw(world, "deploy_latency", seed) for seed in range(8)]
    assert draws == [faults.draw(world, "deploy_latency", seed) for seed in range(8)]
    assert len({d.entity for d in draws}) > 1


def test_an_unknown_fault_is_not_found(world: World):
    with pytest.raises(NotFound):
        faults.draw(world, "earthquake", 1)
