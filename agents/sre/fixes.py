"""Per fault class, the commands that could help, best first. No command at all is a valid answer."""

from collections.abc import Callable, Mapping
from math import ceil

from pydantic import JsonValue

from agents.spec import Candidate
from agents.sre.drafts import Draft
from agents.sre.fixes_places import SHIFT_S, around_network, away_from_replica, end_session, out_of_region, wider_limit
from agents.sre.moves import Moves
from agents.sre.rules_ground import pending
from agents.sre.rules_load import BUSY
from domain.desired import ServiceState
from domain.policies import ScalingPolicy
from domain.tenancy import Quota

# Headroom on top of what the surge needs now, so that the target is met and not just touched (HPA practice).
HEADROOM = 1.25
# A throttled tenant keeps ten percent above what it usually sends.
THROTTLE_SLACK = 1.1
# A change of demand lasts about as long; a shift at work, after which people look anew.
THROTTLE_S = 4 * 3600
# A queue drains while less comes in than is served; a quarter of an hour outlasts any that users still wait behind.
DRAINING, DRAIN_S = 0.9, 900
# Where half of what comes would still be turned away, turning it away costs less than half of a solution.
BEYOND_QUOTA = 2.0


def rollback(draft: Draft) -> list[Candidate | None]:
    """Return to the version that ran before the suspect release, while that release still runs."""
    change = draft.suspect_change("deployment")
    if change is None or not isinstance(change.before, str) or taken_back(draft):
        return []
    arguments: dict[str, JsonValue] = {"service": draft.name, "to_version": change.before}
    reason = f"{change.before} ran before the release and was within its usual range"
    found = [draft.candidate("service.rollback", draft.hypothesis.entity, arguments, reason=reason, preference=0.9)]
    if draft.hypothesis.fault_class == "deploy_leak":
        reason = (
            "a restart frees the memory but hides the leak, which comes back: only when rolling back is not possible"
        )
        arguments = {"service": draft.name, "reason": "memory_pressure"}
        found.append(
            draft.candidate("service.restart", draft.hypothesis.entity, arguments, reason=reason, preference=0.2)
        )
    return found


def configure_back(draft: Draft) -> list[Candidate | None]:
    """Set the configuration key back to the value before the suspect change, while the new value still stands."""
    change = draft.suspect_change("config")
    if change is None or not isinstance(change.before, dict) or not isinstance(change.after, dict):
        return []
    key, value = change.before.get("key"), change.before.get("value")
    if not isinstance(key, str) or taken_back(draft):
        return []
    arguments: dict[str, JsonValue] = {"service": draft.name, "key": key, "value": value}
    reason = f"{key} had another value before the symptoms began"
    return [draft.candidate("service.configure", draft.hypothesis.entity, arguments, reason=reason, preference=0.9)]


def taken_back(draft: Draft) -> bool:
    """Tell whether the change that the hypothesis blames does not stand any more."""
    state = draft.service_state(draft.name)
    release, value = draft.suspect_change("deployment"), draft.suspect_change("config")
    if state is None:
        return False
    if release is not None:
        return state.version != release.after
    after = value.after if value is not None else None
    return isinstance(after, dict) and state.config.get(str(after.get("key"))) != after.get("value")


def more_room(draft: Draft) -> list[Candidate | None]:
    """Give more replicas to whatever is at its limit, the blamed entity first; else throttle the tenant."""
    moves = draft.moves
    names = [draft.hypothesis.entity, *(e for e in sorted(moves.by_entity) if e != draft.hypothesis.entity)]
    growth = _growth(draft, moves)
    raised = [_more_replicas(draft, moves, entity, growth) for entity in names]
    return [*(c for c in raised if c is not None), *throttle(draft)]


def _growth(draft: Draft, moves: Moves) -> float:
    """How many times the usual work there is now."""
    traffic = moves.of(draft.hypothesis.entity, "traffic")
    return max(traffic.now / traffic.lately, 1.0) if traffic is not None and traffic.lately > 0 else 1.0


