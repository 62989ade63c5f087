import ast
from collections.abc import Callable
from copy import deepcopy
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from domain.commands import Prediction, Proposal, Quantity
from domain.evidence import EvidencePack
from domain.topology import EntityRef
from runtime.simulator import faults
from runtime.simulator import twin as twin_module
from runtime.simulator.demo import demo_world
from runtime.simulator.faults import Answer
from runtime.simulator.live import Modifier
from runtime.simulator.record import launch
from runtime.simulator.spec import Laws
from runtime.simulator.twin import FIT_BOUND, Twin
from runtime.simulator.verdict import hurting
from runtime.simulator.world import World

HORIZON_S = 600
Packs = Callable[[World, str, datetime], EvidencePack]
Proposals = Callable[[World, Answer], Proposal]
Hands = Callable[[World, Answer], None]


def settled(world: World, service: str) -> tuple[float, float]:
    """True p95 (ms) and error share of a service over the last third of the horizon."""
    columns = world.layout.columns(service)
    steps = world.history.rows(world.history.count - HORIZON_S // 30, world.history.count)
    weight = world.history.truth("request_rate", steps, columns)
    p95 = (world.history.truth("latency_p95_ms", steps, columns) * weight).sum() / weight.sum()
    errors = (world.history.truth("error_share", steps, columns) * weight).sum() / weight.sum()
    return float(p95), float(errors)


def _wrong_by(told: Quantity, measured: float, unit: str) -> str:
    return f"predicted {told.value:+.1f} [{told.low:+.1f}, {told.high:+.1f}] {unit}, measured {measured:+.1f} {unit}"


def rehearse_and_live(
    world: World, name: str, pack_of: Packs, proposal_of: Proposals, carry_out: Hands, after_min: int = 8
) -> tuple[Prediction, float, float]:
    """The prediction for the fault's first right answer, and the true change of p95 and of the error share."""
    began, truth = world.now, faults.inject(world, faults.draw(world, name, 1))
    world.advance(world.now + timedelta(minutes=after_min))
    symptom, answer = hurting(world)[0].service, truth.answers[0]
    pack, proposal = pack_of(world, f"service/{symptom}", began), proposal_of(world, answer)
    prediction = Twin().rehearse(pack, proposal, horizon_s=HORIZON_S)
    without, with_command = world, deepcopy(world)
    carry_out(with_command, answer)
    for one in (without, with_command):
        one.advance(one.now + timedelta(seconds=HORIZON_S))
    (p95_without, errors_without), (p95_with, errors_with) = settled(without, symptom), settled(with_command, symptom)
    return prediction, p95_with - p95_without, errors_with - errors_without


@pytest.mark.parametrize(
    "name", ["deploy_latency", "deploy_errors", "traffic_surge", "config_regression", "pool_exhaustion", "zone_loss",
             "capacity_shortfall"]
)  # fmt: skip
def test_it_predicts_what_the_right_command_changes(
    world: World, name: str, pack_of: Packs, proposal_of: Proposals, carry_out: Hands
):
    prediction, p95_ms, errors = rehearse_and_live(world, name, pack_of, proposal_of, carry_out)
    assert prediction.known
    assert prediction.slo_attainment.low > 0.0
    assert prediction.error_rate.value == pytest.approx(errors, abs=max(0.12, 0.35 * abs(errors)))
    if abs(p95_ms) > 50.0:
        assert prediction.latency_p95_ms.value == pytest.approx(p95_ms, rel=0.6)


def test_a_wrong_target_is_predicted_to_change_nothing(world: World, pack_of: Packs, proposal_of: Proposals):
    began = world.now
    drawn = faults.draw(world, "deploy_latency", 1)
    faults.inject(world, drawn)
    world.advance(world.now + timedelta(minutes=8))
    other = Answer(kind="service.restart", target="service/tracking-api")
    prediction = Twin(draws=4).rehearse(pack_of(world, drawn.entity, began), proposal_of(world, other), horizon_s=600)
    assert prediction.known
    assert abs(prediction.slo_attainment.value) < 0.01


def test_scaling_out_costs_money_and_carbon(world: World, pack_of: Packs, proposal_of: Proposals):
    began = world.now - timedelta(minutes=10)
    answer = Answer(kind="service.scale", target="service/transcode")
    pack = pack_of(world, "service/transcode", began)
    prediction = Twin(draws=4).rehearse(pack, proposal_of(world, answer), horizon_s=600)
    # Two regions, from 2 to 5 replicas of one core each, at the pool's price per core.
    assert prediction.cost_usd_per_hour.value == pytest.approx(6 * 0.46 / 8, rel=0.05)
    assert prediction.carbon_g_per_hour.value > 0.0


def test_it_is_its_own_world_and_repeats_itself(world: World, pack_of: Packs, proposal_of: Proposals):
    pack = pack_of(world, "service/transcode", world.now - timedelta(minutes=10))
    proposal = proposal_of(world, Answer(kind="service.scale", target="service/transcode"))
    first, second = (Twin(draws=3).rehearse(pack, proposal, horizon_s=300) for _ in range(2))
    assert first == second


def test_a_version_nobody_has_seen_is_unknown(world: World, pack_of: Packs, proposal_of: Proposals):
    answer = Answer(kind="service.rollback", target="service/pricing", arguments={"to_version": "v0.1.0"})
    pack = pack_of(world, "service/pricing", world.now - timedelta(minutes=10))
    prediction = Twin().rehearse(pack, proposal_of(world, answer), horizon_s=600)
    assert not prediction.known
    assert "v0.1.0" in prediction.note


def test_a_kind_it_cannot_rehearse_is_unknown(world: World, pack_of: Packs):
    pack = pack_of(world, "service/pricing", world.now - timedelta(minutes=10))
    proposal = Proposal(
        kind="certificate.rotate", arguments={"certificate": "identity-tls"}, tenant="platform", environment="prod",
        target=EntityRef.parse("certificate/identity-tls"), proposer="x", rationale="test",
    )  # fmt: skip
    assert not Twin().rehearse(pack, proposal, horizon_s=600).known


def test_readings_that_make_no_sense_are_not_fitted(world: World, pack_of: Packs, proposal_of: Proposals):
    pack = pack_of(world, "service/transcode", world.now - timedelta(minutes=10))
    shuffled = []
    scales = iter([0.01, 40.0, 0.2, 300.0, 1.0, 0.05, 90.0] * 100)
    for series in pack.series:
        if series.metric == "request_rate":
            factor = next(scales)
            shuffled.append(series.model_copy(update={"values": tuple(v * factor for v in series.values)}))
        else:
            shuffled.append(series)
    nonsense = pack.model_copy(update={"series": tuple(shuffled)})
    proposal = proposal_of(world, Answer(kind="service.scale", target="service/transcode"))
    prediction = Twin(draws=3).rehearse(nonsense, proposal, horizon_s=300)
    assert not prediction.known
    assert prediction.fit < FIT_BOUND


def test_no_readings_is_unknown(world: World, pack_of: Packs, proposal_of: Proposals):
    pack = pack_of(world, "service/transcode", world.now - timedelta(minutes=10)).model_copy(update={"series": ()})
    proposal = proposal_of(world, Answer(kind="service.scale", target="service/transcode"))
    assert not Twin().rehearse(pack, proposal, horizon_s=600).known


def test_a_fault_it_cannot_see_makes_it_wrong(world: World, pack_of: Packs, proposal_of: Proposals, carry_out: Hands):
    """What happens after the readings cannot be predicted: the error must show, or the twin would be peeking."""
    began = world.now
    drawn = faults.draw(world, "deploy_errors", 1)
    truth = faults.inject(world, drawn)
    world.advance(world.now + timedelta(minutes=8))
    service = drawn.names["service"]
    prediction = Twin(draws=4).rehearse(
        pack_of(world, drawn.entity, began), proposal_of(world, truth.answers[0]), horizon_s=HORIZON_S
    )
    before = settled(world, service)[1]
    carry_out(world, truth.answers[0])
    world.state.leaked_slots[world.layout.columns(service)] = world.plant.workers[world.layout.columns(service)] - 0.3
    world.advance(world.now + timedelta(seconds=HORIZON_S))
    measured = settled(world, service)[1] - before
    print(f"predicted {prediction.error_rate.value:+.3f}, measured {measured:+.3f}")  # noqa: T201  # how wrong it was is what this shows
    assert not prediction.error_rate.low <= measured <= prediction.error_rate.high


def test_under_foreign_laws_the_direction_holds_and_the_interval_has_room(
    pack_of: Packs, proposal_of: Proposals, carry_out: Hands
):
    """Another service-time law, retries with a budget, a slower autoscaler and slower starts than the twin assumes."""
    laws = Laws(service_variability=3.0, retry_budget=0.1, autoscaler_lag_s=90.0, startup_factor=3.0)
    world = launch(demo_world(laws=laws).model_copy(update={"retention_steps": 900}), seed=1)
    world.advance(world.now + timedelta(minutes=60))
    prediction, p95_ms, errors = rehearse_and_live(world, "traffic_surge", pack_of, proposal_of, carry_out)
    told = prediction.latency_p95_ms
    print(_wrong_by(told, p95_ms, "ms"), f"errors {errors:+.3f}")  # noqa: T201  # how wrong it was is what this shows
    assert told.value != pytest.approx(p95_ms, abs=1.0)
    assert told.value * p95_ms > 0.0
    assert told.low <= p95_ms <= told.high


def test_a_cause_no_reader_returns_is_not_taken_for_one_that_is(
    world: World, pack_of: Packs, proposal_of: Proposals, carry_out: Hands
):
    """A service works five times as long for a reason nobody can read: no change, no version, no neighbour.

    More memory does nothing about it. The twin, which sees the slow service only, must not promise more.
    """
    began, columns = world.now, tuple(world.layout.columns("pricing"))
    world.live.modifiers["unseen"] = (Modifier("io_ms", columns, factor=12.0), Modifier("cpu_ms", columns, factor=1.6))
    world.live.dirty = True
    world.advance(world.now + timedelta(minutes=8))
    answer = Answer(kind="service.resize", target="service/pricing")
    prediction = Twin().rehearse(
        pack_of(world, "service/pricing", began), proposal_of(world, answer), horizon_s=HORIZON_S
    )
    without, with_command = world, deepcopy(world)
    carry_out(with_command, answer)
    for one in (without, with_command):
        one.advance(one.now + timedelta(seconds=HORIZON_S))
    measured = settled(with_command, "pricing")[0] - settled(without, "pricing")[0]
    told = prediction.latency_p95_ms
    print(_wrong_by(told, measured, "ms"))  # noqa: T201  # how wrong it was is what this shows
    assert not prediction.known or told.low <= measured <= told.high
    assert not prediction.known or prediction.slo_attainment.value < 0.01


def test_the_twin_imports_neither_world_nor_faults():
    folder = Path(twin_module.__file__).parent
    forbidden = {"world", "faults", "record", "cluster", "history", "chatter", "actuators", "readers", "demand", "demo"}
    for path in [*folder.glob("twin*.py"), *(folder / f"{name}.py" for name in ("fit", "windowed", "stacking"))]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("runtime.simulator"):
                parts = set(node.module.split(".")) | {alias.name for alias in node.names}
                assert not parts & forbidden, f"{path.name} imports {node.module}"
