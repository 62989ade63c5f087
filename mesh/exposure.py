"""What a command puts at risk, computed from its preview: services, replicas, money, quota, residency, error budget.

Pure functions over the preview and snapshots; the preview is what every engine writes and what the digest covers.
"""

from collections.abc import Iterable, Sequence

from domain.arguments import TrafficPolicyApply
from domain.changes import ResourceChange
from domain.commands import Command
from domain.desired import SECTIONS, EnvironmentState, ServiceState
from domain.evidence import MetricSeries
from domain.policies import TrafficPolicy
from domain.tenancy import RuntimeTenantBinding
from domain.topology import RuntimeService, Slo, Topology

_REPLICA_PATHS = ("replicas", "scaling.min_replicas")
MINUTE_S = 60
DAY_S = 86_400


def touched_services(command: Command, topology: Topology) -> tuple[RuntimeService, ...]:
    """Return the services among the affected resources."""
    names = {address.partition("/")[2] for address in command.affected.resources if address.startswith("service/")}
    return tuple(s for s in topology.services if s.id in names)


def replicas_stopped(command: Command) -> int:
    """Return how many running replicas stop at the same time: those a scale-down takes away.

    Restarts and rollouts go one replica after another and stop none at the same time beyond that one.
    """
    falls = [_number(c.before) - _number(c.after) for c in command.preview if c.path in _REPLICA_PATHS]
    return max(0, int(max(falls, default=0)))


def replicas_running(services: Iterable[RuntimeService], state: EnvironmentState) -> int:
    """Return the desired replicas of the services."""
    return sum(state.services[s.id].replicas for s in services if s.id in state.services)


def spend_change_usd_per_hour(command: Command, state: EnvironmentState, topology: Topology) -> float:
    """Return the price-list change: CPU requested more or less, at the mean price of a core in the node pools."""
    cores = [(p.cost_usd_per_node_hour / p.cpu_millicores_per_node) for p in topology.node_pools]
    per_millicore = sum(cores) / len(cores) if cores else 0.0
    return per_millicore * sum(_cpu_growth(change, state, _REPLICA_PATHS) for change in command.preview)


def residency_ok(command: Command, bindings: Sequence[RuntimeTenantBinding], state: EnvironmentState) -> bool:
    """Tell whether every region that receives traffic or load is allowed for every affected tenant.

    A failover takes along only whom its preview names: those it holds back stay where they are. A drill moves nobody.
    """
    if command.kind == "failover.drill":
        return True
    regions = {
        c.path.rsplit(".", 1)[-1] for c in command.preview if "region_weights." in c.path and _number(c.after) > 0
    }
    for change in command.preview:
        if change.path.endswith("region_weights") and isinstance(change.after, dict):
            regions |= {name for name, weight in change.after.items() if _number(weight) > 0}
    regions |= _led_to(command, state) | _sent_to(command)
    named = command.arguments.get("to_region") or command.arguments.get("primary_region")
    if isinstance(named, str):
        regions.add(named)
    affected = {command.tenant, *command.affected.tenants}
    if command.kind == "region.failover":
        affected = {c.address.removeprefix("tenant/") for c in command.preview if c.address.startswith("tenant/")}
    return all(regions <= set(b.residency.allowed_regions) for b in bindings if b.tenant in affected)


def _sent_to(command: Command) -> set[str]:
    """Return the regions that things outside the state documents go to: those inside are the controls' to judge."""
    documented = {kind for _, kind in SECTIONS}
    outside = [c for c in command.preview if c.address.partition("/")[0] not in documented]
    return {c.after for c in outside if c.path.endswith("region") and isinstance(c.after, str)}


def quota_ok(command: Command, binding: RuntimeTenantBinding, state: EnvironmentState, topology: Topology) -> bool:
    """Tell whether the tenant stays within its quota once the preview holds."""
    wanted = [_number(c.after) for c in command.preview if c.path.endswith(("replicas", "max_replicas"))]
    if any(replicas > binding.quota.max_replicas_per_service for replicas in wanted):
        return False
    mine = [s.id for s in topology.services if s.tenant == binding.tenant and s.id in state.services]
    used = sum(state.services[s].cpu_millicores * state.services[s].replicas for s in mine)
    more = sum(_cpu_growth(c, state, ("replicas",)) for c in command.preview) + _beside(command, state)
    return used + more <= binding.quota.max_cpu_millicores


def error_budget_left(series: Sequence[MetricSeries], slo: Slo) -> float:
    """Return the share of the window's error budget that the looked-at readings leave, 1 untouched, below 0 overspent.

    Spent = minutes outside the objective over the minutes the objective allows in its window (SRE workbook, chapter 2).
    """
    bad_s = 0.0
    for one in series:
        if one.kind == "errors":
            bad_s += one.step_s * sum(value for value in one.values if value is not None)
    allowed_s = slo.window_days * DAY_S * (1 - slo.availability_target)
    return 1 - bad_s / allowed_s


def _policy(command: Command, state: EnvironmentState) -> tuple[ServiceState | None, TrafficPolicy | None]:
    """Return the service whose requests a traffic or release command leads, and the policy it leads them by."""
    service = state.services.get(str(command.arguments.get("service")))
    if command.kind == "traffic_policy.apply":
        return service, TrafficPolicyApply.model_validate(command.arguments).policy
    if service is not None and command.kind.startswith("release."):
        return service, service.traffic
    return service, None


def _led_to(command: Command, state: EnvironmentState) -> set[str]:
    """Return the regions that a traffic or release command lets requests into, at present or when others are gone."""
    _, policy = _policy(command, state)
    if policy is None:
        return set()
    return {region for region, weight in policy.region_weights.items() if weight > 0} | set(policy.region_failover)


def _beside(command: Command, state: EnvironmentState) -> float:
    """Return the millicores of a blue-green release's second version, which is up in full beside the first."""
    service, policy = _policy(command, state)
    begins = command.kind in {"traffic_policy.apply", "release.resume"}
    if not begins or service is None or policy is None or policy.release is None:
        return 0.0
    return float(service.cpu_millicores * service.replicas) if policy.release.strategy == "blue_green" else 0.0


def _cpu_growth(change: ResourceChange, state: EnvironmentState, replica_paths: Sequence[str]) -> float:
    """Return the millicores that a change requests more: per replica times replicas."""
    service = state.services.get(change.address.partition("/")[2])
    if service is None:
        return 0.0
    if change.path == "cpu_millicores":
        return (_number(change.after) - _number(change.before)) * service.replicas
    if change.path in replica_paths:
        return (_number(change.after) - _number(change.before)) * service.cpu_millicores
    return 0.0


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0
