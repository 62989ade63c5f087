"""Faults that break a rule turn exactly their control red on exactly their resource, and undoing them green again."""

import pytest

from analysis.compliance.estate import Estate, sharing_of
from analysis.compliance.judging import judge
from runtime.simulator import faults, readers
from runtime.simulator.generator import random_world
from runtime.simulator.record import launch
from tests.support.runtime_bench import SHIPPED_CONTROLS

BREACHES = {
    "open_firewall": "exposure",
    "encryption_off": "encryption-at-rest",
    "backup_disabled": "backup-retention",
    "residency_violation": "residency-data",
    "single_zone": "zone-spread",
}


def red(world):
    bindings = {b.tenant: b for b in world.spec.tenants}
    topology = readers.topology(world)
    estate = Estate(world.environment_state(), topology, bindings, world.now, sharing_of(topology))
    found = judge(estate, SHIPPED_CONTROLS.controls)
    return {(f.control, f.resource, f.status) for c in found for f in c.findings if not f.passed}


def pinned(world):
    """What a healthy world is truly at fault in: services of the first tiers that live in one zone by design."""
    held = [s for s in world.spec.services if s.pinned_zone and s.tier <= 1 and not s.external]
    return {("zone-spread", s.address, "not_satisfied") for s in held}


def test_a_healthy_demo_world_is_green_but_for_the_service_pinned_to_a_zone(world):
    assert red(world) == {("zone-spread", "service/checkout", "not_satisfied")} == pinned(world)


@pytest.mark.parametrize("name", BREACHES)
def test_a_breach_turns_exactly_its_control_red(world, name):
    healthy = red(world)
    drawn = faults.draw(world, name, 1)
    faults.inject(world, drawn)
    assert red(world) - healthy == {(BREACHES[name], drawn.entity, "not_satisfied")}
    faults.undo(world, drawn)
    assert red(world) == healthy


@pytest.mark.parametrize("seed", [1, 2])
def test_drawn_worlds_too(seed):
    world = launch(random_world(seed, services=20), seed=seed)
    assert red(world) == pinned(world)
    for name, control in BREACHES.items():
        drawn = faults.draw(world, name, seed)
        if name == "single_zone" and world.layout.services[world.layout.service_index[drawn.names["name"]]].tier > 1:
            continue
        faults.inject(world, drawn)
        assert red(world) - pinned(world) == {(control, drawn.entity, "not_satisfied")}
        faults.undo(world, drawn)
