"""Metrics of what goes on inside: CPU throttling, disks, locks, replicas and transactions, as common exporters tell.

Everybody has them all the time, with their usual noise; most days they say nothing.
"""

import numpy as np

from domain.evidence import SignalKind
from runtime.simulator.flow import Ints
from runtime.simulator.queueing import Floats
from runtime.simulator.spec import ServiceSpec
from runtime.simulator.traffic import PRIORITIES
from runtime.simulator.world import World

Row = tuple[str, SignalKind, str, str, Floats]
"""Metric, kind, unit, statistic, (steps,) values."""
# Use of a limit comes in bursts within the scheduler's 100 ms periods: at 60 % on average hardly any period is cut
# short, at 90 % four in ten are, at the limit all.
THROTTLE_SHAPE = 8.0
# Healthy levels: a disk that was sized for years, a replica within a second, transactions of a fraction of one.
USUAL_DISK, USUAL_LAG_S, USUAL_TRANSACTION_S, USUAL_WAITERS = 0.38, 0.4, 0.3, 0.2
# Packets sent again inside data centres: well under one in a thousand.
USUAL_RESENT = 0.0006


def inner_rows(world: World, service: ServiceSpec, steps: Ints) -> list[Row]:
    """The inner metrics of one of the platform's services."""
    columns = world.layout.columns(service.id)
    rows: list[Row] = [("cpu_periods_throttled", "saturation", "ratio", "avg", _throttled(world, steps, columns))]
    rows.append(("tcp_retransmits", "other", "ratio", "avg", _resent(world, service, steps)))
    if service.archetype == "database":
        rows += _store_rows(world, steps, columns)
    if any(_is_store(world, call.to) for call in service.calls):
        age = world.gauges.read("oldest_transaction_s", columns[0], steps, USUAL_TRANSACTION_S)
        rows.append(
            ("oldest_transaction_s", "other", "s", "max", _told(world, "transaction", age, steps, columns[0], 0.6))
        )
    return rows + _turned_away(world, steps, columns)


def _turned_away(world: World, steps: Ints, columns: list[int]) -> list[Row]:
    """Requests per second that a limit turned away, by priority; only where there is one that ever did."""
    found: list[Row] = []
    for priority in PRIORITIES:
        values = world.history.rarely(f"turned_away_{priority}", steps, columns).sum(axis=1)
        if values.any():
            found.append((f"turned_away_{priority}", "traffic", "1/s", "avg", values))
    return found


def _resent(world: World, service: ServiceSpec, steps: Ints) -> Floats:
    """Share of packets sent again, over the service's calls by how often it makes them."""
    edges = [e for call in service.calls for e in world.layout.edges(caller=service.id, callee=call.to)]
    share = np.full(len(steps), USUAL_RESENT)
    if edges and world.history.rare.get("resent"):
        weight = world.plant.graph.per_call[edges] * world.plant.route[edges]
        share += (world.history.rarely("resent", steps, edges) * weight).sum(axis=1) / max(float(weight.sum()), 1e-9)
    return _told(world, "resent", share, steps, world.layout.columns(service.id)[0], 0.6)


def _store_rows(world: World, steps: Ints, columns: list[int]) -> list[Row]:
    home = columns[0]
    disk = world.gauges.read("disk_used", home, steps, USUAL_DISK)
    waiters = USUAL_WAITERS + world.history.rarely("lock_waiters", steps, columns).sum(axis=1)
    rows: list[Row] = [
        ("disk_used", "saturation", "ratio", "avg", _told(world, "disk", disk, steps, home, 0.004)),
        ("lock_waiters", "other", "1", "avg", _told(world, "waiters", waiters, steps, home, 0.6)),
    ]
    if len(columns) > 1:
        lag = world.gauges.read("replica_lag_s", columns[1], steps, USUAL_LAG_S)
        rows.append(("replica_lag_s", "other", "s", "max", _told(world, "lag", lag, steps, home, 0.5)))
    return rows


def _is_store(world: World, name: str) -> bool:
    return world.layout.services[world.layout.service_index[name]].archetype == "database"


def _throttled(world: World, steps: Ints, columns: list[int]) -> Floats:
    """Share of scheduler periods cut short, over the replicas: from how much of the limit was used."""
    used = world.history.truth("cpu_utilisation", steps, columns)
    ready = world.history.truth("replicas_ready", steps, columns) + 1e-9
    share = used * 0.0
    for k, column in enumerate(columns):
        limit = world.gauges.read("cpu_limit", column, steps, float(world.layout.plant.burst[column]))
        share[:, k] = (used[:, k] / limit).clip(0.0, 1.0) ** THROTTLE_SHAPE
    whole = (share * ready).sum(axis=1) / ready.sum(axis=1)
    return _told(world, "throttled", whole, steps, columns[0], 0.1).clip(0.0, 1.0)


def _told(world: World, concern: str, level: Floats, steps: Ints, column: int, spread: float) -> Floats:
    """A level as sampled: uniform noise of that relative spread."""
    return level * (1.0 + spread * (world.history.draws(concern, steps, column) - 0.5))
