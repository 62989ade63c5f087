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


def carry_out(world: World, proposal: Proposal, operation: str = "op-1") -> None:
    """Do to the world what the command would, at once and past every door. Kinds without lasting state are restarts."""
    arguments, name = proposal.arguments, proposal.target.id
    if proposal.kind == "service.restart":
        actuators.restart(world, name, operation)
        return
    state = world.environment_state()
    if proposal.kind == "tenant.throttle":
        limit = TenantState.model_validate({"rate_limit_rps": arguments["rate_limit_rps"]})
        state = state.model_copy(update={"tenants": {**state.tenants, str(arguments["tenant"]): limit}})
    else:
        also = arguments.get("also", [])
        for one in (name, *(str(other) for other in (also if isinstance(also, list) else []))):
            state = _written(state, one, proposal.kind, arguments)
    actuators.apply_desired(world, state, operation)


def _written(state: EnvironmentState, name: str, kind: str, arguments: dict[str, JsonValue]) -> EnvironmentState:
    if (service := state.services.get(name)) is None:
        return state
    fields: dict[str, object]
    match kind:
        case "service.rollback":
            fields = {"version": arguments["to_version"]}
        case "service.configure":
            fields = {"config": {**service.config, str(arguments["key"]): arguments["value"]}}
        case "scaling_policy.update":
            fields = {"scaling": ScalingPolicy.model_validate(arguments["policy"])}
        case "traffic.shift":
            fields = {"traffic": service.traffic.model_copy(update={"region_weights": arguments["region_weights"]})}
        case _:
            fields = {key: arguments[key] for key in ("replicas", "cpu_millicores", "memory_mib") if key in arguments}
    services = {**state.services, name: service.model_copy(update=fields)}
    return state.model_copy(update={"services": services})


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
