"""The whole loop in a simulated world, judged by the world's own truth, with the controls that could expose it."""

from datetime import timedelta
from pathlib import Path

import pytest

from domain.commands import State
from domain.outcomes import PredictionError
from evals.closed_loop import CALM, play
from evals.episodes.running import run_episode
from evals.scenarios import scenario
from grounding.vectors import MemoryVectors
from mesh.simulation import Choices, open_simulated
from mesh.telemetry import in_memory, trace_id_of
from runtime.simulator import faults
from runtime.simulator.demo import demo_world
from runtime.simulator.twin import Twin
from storage.outbox import StoredEvent

SEED = 7


async def test_a_fault_is_found_fixed_verified_and_stays_fixed(tmp_path: Path):
    episode = await play("config_regression", SEED, "normal", home=tmp_path)
    assert (episode.as_expected, episode.entity_right, episode.class_right) == (True, True, True), episode
    assert [act.state for act in episode.acts] == ["SUCCEEDED"]


async def test_without_execution_the_world_does_not_recover(tmp_path: Path):
    episode = await play("config_regression", SEED, "execution_off", home=tmp_path)
    assert episode.as_expected, episode
    assert not episode.world_well


async def test_a_command_on_the_wrong_target_is_noticed_and_undone(tmp_path: Path):
    episode = await play("config_regression", SEED, "wrong_target", home=tmp_path)
    assert episode.as_expected, episode
    assert State.UNDONE in {act.state for act in episode.acts}
    assert State.SUCCEEDED not in {act.state for act in episode.acts}


async def test_what_cannot_be_fixed_becomes_a_ticket_that_names_the_cause(tmp_path: Path):
    episode = await play("certificate_expiry", SEED, "normal", home=tmp_path)
    assert episode.as_expected, episode
    assert [(act.kind, act.state) for act in episode.acts] == [("ticket.open", "SUCCEEDED")]


async def test_what_heals_by_itself_is_left_alone(tmp_path: Path):
    episode = await play("cache_flush", SEED, "normal", home=tmp_path)
    assert episode.as_expected, episode
    assert episode.acts == ()


def test_a_healthy_world_with_every_noise_gets_no_proposal():
    episode = run_episode(scenario("everything-at-once"), SEED)
    assert episode.events > 0
    assert episode.commands == ()


@pytest.fixture
async def incident(tmp_path: Path):
    telemetry, spans, _ = in_memory(seed=SEED)
    choices = Choices(autonomy="act", rehearsal=Twin(), vectors=MemoryVectors(), telemetry=telemetry, loops=())
    simulated = await open_simulated(tmp_path, demo_world(), SEED, choices)
    await simulated.simulation.run(simulated.world.now + CALM)
    faults.inject(simulated.world, faults.draw(simulated.world, "config_regression", SEED))
    commands = simulated.mesh.governed.commands
    until = simulated.world.now + timedelta(minutes=30)
    await simulated.simulation.run(until, stop=lambda: bool(commands.list("*", states=[State.SUCCEEDED])))
    yield simulated, spans
    await simulated.mesh.close()


async def test_one_trace_leads_from_the_event_to_the_outcome_and_the_lesson(incident):
    simulated, spans = incident
    mesh = simulated.mesh
    (record,) = mesh.governed.commands.list("*", states=[State.SUCCEEDED])
    trace = trace_id_of(record.command.trace)
    named = {s.name for s in spans.get_finished_spans() if f"{s.context.trace_id:032x}" == trace}
    assert {"investigate", "command.approved", "command.executed", "command.verifying"} <= named
    told: list[StoredEvent] = []
    mesh.governed.outbox.drain(told.extend, batch=1000)
    ours = [e.event for e in told if e.event.dimensions.correlationid == record.command.incident]
    kinds = {event.type for event in ours}
    assert {
        "opsmesh.command.changed.v1", "opsmesh.decision.recorded.v1", "opsmesh.outcome.recorded.v1",
        "opsmesh.lesson.learned.v1",
    } <= kinds  # fmt: skip
    assert {trace_id_of(event.dimensions.traceparent) for event in ours} == {trace}
    assert {(event.tenant, event.dimensions.environmentid) for event in ours} == {(record.command.tenant, "prod")}


async def test_the_outcome_measures_the_prediction_and_becomes_a_lesson_of_its_tenant_alone(incident):
    simulated, _ = incident
    mesh = simulated.mesh
    (record,) = mesh.governed.commands.list("*", states=[State.SUCCEEDED])
    (outcome,) = mesh.journal.outcomes(record.command.tenant)
    assert {error.quantity for error in outcome.errors} == {"latency_p95_ms", "error_rate"}
    assert all(isinstance(error, PredictionError) for error in outcome.errors)
    question = f"{record.command.target.address} errors"
    at = simulated.world.now
    assert mesh.knowledge.similar(record.command.tenant, question, at=at, limit=5)
    strangers = [b.tenant for b in simulated.world.spec.tenants if b.tenant != record.command.tenant]
    assert not any(mesh.knowledge.similar(tenant, question, at=at, limit=5) for tenant in strangers)
