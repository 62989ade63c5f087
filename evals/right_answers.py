"""The right command for a fault, filled in as an operator would, and carried out on a world by hand.

For measurements that need the answer without the loop that finds it: the twin's error, the fault table's own tests.
"""

from pydantic import JsonValue

from domain.commands import Proposal
from domain.desired import EnvironmentState, TenantState
from domain.ids import EnvironmentId, PrincipalId, TenantId
from domain.policies import ScalingPolicy
from domain.topology import EntityRef
from runtime.simulator import actuators
from runtime.simulator.faults import Answer
from runtime.simulator.world import World

# Room given by hand: two and a half times the replicas, a sixth over a tenant's usual load, 1.6 times the memory.
MORE_REPLICAS, MORE_MEMORY, OVER_USUAL = 2.5, 1.6, 1.1
USUAL_STEPS = (340, 360)
"""Steps of ten seconds just before the first hour of a world is over, when nothing has happened yet."""


def changed(world: World, service: str, **fields: object) -> EnvironmentState:
    """Return the world's desired state with some fields of one service replaced."""
    state = world.environment_state()
    services = {**state.services, service: state.services[service].model_copy(update=fields)}
    return state.model_copy(update={"services": services})


def usual_rate(world: World, tenant: str) -> float:
    """Return the tenant's external demand in requests per second, from before anything happened."""
    columns = [w for w, s in enumerate(world.layout.rows) if s.tenant == tenant and s.demand_rps > 0.0]
    steps = world.history.rows(*USUAL_STEPS)
    return float(world.history.truth("request_rate", steps, columns).sum(axis=1).mean())


def arguments_of(world: World, answer: Answer) -> dict[str, JsonValue]:
    """Return the answer's command with sensible arguments."""
    name = answer.target.split("/", 1)[1]
    state = world.live.services.get(name)
    if answer.kind == "tenant.throttle":
        return {"tenant": name, "rate_limit_rps": usual_rate(world, name) * OVER_USUAL}
    if state is None or answer.kind in {"service.rollback", "service.configure"}:
        return {"service": name, **answer.arguments}
    match answer.kind:
        case "scaling_policy.update":
            policy = state.scaling or ScalingPolicy(min_replicas=1, max_replicas=1, target_cpu_utilisation=0.6)
            more = policy.model_copy(update={"max_replicas": int(policy.max_replicas * MORE_REPLICAS)})
            return {"service": name, "policy": more.model_dump(mode="json")}
        case "service.scale":
            return {"service": name, "replicas": int(state.replicas * MORE_REPLICAS)}
        case "service.resize":
            if "cpu_millicores" in answer.arguments:
                return {"service": name, "memory_mib": state.memory_mib, **answer.arguments}
            memory = int(state.memory_mib * MORE_MEMORY)
            return {"service": name, "cpu_millicores": state.cpu_millicores, "memory_mib": memory}
        case "traffic.shift":
            away = next(iter(answer.arguments))
            to = next(r for r in world.layout.regions if r != away)
            with_it = answer.arguments.get("also", [])
            return {"service": name, "region_weights": {away: 0.0, to: 1.0}, "also": with_it}
        case _:
            return {"service": name}


def carry_out(world: World, answer: Answer, operation: str = "op-1") -> None:
    """Do what the answer's command does to the desired state."""
    wanted, name = arguments_of(world, answer), answer.target.split("/", 1)[1]
    if answer.kind == "service.restart":
        actuators.restart(world, name, operation)
        return
    if answer.kind == "tenant.throttle":
        goal = world.environment_state()
        limit = TenantState.model_validate({"rate_limit_rps": wanted["rate_limit_rps"]})
        goal = goal.model_copy(update={"tenants": {**goal.tenants, name: limit}})
    else:
        goal = changed(world, name, **_fields(world, answer, name, wanted))
        also = wanted.get("also", [])
        for other in also if isinstance(also, list) else []:
            traffic = goal.services[name].traffic
            moved = goal.services[str(other)].model_copy(update={"traffic": traffic})
            goal = goal.model_copy(update={"services": {**goal.services, str(other): moved}})
    actuators.apply_desired(world, goal, operation)


def _fields(world: World, answer: Answer, name: str, wanted: dict[str, JsonValue]) -> dict[str, object]:
    """Fields of the service's desired state that the command sets."""
    state = world.live.services[name]
    match answer.kind:
        case "service.rollback":
            return {"version": wanted["to_version"]}
        case "service.configure":
            return {"config": {**state.config, str(wanted["key"]): wanted["value"]}}
        case "scaling_policy.update":
            return {"scaling": ScalingPolicy.model_validate(wanted["policy"])}
        case "traffic.shift":
            return {"traffic": state.traffic.model_copy(update={"region_weights": wanted["region_weights"]})}
        case _:
            return {key: wanted[key] for key in ("replicas", "cpu_millicores", "memory_mib") if key in wanted}


def proposal_of(world: World, answer: Answer) -> Proposal:
    """Return the answer as a proposal."""
    return Proposal(
        kind=answer.kind,
        arguments=arguments_of(world, answer),
        target=EntityRef.parse(answer.target),
        tenant=TenantId("platform"),
        environment=EnvironmentId(world.spec.environment),
        proposer=PrincipalId("sre"),
        rationale="the right answer",
    )
