from datetime import timedelta

import pytest

from runtime.simulator import faults, readers
from runtime.simulator.faults import FAULTS
from runtime.simulator.world import World

# Words that would give a fault away; what real programs say about themselves is allowed.
SECCOMP = "runtimedefault"
"""Kubernetes' own name of a seccomp profile, in lower case as the text is."""
TELLING = ("surge", "leak", "regression", "noisy", "exhaust", "fault", "inject", "chaos", "broken")


def told(world: World) -> str:
    """All text a reader can get, in one string."""
    start, now = world.spec.start, world.now
    parts = [e.model_dump_json() for e in world.journal.drain(world.elapsed_s + 1e6)]
    parts += [c.model_dump_json() for c in readers.changes(world, start, now + timedelta(days=1))]
    parts += [p.model_dump_json() for p in readers.logs(world, start, now - timedelta(minutes=10), now)]
    for service in world.live.services:
        parts += [line.text for line in readers.log_lines(world, now - timedelta(minutes=3), now, service)]
    parts += [f"{s.entity} {s.metric}" for s in readers.series_window(world, now - timedelta(minutes=2), now)]
    parts.append(world.environment_state().model_dump_json())
    parts.append(readers.topology(world).model_dump_json())
    return "\n".join(parts).lower()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.name)
def test_no_reading_names_the_fault(world: World, fault: faults.Fault):
    faults.inject(world, faults.draw(world, fault.name, 1))
    world.advance(world.now + timedelta(minutes=10))
    text = told(world)
    for word in (fault.name, fault.fault_class, *TELLING):
        assert word not in text.replace(SECCOMP, "")


def test_series_come_on_a_grid_with_kind_and_unit(world: World):
    found = readers.series_window(world, world.now - timedelta(minutes=30), world.now)
    p95 = next(s for s in found if (s.entity, s.metric) == ("service/pricing", "latency_p95_ms"))
    assert (p95.kind, p95.unit, p95.step_s, len(p95.values)) == ("latency", "ms", 60, 30)
    assert p95.start == world.now - timedelta(minutes=30)
    entities = {s.entity for s in found}
    assert {"external/payments-provider", "certificate/identity-tls"} <= entities
    assert any(e.startswith("node/") for e in entities)


def test_reading_twice_gives_the_same_numbers(world: World):
    window = (world.now - timedelta(minutes=10), world.now)
    assert readers.series_window(world, *window) == readers.series_window(world, *window)
    assert readers.logs(world, window[0], window[1] - timedelta(minutes=5), window[1]) == readers.logs(
        world, window[0], window[1] - timedelta(minutes=5), window[1]
    )


def test_metrics_of_one_service_at_full_resolution(world: World):
    times, values = readers.metrics(
        world, "service/pricing", "request_rate", world.now - timedelta(minutes=5), world.now
    )
    assert len(times) == len(values) == 30
    assert times[1] - times[0] == timedelta(seconds=10)
    assert (values > 0).all()


def test_errors_show_in_logs_and_spans_of_the_failing_service(world: World):
    drawn = faults.draw(world, "deploy_errors", 1)
    split = world.now
    faults.inject(world, drawn)
    world.advance(world.now + timedelta(minutes=10))
    patterns = readers.logs(world, split - timedelta(minutes=10), split, world.now)
    rose = {p.entity for p in patterns if p.severity == "error" and p.current_count > 20 + 5 * p.baseline_count}
    spans = {s.entity: s for s in readers.spans(world, split - timedelta(minutes=10), split, world.now)}
    assert drawn.entity in rose
    assert spans[drawn.entity].current_errors > spans[drawn.entity].baseline_errors + 2


def test_self_time_rises_where_the_slow_release_is_and_not_at_its_callers(world: World):
    drawn = faults.draw(world, "deploy_latency", 1)
    split = world.now
    faults.inject(world, drawn)
    world.advance(world.now + timedelta(minutes=10))
    spans = {s.entity: s for s in readers.spans(world, split - timedelta(minutes=10), split, world.now)}

    def factor(entity: str) -> float:
        return sum(spans[entity].current_self_ms) / sum(spans[entity].baseline_self_ms)

    assert factor(drawn.entity) > 3.0
    assert factor("service/storefront") < 1.6


def test_the_topology_joins_services_to_ground_and_outside(world: World):
    topology = readers.topology(world)
    edges = {(e.kind, e.source, e.target) for e in topology.edges}
    assert ("calls", "service/checkout", "external/payments-provider") in edges
    assert ("secured_by", "service/identity", "certificate/identity-tls") in edges
    assert ("runs_on", "service/checkout", "node_pool/acme-westeurope") in edges
    assert any(kind == "member_of" and target == "zone/westeurope-1" for kind, _, target in edges)
    identity = topology.service("identity")
    assert identity is not None
    assert set(identity.used_by) == {"acme-retail", "borealis-media", "cinder-logistics"}
