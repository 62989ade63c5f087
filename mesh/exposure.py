"""What a command puts at risk, computed from its preview: services, replicas, money, error budget.

Pure functions over the preview and snapshots; the preview is what every engine writes and what the digest covers.
"""

from collections.abc import Iterable, Sequence

from domain.changes import ResourceChange
from domain.commands import Command
from domain.desired import EnvironmentState
from domain.evidence import MetricSeries
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
    return per_millicore * sum(_cpu_growth(change, state) for change in command.preview)


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


def _cpu_growth(change: ResourceChange, state: EnvironmentState) -> float:
    """Return the millicores that a change requests more: per replica times replicas."""
    service = state.services.get(change.address.partition("/")[2])
    if service is None:
        return 0.0
    if change.path == "cpu_millicores":
        return (_number(change.after) - _number(change.before)) * service.replicas
    if change.path in _REPLICA_PATHS:
        return (_number(change.after) - _number(change.before)) * service.cpu_millicores
    return 0.0


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0