def _more_replicas(draft: Draft, moves: Moves, entity: str, growth: float) -> Candidate | None:
    name = entity.partition("/")[2]
    state, service = draft.service_state(name), draft.service(name)
    if state is None or service is None or not _at_limit(moves, entity, state, max(len(service.regions), 1)):
        return None
    if pending(draft.case, entity) is not None:
        return None  # what it may have already does not start: more of that would not either
    ready, cpu = moves.of(entity, "ready"), moves.of(entity, "cpu")
    usual = ready.before / max(len(service.regions), 1) if ready is not None else float(state.replicas)
    busy = cpu.before / TARGET_UTILISATION if cpu is not None else 1.0
    granted = [b.quota.max_replicas_per_service for b in draft.pack.bindings if b.tenant == service.tenant]
    quota = min(granted, default=Quota().max_replicas_per_service)
    need = ceil(usual * growth * max(busy, 1.0) * HEADROOM)
    if need > BEYOND_QUOTA * quota:
        return None  # what is granted would cost all of it and serve a fraction
    preference = 0.9 if entity == draft.hypothesis.entity else 0.7
    if state.scaling is None or not state.scaling.enabled:
        replicas = min(max(need, state.replicas + 1), quota)
        arguments: dict[str, JsonValue] = {"service": name, "replicas": replicas}
        reason = f"{entity} has no CPU left on {state.replicas} replicas per region and no policy that adds any"
        return draft.candidate("service.scale", entity, arguments, reason=reason, preference=preference)
    ceiling = min(max(need, state.scaling.max_replicas + 1), quota)
    policy = ScalingPolicy.model_validate({**state.scaling.model_dump(), "max_replicas": ceiling})
    arguments = {"service": name, "policy": policy.model_dump(mode="json")}
    reason = f"{entity} is at its ceiling of {state.scaling.max_replicas} replicas per region, and its policy owns them"
    return draft.candidate("scaling_policy.update", entity, arguments, reason=reason, preference=preference)


# Target utilisation in the Kubernetes HPA walkthrough's order; used only where the service states none.
TARGET_UTILISATION = 0.6


def _at_limit(moves: Moves, entity: str, state: ServiceState, regions: int) -> bool:
    """Tell whether a service has no CPU to spare and as many replicas as it may have."""
    cpu, wanted = moves.rose(entity, "cpu"), moves.of(entity, "desired")
    if cpu is None:
        return False
    if state.scaling is None or not state.scaling.enabled:
        return cpu.now >= BUSY
    # one region may still have room while another is full: nine tenths counts as the ceiling
    most = 0.9 * state.scaling.max_replicas * regions
    return wanted is not None and wanted.now >= most and cpu.now > state.scaling.target_cpu_utilisation


def break_loop(draft: Draft) -> list[Candidate | None]:
    """Let in less than is usual until the queue of what nobody waits for is gone; or serve all the repeats, too."""
    shed = throttle(draft, preference=0.9, slack=DRAINING, lasts_s=DRAIN_S)
    return [*shed, *(c for c in more_room(draft) if c is not None and c.proposal.kind != "tenant.throttle")]


def throttle(
    draft: Draft, preference: float = 0.5, *, slack: float = THROTTLE_SLACK, lasts_s: int = THROTTLE_S
) -> list[Candidate | None]:
    """Limit the tenant whose demand surged to little more than it usually sends."""
    service = draft.service(draft.name)
    if service is None or service.tenant == "platform":
        return []
    moves = draft.moves
    called = {e.target for e in draft.pack.topology.edges if e.kind == "calls"}
    entries = [
        f"service/{s.id}"
        for s in draft.pack.topology.services
        if s.tenant == service.tenant and f"service/{s.id}" not in called
    ]
    usual = sum(move.lately for entity in entries if (move := moves.of(entity, "traffic")) is not None)
    if usual <= 0:
        return []
    arguments: dict[str, JsonValue] = {
        "tenant": service.tenant,
        "rate_limit_rps": round(usual * slack, 1),
        "duration_s": lasts_s,
    }
    reason = f"refuses what {service.tenant} sends beyond its usual rate, so that the rest is served"
    target = f"tenant/{service.tenant}"
    return [draft.candidate("tenant.throttle", target, arguments, reason=reason, preference=preference)]


