"""Add-ons act: an edge answers, a firewall sheds, a cache tier spares the stores; burn rules fire as they say."""

from datetime import timedelta

import pytest

from domain.policies import BurnRule, CacheTierPolicy, CdnPolicy, HealthPolicy, WafPolicy
from runtime.simulator import actuators
from runtime.simulator.add_ons import CAUGHT, MISTAKEN, READ_SHARE
from runtime.simulator.demo import demo_world
from runtime.simulator.live import Modifier
from runtime.simulator.record import rebuild, record
from runtime.simulator.world import World

BURN = "runtime.slo.burn.v1"


def lived(service="storefront", *, minutes=20, attack_rps=0.0, failing=0.0, **changed):
    """A demo world with one service changed at its start, after some minutes."""
    world = World(demo_world().model_copy(update={"chatter": False}), 3)
    state = world.environment_state()
    after = state.services[service].model_copy(update=changed)
    actuators.apply_desired(world, state.model_copy(update={"services": {**state.services, service: after}}), "op")
    columns = world.layout.columns(service)
    world.add_ons.attack_rps[columns] = attack_rps
    if failing:
        world.live.modifiers["failing"] = (Modifier("error_share", tuple(columns), add=failing),)
        world.live.dirty = True
    world.advance(world.now + timedelta(minutes=minutes))
    return world


def rate(world, service):
    return float(world.history.recent("request_rate", world.layout.columns(service), 60).sum())


def burns(world, service):
    sent = [s.event for s in world.journal.drain(world.elapsed_s)]
    return [e for e in sent if e.type == BURN and e.subject == f"service/{service}"]


def test_an_edge_answers_what_may_be_cached_by_its_time_to_live():
    plain = rate(lived(), "storefront")
    for ttl_s in (30, 270):
        left = rate(lived(cdn=CdnPolicy(ttl_s=ttl_s)), "storefront") / plain
        assert left == pytest.approx(1.0 - 0.3 * ttl_s / (ttl_s + 30.0), rel=0.01)


@pytest.mark.parametrize("paranoia", [1, 4])
def test_a_firewall_sheds_by_level_and_turns_some_away(paranoia):
    world = lived(waf=WafPolicy(paranoia=paranoia), attack_rps=100.0)
    counts, columns = world.add_ons.counts, world.layout.columns("storefront")
    assert counts.shed[columns] == pytest.approx(100.0 * CAUGHT[paranoia - 1] * world.elapsed_s)
    honest = rate(lived(), "storefront")
    through = honest * (1.0 - MISTAKEN[paranoia - 1]) + 200.0 * (1.0 - CAUGHT[paranoia - 1])
    assert rate(world, "storefront") == pytest.approx(through, rel=0.01)


def test_a_cache_tier_spares_the_store_once_it_is_warm_and_as_far_as_its_memory_goes():
    plain = rate(lived("tracking-api"), "fleet-db")
    large = rate(lived("tracking-api", minutes=60, cache_tier=CacheTierPolicy(ttl_s=270, memory_mib=1024)), "fleet-db")
    small = rate(lived("tracking-api", minutes=60, cache_tier=CacheTierPolicy(ttl_s=270, memory_mib=256)), "fleet-db")
    assert large < small < plain
    assert large / plain == pytest.approx(1.0 - 0.9 * READ_SHARE, abs=0.1)


def test_add_ons_are_paid_for_and_a_world_without_them_is_as_it_was():
    assert lived().add_ons.spent_usd == 0.0
    assert lived(waf=WafPolicy(paranoia=1), minutes=60).add_ons.spent_usd == pytest.approx(0.443, rel=0.01)


def test_a_record_brings_them_back():
    world = lived(cdn=CdnPolicy(ttl_s=60))
    again = rebuild(record(world))
    assert rate(again, "storefront") == rate(world, "storefront")
    assert again.environment_state() == world.environment_state()


RULE = BurnRule(long_window_s=3600, short_window_s=300, burn_rate=5.0, urgency="ticket")


def test_a_rule_fires_once_when_both_windows_burn():
    policy = HealthPolicy(burn_rules=(RULE,))
    [told] = burns(lived("tracking-api", minutes=120, failing=0.008, health=policy), "tracking-api")
    assert told.data["window_s"] == 3600
    assert 5.0 < told.data["burn_rate"] < 9.0
    assert burns(lived("tracking-api", minutes=120, failing=0.003, health=policy), "tracking-api") == []
    assert burns(lived("tracking-api", minutes=120, health=policy), "tracking-api") == []


def test_a_short_spike_does_not_burn_a_long_window():
    policy = HealthPolicy(burn_rules=(RULE,))
    world = lived("tracking-api", minutes=60, health=policy)
    world.live.modifiers["failing"] = (Modifier("error_share", tuple(world.layout.columns("tracking-api")), add=0.01),)
    world.live.dirty = True
    world.advance(world.now + timedelta(minutes=5))
    world.live.modifiers.clear()
    world.live.dirty = True
    world.advance(world.now + timedelta(minutes=60))
    assert burns(world, "tracking-api") == []


def test_own_rules_replace_the_platforms_fast_burn():
    high = HealthPolicy(burn_rules=(RULE.model_copy(update={"burn_rate": 999.0}),))
    assert burns(lived("tracking-api", minutes=40, failing=0.1, health=high), "tracking-api") == []
    assert burns(lived("tracking-api", minutes=40, failing=0.1), "tracking-api")
