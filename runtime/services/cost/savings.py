"""Realised savings: what the state before a change would have cost at the use of after it, less what was metered.

A change is booked when a granted command wrote it (it has a key) and it asks for less. What a scaling policy would have
run is worked out by its own rule from the replicas that ran; a later change of the same thing is not counted twice.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from analysis.signals import Floats
from domain.base import Frozen, UtcDatetime
from domain.costs import Saving
from domain.desired import EnvironmentState, NodePoolState, ServiceState
from runtime.bills.ports import Price
from runtime.services.cost.anomalies import MONTH_H
from runtime.services.cost.books import Line, price_at, price_table
from runtime.state import Version

DAY: Final = timedelta(days=1)
HOUR_S: Final = 3600.0


class Booking(Frozen):
    """One change for less: the state before and after, and how long it holds."""

    resource: str
    before: ServiceState | NodePoolState
    after: ServiceState | NodePoolState
    key: str
    at: UtcDatetime
    until: UtcDatetime | None = None

    @property
    def what(self) -> str:
        """The fields that differ, for people."""
        old, new = self.before.model_dump(mode="json"), self.after.model_dump(mode="json")
        return ", ".join(f"{k}: {old[k]} -> {new[k]}" for k in _FIELDS if k in old and old[k] != new[k])


_FIELDS: Final = ("replicas", "cpu_millicores", "scaling", "schedule", "sku", "node_count")


def booked(open_ones: Sequence[Booking], before: EnvironmentState, version: Version) -> list[Booking]:
    """Return the bookings that a version opens or ends: those given that it changed, and new ones."""
    after = version.desired.base
    found: list[Booking] = []
    for resource, old, new in _pairs(before, after):
        if _asked(old) == _asked(new):
            continue
        holding = [b for b in open_ones if b.resource == resource and b.until is None]
        found += [b.model_copy(update={"until": version.at}) for b in holding if not _less(new, b.before)]
        if version.key is not None and _less(new, old):
            found.append(Booking(resource=resource, before=old, after=new, key=version.key, at=version.at))
    return found


def _pairs(
    before: EnvironmentState, after: EnvironmentState
) -> Iterable[tuple[str, ServiceState | NodePoolState, ServiceState | NodePoolState]]:
    for name in before.services.keys() & after.services.keys():
        yield f"service/{name}", before.services[name], after.services[name]
    for name in before.node_pools.keys() & after.node_pools.keys():
        yield f"node_pool/{name}", before.node_pools[name], after.node_pools[name]


def _asked(state: ServiceState | NodePoolState) -> tuple[object, ...]:
    return tuple(getattr(state, name, None) for name in _FIELDS)


def _less(new: ServiceState | NodePoolState, old: ServiceState | NodePoolState) -> bool:
    """Tell whether the new state asks for less; another machine type may, its price decides when it is measured."""
    if isinstance(new, NodePoolState) and isinstance(old, NodePoolState):
        return new.sku != old.sku or new.node_count < old.node_count
    if isinstance(new, ServiceState) and isinstance(old, ServiceState):
        return _floor_cores(new) < _floor_cores(old)
    return False


def _floor_cores(state: ServiceState) -> float:
    """Millicores per region that run at least, as a mean over the day, weighed by how soon more are added."""
    policy = state.scaling if state.scaling and state.scaling.enabled else None
    replicas = policy.min_replicas / policy.target_cpu_utilisation if policy else float(state.replicas)
    hours = (state.schedule.off_hour_utc - state.schedule.on_hour_utc) % 24 if state.schedule else 24
    return replicas * state.cpu_millicores * (hours or 24)


def measured(bookings: Sequence[Booking], lines: Sequence[Line], prices: Sequence[Price], at: datetime) -> list[Saving]:
    """Return what each booking has realised by `at`, in the order given. Negative where it cost more."""
    table = price_table(prices)
    found: list[Saving] = []
    for booking in bookings:
        later = next(
            (
                b.at
                for b in sorted(bookings, key=lambda b: b.at)
                if b.resource == booking.resource and b.at > booking.at
            ),
            None,
        )
        saved = _saved(booking, lines, prices, table, later)
        times = np.array([t for t, _ in saved])
        usd = np.array([u for _, u in saved])
        day = usd[times >= (at - DAY).timestamp()] if len(usd) else usd
        held_h = min((at - booking.at) / timedelta(hours=1), 24.0)
        rate = float(day.sum()) / held_h if held_h > 0 and booking.until is None else 0.0
        found.append(
            Saving(
                resource=booking.resource, what=booking.what, at=booking.at, until=booking.until,
                realised_usd=float(usd.sum()), bookable_usd_per_month=rate * MONTH_H,
            )
        )  # fmt: skip
    return found


def _saved(
    booking: Booking,
    lines: Sequence[Line],
    prices: Sequence[Price],
    table: Mapping[str, tuple[Floats, Floats]],
    later: datetime | None,
) -> list[tuple[float, float]]:
    """Return (Unix seconds, USD saved) per line and interval while the booking held."""
    found: list[tuple[float, float]] = []
    sleeps = isinstance(booking.after, ServiceState) and booking.after.schedule is not None
    for line in lines:
        if not _about(booking, line):
            continue
        held = line.times >= booking.at.timestamp()
        if booking.until is not None:
            held &= line.times < booking.until.timestamp()
        without = _cost_under(booking.before, line, prices, table, sleeps=sleeps)
        with_it = line.usd
        if later is not None:  # what came later on the same thing is that change's own saving
            under = _cost_under(booking.after, line, prices, table, sleeps=False)
            with_it = np.where(line.times >= later.timestamp(), under, line.usd)
        saved = np.where(held, without - with_it, 0.0)
        found += zip(line.times[held].tolist(), saved[held].tolist(), strict=True)
    return found


def _about(booking: Booking, line: Line) -> bool:
    if booking.resource.startswith("node_pool/"):
        return line.node_pool == booking.resource.removeprefix("node_pool/")
    return line.resource == booking.resource


def _cost_under(
    state: ServiceState | NodePoolState,
    line: Line,
    prices: Sequence[Price],
    table: Mapping[str, tuple[Floats, Floats]],
    *,
    sleeps: bool,
) -> Floats:
    """Return USD per interval had the state held, at the use and the prices of the time."""
    if isinstance(state, ServiceState):
        return _service_cost(state, line, table, sleeps=sleeps)
    price = price_at(table, state.sku, line.times)
    if line.resource.startswith("service/"):
        return line.core_hours * price
    cores = next((p.cores for p in prices if p.sku == state.sku), 0.0)
    now = next((p.cores for p in prices if p.sku == line.sku), cores)
    # Nodes of the state before, less what is requested: the idle line is what changes with the count.
    change = state.node_count * (cores - now) * _hours(line)
    return (line.core_hours + change) * price


def _service_cost(
    state: ServiceState, line: Line, table: Mapping[str, tuple[Floats, Floats]], *, sleeps: bool
) -> Floats:
    hours = _hours(line)
    ran = line.replica_hours / hours
    replicas = np.full(len(ran), float(state.replicas))
    policy = state.scaling
    if policy is not None and policy.enabled:
        cores = line.core_hours / hours
        # The policy's own rule: the work it would have seen is what ran, at its target and request.
        wanted = cores * 1000.0 / state.cpu_millicores
        replicas = np.clip(np.ceil(wanted - 1e-6), policy.min_replicas, policy.max_replicas).astype(np.float64)
    if state.schedule is not None:
        awake = [state.schedule.runs_at(datetime.fromtimestamp(float(t), UTC)) for t in line.times]
        replicas = np.where(awake, replicas, 0.0)
    usd = replicas * state.cpu_millicores / 1000.0 * hours * price_at(table, line.sku, line.times)
    # Nothing ran on this machine type then: it ran on another one, unless it was put to sleep.
    return np.where((line.core_hours > 0) | sleeps, usd, 0.0)


def _hours(line: Line) -> float:
    return float(line.times[1] - line.times[0]) / HOUR_S if len(line.times) > 1 else 1.0 / 12.0
