"""Random worlds: names that vary, laws that differ, and quiet when nothing is wrong."""

import re
from datetime import timedelta

import pytest

from runtime.simulator.generator import foreign_laws, random_world
from runtime.simulator.record import launch
from runtime.simulator.spec import Laws
from runtime.simulator.verdict import slo_minutes_lost

ALARMS = {"runtime.health.degraded.v1", "runtime.slo.burn.v1"}


def test_foreign_laws_repeat_by_seed_and_differ_from_the_textbook():
    drawn = [foreign_laws(seed) for seed in range(40)]
    assert drawn == [foreign_laws(seed) for seed in range(40)]
    assert len({laws.model_dump_json() for laws in drawn}) == 40
    assert Laws() not in drawn
    assert all(0.6 <= laws.service_variability <= 2.0 for laws in drawn)
    budgets = [laws.retry_budget for laws in drawn]
    assert None in budgets
    assert all(b is None or 0.1 <= b <= 0.3 for b in budgets)


def test_names_are_words_and_vary():
    worlds = [random_world(seed, services=24) for seed in range(6)]
    names = [[s.id for s in world.services] for world in worlds]
    assert all(len(set(own)) == len(own) for own in names)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", name) for own in names for name in own)
    common = set(names[0]).intersection(*names[1:])
    assert not common


def test_a_large_estate_has_unique_names():
    names = [s.id for s in random_world(1, services=1000, paired=False).services]
    assert len(set(names)) == len(names)


def test_everything_that_runs_is_called():
    for seed in range(5):
        world = launch(random_world(seed, services=14, laws=foreign_laws(seed)), seed)
        world.advance(world.now + timedelta(minutes=5))
        idle = [
            s.id for s in world.layout.services
            if world.history.recent("request_rate", world.layout.columns(s.id)).sum() < 0.05 and not s.external
        ]  # fmt: skip
        assert idle == []


@pytest.mark.parametrize("seed", range(3))
def test_a_healthy_day_under_foreign_laws_is_calm(seed: int):
    """Without chatter no detector fires in a day: whoever raises an alarm is wrong."""
    spec = random_world(seed, services=20, laws=foreign_laws(seed))
    world = launch(spec.model_copy(update={"step_s": 60, "retention_steps": 2000, "chatter": False}), seed)
    world.advance(world.now + timedelta(hours=25))
    assert slo_minutes_lost(world, 600.0) == 0.0
    assert [e.event.subject for e in world.journal.drain(world.elapsed_s) if e.event.type in ALARMS] == []
