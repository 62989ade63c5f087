"""One warmed-up demo world, copied per test, and the hands an operator would lay on it."""

from collections.abc import Callable
from copy import deepcopy
from datetime import datetime, timedelta

import pytest

from domain.base import TimeRange, digest_of
from domain.commands import Proposal
from domain.desired import DesiredState, EnvironmentState
from domain.evidence import EvidencePack
from domain.incidents import Incident
from evals.right_answers import carry_out, changed, proposal_of
from runtime.simulator import readers
from runtime.simulator.demo import demo_world
from runtime.simulator.faults import Answer
from runtime.simulator.record import launch
from runtime.simulator.spec import WorldSpec
from runtime.simulator.world import World

WARM_UP = timedelta(minutes=60)


@pytest.fixture(scope="session")
def demo_spec() -> WorldSpec:
    return demo_world().model_copy(update={"retention_steps": 900})


@pytest.fixture(scope="session")
def _warm(demo_spec: WorldSpec) -> World:
    world = launch(demo_spec, seed=1)
    world.advance(world.now + WARM_UP)
    world.journal.drain(world.elapsed_s)
    return world


@pytest.fixture
def world(_warm: World) -> World:
    """An hour into a working day, healthy."""
    return deepcopy(_warm)


@pytest.fixture(name="carry_out")
def _carry_out() -> Callable[[World, Answer], None]:
    """Do what the right answer's command does."""
    return lambda world, answer, operation="op-1": carry_out(world, proposal_of(world, answer), operation)


@pytest.fixture(name="changed")
def _changed() -> Callable[..., EnvironmentState]:
    return changed


@pytest.fixture
def pack_of() -> Callable[[World, str, datetime], EvidencePack]:
    """What readers return about an incident: nothing else reaches the twin."""

    def build(world: World, symptom: str, began: datetime) -> EvidencePack:
        start, now = began - timedelta(minutes=50), world.now
        return EvidencePack(
            incident=Incident(
                id="i", tenant="platform", environment="prod", title="t", severity="error", status="open",
                fingerprint=digest_of("x"), opened_at=began, last_event_at=now, entities=(symptom,),
            ),
            tenant="platform", environment="prod", at=now, baseline=TimeRange(start=start, end=began),
            current=TimeRange(start=began, end=now), symptom=symptom, symptom_kind="latency", items=(),
            topology=readers.topology(world),
            series=readers.series_window(world, start, began) + readers.series_window(world, began, now),
            changes=readers.changes(world, start, now),
            desired=DesiredState(environment="prod", tenant="platform", version=1, base=world.environment_state()),
            bindings=world.spec.tenants,
        )  # fmt: skip

    return build


@pytest.fixture(name="proposal_of")
def _proposal_of() -> Callable[[World, Answer], Proposal]:
    return proposal_of
