"""One warmed-up demo world, copied per test, and the hands an operator would lay on it."""

from collections.abc import Callable
from copy import deepcopy
from datetime import datetime, timedelta

import pytest
from pydantic import JsonValue

from domain.base import TimeRange, digest_of
from domain.commands import Proposal
from domain.desired import DesiredState, EnvironmentState, TenantState
from domain.evidence import EvidencePack
from domain.incidents import Incident
from domain.topology import EntityRef
from runtime.simulator import actuators, readers
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


def changed(world: World, service: str, **fields: object) -> EnvironmentState:
    state = world.environment_state()
    services = {**state.services, service: state.services[service].model_copy(update=fields)}
    return state.model_copy(update={"services": services})


def usual_rate(world: World, tenant: str) -> float:
    """The tenant's external demand, from the hour before anything happened."""
    columns = [w for w, s in enumerate(world.layout.rows) if s.tenant == tenant and s.demand_rps > 0.0]
    steps = world.history.rows(340, 360)
    return float(world.history.truth("request_rate", steps, columns).sum(axis=1).mean())


def arguments_of(world: World, answer: Answer) -> dict[str, JsonValue]:
    """The answer's command with sensible arguments, as an operator would fill them in."""
    name = answer.target.split("/", 1)[1]
    state = world.live.services.get(name)
    match answer.kind:
        case "service.rollback" | "service.configure":
            return {"service": name, **answer.arguments}
        case "scaling_policy.update":
            policy = state.scaling.model_copy(update={"max_replicas": int(state.scaling.max_replicas * 2.5)})
            return {"service": name, "policy": policy.model_dump(mode="json")}
        case "service.scale":
            return {"service": name, "replicas": int(state.replicas * 2.5)}
        case "service.resize":
            return {"service": name, "cpu_millicores": state.cpu_millicores, "memory_mib": int(state.memory_mib * 1.6)}
        case "traffic.shift":
            away = next(iter(answer.arguments))
            to = next(r for r in world.layout.regions if r != away)
            return {"service": name, "region_weights": {away: 0.0, to: 1.0}}
        case "tenant.throttle":
            return {"tenant": name, "rate_limit_rps": usual_rate(world, name) * 1.1}
        case _:
            return {"service": name}


def carry_out(world: World, answer: Answer, operation: str = "op-1") -> None:
    """Do what the answer's command does to the desired state."""
    wanted, name = arguments_of(world, answer), answer.target.split("/", 1)[1]
    state = world.live.services.get(name)
    match answer.kind:
        case "service.rollback":
            goal = changed(world, name, version=wanted["to_version"])
        case "service.configure":
            goal = changed(world, name, config={**state.config, wanted["key"]: wanted["value"]})
        case "scaling_policy.update":
            goal = changed(world, name, scaling=type(state.scaling).model_validate(wanted["policy"]))
        case "service.scale":
            goal = changed(world, name, replicas=wanted["replicas"])
        case "service.resize":
            goal = changed(world, name, memory_mib=wanted["memory_mib"])
        case "traffic.shift":
            weights = {"region_weights": wanted["region_weights"]}
            goal = changed(world, name, traffic=state.traffic.model_copy(update=weights))
        case "tenant.throttle":
            goal = world.environment_state()
            limit = TenantState(rate_limit_rps=wanted["rate_limit_rps"])
            goal = goal.model_copy(update={"tenants": {**goal.tenants, name: limit}})
        case "service.restart":
            actuators.restart(world, name, operation)
            return
        case kind:
            raise AssertionError(kind)
    actuators.apply_desired(world, goal, operation)


@pytest.fixture(name="carry_out")
def _carry_out() -> Callable[[World, Answer], None]:
    return carry_out


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


@pytest.fixture
def proposal_of() -> Callable[[World, Answer], Proposal]:
    def build(world: World, answer: Answer) -> Proposal:
        return Proposal(
            kind=answer.kind, arguments=arguments_of(world, answer), target=EntityRef.parse(answer.target),
            tenant="platform", environment="prod", proposer="sre", rationale="test",
        )  # fmt: skip

    return build