def shift_away(draft: Draft) -> list[Candidate | None]:
    """Send the traffic of services that still lack replicas to the regions that did not lose the zone."""
    zone = draft.name
    lost = next((t.region for t in draft.pack.topology.compute_targets if zone in t.zones), None)
    if lost is None:
        return []
    moves = draft.moves
    short: list[tuple[float, Candidate | None]] = []
    for service in draft.pack.topology.services:
        ready = moves.fell(f"service/{service.id}", "ready")
        left = [region for region in service.regions if region != lost]
        if ready is None or lost not in service.regions or not left or ready.now >= STILL_SHORT * ready.before:
            continue
        weights: dict[str, JsonValue] = {lost: 0.0, **dict.fromkeys(left, 1.0 / len(left))}
        arguments: dict[str, JsonValue] = {"service": service.id, "region_weights": weights, "duration_s": SHIFT_S}
        reason = f"its replicas in {lost} do not come back while {zone} is gone"
        target = f"service/{service.id}"
        made = draft.candidate("traffic.shift", target, arguments, reason=reason, preference=0.8)
        short.append((ready.now / max(ready.before, 1e-9), made))
    return [made for _, made in sorted(short, key=lambda pair: pair[0])]


# Rescheduled services have their replicas back within minutes; one that lacks a third is stuck.
STILL_SHORT = 0.7


def free_places(draft: Draft) -> list[Candidate | None]:
    """Restart to free stale connections; places lost to a leak never come back by themselves."""
    arguments: dict[str, JsonValue] = {"service": draft.name, "reason": "stale_connections"}
    reason = (
        "places that are never given back are freed by a rolling restart; it hides the cause, which the owner must find"
    )
    return [draft.candidate("service.restart", draft.hypothesis.entity, arguments, reason=reason, preference=0.7)]


def more_memory(draft: Draft) -> list[Candidate | None]:
    """Give each replica the memory its working set needs now; a restart would only start the same again."""
    state = draft.service_state(draft.name)
    if state is None:
        return []
    memory = ceil(state.memory_mib * MEMORY_ROOM / MEMORY_STEP_MIB) * MEMORY_STEP_MIB
    arguments: dict[str, JsonValue] = {
        "service": draft.name,
        "cpu_millicores": state.cpu_millicores,
        "memory_mib": memory,
    }
    reason = f"its working set has reached the limit of {state.memory_mib} MiB"
    return [draft.candidate("service.resize", draft.hypothesis.entity, arguments, reason=reason, preference=0.8)]


# Peak over request of right-sizing practice (VPA adds 15 % and rounds up; a collector needs a third free).
MEMORY_ROOM = 1.5
MEMORY_STEP_MIB = 64


def calm_neighbour(draft: Draft) -> list[Candidate | None]:
    """Take load off the greedy service by throttling its tenant: more room for it would be taken from the others."""
    return throttle(draft, preference=0.9)


FIXES: Mapping[str, Callable[[Draft], list[Candidate | None]]] = {
    "deploy_latency": rollback,
    "deploy_errors": rollback,
    "deploy_leak": rollback,
    "deploy_crash_loop": rollback,
    "config_regression": configure_back,
    "feature_flag": configure_back,
    "traffic_surge": more_room,
    "retry_storm": break_loop,
    "cpu_saturation": more_room,
    "zone_loss": shift_away,
    "pool_exhaustion": free_places,
    "memory_pressure": more_memory,
    "noisy_neighbour": calm_neighbour,
    "cpu_throttle": wider_limit,
    "lock_contention": end_session,
    "replication_lag": away_from_replica,
    "region_loss": out_of_region,
    "network_delay": around_network,
    "network_loss": around_network,
    "network_partition": around_network,
}
"""Classes that are not here have no legal command: they heal by themselves or end in a ticket."""
