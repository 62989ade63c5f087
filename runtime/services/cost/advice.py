"""Advice: where what is requested is more than what is used by enough to be worth a change, with the command for it.

A service that scales itself is given another floor, never replicas; nobody is asked to change for little; memory is
never advised below its peak or below what a kill has proved too small; stores and what is being killed are left alone.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

import numpy as np

from analysis.signals import Floats
from analysis.sizing import memory_floor_mib, size
from domain.costs import Lever, Recommendation
from domain.desired import EnvironmentState, ServiceState
from domain.findings import Act
from domain.ids import PLATFORM
from domain.topology import EntityRef, RuntimeService, Topology
from runtime.bills.ports import Price
from runtime.services.cost.anomalies import LEAST_USD_PER_MONTH, MONTH_H
from runtime.services.cost.books import Line

LEAST_SHARE: Final = 0.3
"""A fleet is not resized for less than three tenths of what it costs: the next release moves its use by as much."""
LEAST_SKU_SHARE: Final = 0.15
"""Machines are not exchanged for less than this: every replica on them moves."""
PEAK_USE: Final = 0.4
"""Use of the request at the peak that is aimed at: what calls it may grow by half before the usual target of 60 %."""
RISK: Final = 0.01
"""Share of minutes above the sized use."""
RESOLUTION_M: Final = 10.0
"""Requests are told in steps of ten millicores."""
FLOOR_SHARE: Final = 0.4
"""A floor of two fifths of the peak's replicas carries the minutes in which new ones start."""
REDUNDANT: Final = 2
"""Replicas a region keeps, so that one may fail."""
GIVEN_UP: Final = 0.02
"""Requests that are left, of those at the same hour a day ago, when only probes and crawlers still come."""
GIVEN_UP_H: Final = 2
UNUSED: Final = 0.03
"""Use of the request that an idle process has of its own."""
QUIET: Final = 0.01
"""Of the peak rate: an hour below it every day is an hour nobody uses."""
QUIET_H: Final = 6
"""A schedule is worth having from a quarter of the day on."""
MEMORY_USE: Final = 0.8
"""Share of a pool's memory that requests may come to after an exchange of machines."""
STATEFUL: Final = frozenset({"database", "cache", "queue"})
HOUR_S: Final = 3600
CONFIDENCE: Final = 0.8
"""A saving is arithmetic on what was metered; whether the owner wants the room is not."""


@dataclass(frozen=True, slots=True, eq=False)
class Use:
    """What monitoring says of one service on a grid of `step_s`, oldest first; all arrays are of one length."""

    step_s: int
    utilisation: Floats
    """Of the CPU request, mean of replicas."""
    replicas: Floats
    """Over all regions."""
    rate: Floats
    memory_mib: Floats
    restarts: Floats

    @property
    def hours(self) -> float:
        """Length of what was seen."""
        return len(self.rate) * self.step_s / HOUR_S


@dataclass(frozen=True, slots=True)
class Estate:
    """What advice is made from: what shall run, what runs, what it uses and costs."""

    topology: Topology
    state: EnvironmentState
    lines: Sequence[Line]
    """Of the last hours; what a core costs now is read off their ends."""
    prices: Sequence[Price]
    use: Mapping[str, Use]


def advise(estate: Estate) -> tuple[Recommendation, ...]:
    """Return what is worth doing, dearest first: at most one lever per resource."""
    sized = _sizes(estate)
    found = [one for s in estate.topology.services if (one := _service(estate, s, sized)) is not None]
    found += _machines(estate)
    return tuple(sorted(found, key=lambda one: (-one.saving_usd_per_month, one.resource)))


def _service(estate: Estate, service: RuntimeService, sized: Mapping[str, float]) -> Recommendation | None:
    state, use = estate.state.services.get(service.id), estate.use.get(service.id)
    if state is None or use is None or use.hours < GIVEN_UP_H or service.archetype in STATEFUL:
        return None
    if state.schedule is not None or _killed(use):
        return None
    for lever in (_idle, _scheduled, _floor):
        if (found := lever(estate, service, state, use)) is not None:
            return found
    if service.id in sized and use.hours >= 24:
        return _resize(estate, service, state, use, sized[service.id])
    return None


def _killed(use: Use) -> bool:
    """Processes that keep being killed use what they use because of that."""
    return bool(use.restarts.sum() > 0)


def _idle(estate: Estate, service: RuntimeService, state: ServiceState, use: Use) -> Recommendation | None:
    """Given up: one replica a region is left until it is retired. Hardly used: it keeps one more than it needs."""
    recent, day = GIVEN_UP_H * HOUR_S // use.step_s, 24 * HOUR_S // use.step_s
    given_up = len(use.rate) >= day + recent and use.rate[-recent:].max() < GIVEN_UP * np.median(
        use.rate[-day - recent : -day]
    )
    unused = use.hours >= 24 and float(np.quantile(use.utilisation[-day:], 0.99)) < UNUSED
    if not (given_up or unused):
        return None
    running = float(use.replicas[-recent:].min())
    left = 1 if given_up else REDUNDANT
    saving = (running - left * len(service.regions)) * _usd_per_replica(estate, service)
    why = (
        f"requests fell to {use.rate[-recent:].max():.2f}/s, under {GIVEN_UP:.0%} of a day ago"
        if given_up
        else f"less than {UNUSED:.0%} of what it requests was used all day"
    )
    return _worth(estate, service, "idle", saving, _fewer(service, state, left), (why, f"{running:.0f} replicas run"))


def _scheduled(estate: Estate, service: RuntimeService, state: ServiceState, use: Use) -> Recommendation | None:
    """Nobody uses it in the same hours every day."""
    per_hour = HOUR_S // use.step_s
    first = estate.lines[0].times[-1] if estate.lines else 0.0
    if use.hours < 48 or state.schedule is not None:
        return None
    kept = len(use.rate) // per_hour * per_hour
    hourly = use.rate[-kept:].reshape(-1, per_hour).max(axis=1)
    last_hour = int(first // HOUR_S) % 24
    of_day = (last_hour - np.arange(len(hourly))[::-1]) % 24
    quiet = [bool((hourly[of_day == h] < QUIET * hourly.max()).all()) for h in range(24)]
    off, length = _longest(quiet)
    if length < QUIET_H or length == 24:
        return None
    saving = float(use.replicas.mean()) * _usd_per_replica(estate, service) * length / 24.0
    arguments = {"service": service.id, "on_hour_utc": (off + length) % 24, "off_hour_utc": off}
    act = _act("service.schedule", arguments, f"service/{service.id}", "Nobody uses it in these hours.")
    return _worth(estate, service, "schedule", saving, act, (f"no requests from {off}:00 UTC for {length} h each day",))


def _floor(estate: Estate, service: RuntimeService, state: ServiceState, use: Use) -> Recommendation | None:
    """A floor that holds replicas which the policy's own target would not."""
    policy, regions = state.scaling, max(len(service.regions), 1)
    if policy is None or not policy.enabled or policy.min_replicas <= REDUNDANT:
        return None
    day = min(len(use.rate), 24 * HOUR_S // use.step_s)
    needed = np.ceil(use.utilisation[-day:] * use.replicas[-day:] / regions / policy.target_cpu_utilisation)
    wanted = max(REDUNDANT, ceil(FLOOR_SHARE * float(needed.max())))
    if wanted >= policy.min_replicas:
        return None
    held = np.maximum(use.replicas[-day:] / regions - np.maximum(needed, wanted), 0.0)
    saving = float(np.median(held)) * regions * _usd_per_replica(estate, service)
    act = _fewer(service, state, wanted)
    why = f"its floor is {policy.min_replicas} a region; its target asks for {needed.min():.0f} to {needed.max():.0f}"
    return _worth(estate, service, "scaling", saving, act, (why,))


def _sizes(estate: Estate) -> dict[str, float]:
    """Return millicores per replica of every service nobody scales, sized in one call at one price of risk."""
    found: dict[str, Floats] = {}
    for service in estate.topology.services:
        state, use = estate.state.services.get(service.id), estate.use.get(service.id)
        fixed = state is not None and (state.scaling is None or not state.scaling.enabled)
        if state is not None and use is not None and fixed and len(use.utilisation):
            found[service.id] = use.utilisation * state.cpu_millicores
    if not found:
        return {}
    longest = max(len(v) for v in found.values())
    table = np.full((len(found), longest), np.nan)
    for row, values in enumerate(found.values()):
        table[row, longest - len(values) :] = values
    return dict(zip(found, (float(r) for r in size(table, RISK, RESOLUTION_M).request), strict=True))


def _resize(
    estate: Estate, service: RuntimeService, state: ServiceState, use: Use, sized_m: float
) -> Recommendation | None:
    wanted = max(int(RESOLUTION_M), ceil(sized_m / PEAK_USE / RESOLUTION_M) * int(RESOLUTION_M))
    share = 1.0 - wanted / state.cpu_millicores
    if share < LEAST_SHARE:
        return None
    peak = float(use.memory_mib.max(initial=0.0))
    floor = float(memory_floor_mib(np.array([peak]), np.array([np.nan]))[0])
    arguments = {
        "service": service.id, "cpu_millicores": wanted, "memory_mib": max(state.memory_mib, ceil(floor)),
    }  # fmt: skip
    act = _act("service.resize", arguments, f"service/{service.id}", "It uses far less than it requests.")
    saving = share * float(use.replicas.mean()) * _usd_per_replica(estate, service)
    why = (
        f"{sized_m:.0f}m carry all but {RISK:.0%} of minutes, {state.cpu_millicores}m are requested",
        f"memory stays at least at its peak of {peak:.0f} MiB",
    )
    return _worth(estate, service, "right_sizing", saving, act, why)


def _fewer(service: RuntimeService, state: ServiceState, replicas: int) -> Act:
    """A lower floor where a policy owns the replicas, fewer replicas where none does."""
    target = f"service/{service.id}"
    if state.scaling is not None and state.scaling.enabled:
        policy = state.scaling.model_copy(update={"min_replicas": replicas}).model_dump(mode="json")
        arguments = {"service": service.id, "policy": policy}
        return _act("scaling_policy.update", arguments, target, "Its floor keeps replicas that nobody needs.")
    return _act("service.scale", {"service": service.id, "replicas": replicas}, target, "Nobody needs its replicas.")


def _machines(estate: Estate) -> Iterator[Recommendation]:
    """Pools whose machines cost more than equal ones that hold what is requested there."""
    offers = {price.sku: price for price in estate.prices}
    memory = _memory_by_pool(estate)
    for pool in estate.topology.node_pools:
        here = offers.get(pool.sku)
        if here is None or pool.node_count == 0:
            continue
        fits = [
            o for o in offers.values()
            if o.cores == here.cores and o.memory_mib * pool.node_count * MEMORY_USE >= memory[pool.id]
        ]  # fmt: skip
        best = min(fits, key=lambda o: (o.usd_per_node_hour, o.sku), default=here)
        share = 1.0 - best.usd_per_node_hour / here.usd_per_node_hour
        saving = (here.usd_per_node_hour - best.usd_per_node_hour) * pool.node_count * MONTH_H
        if share < LEAST_SKU_SHARE or saving < LEAST_USD_PER_MONTH:
            continue
        address = f"node_pool/{pool.id}"
        act = _act(
            "node_pool.change_sku", {"node_pool": pool.id, "sku": best.sku}, address,
            f"{best.sku} has the same cores and holds what is requested, for {share:.0%} less.",
        )  # fmt: skip
        there = best.memory_mib * pool.node_count
        why = (
            f"{here.sku} at {here.usd_per_node_hour:.2f} USD/h, {best.sku} at {best.usd_per_node_hour:.2f}",
            f"{memory[pool.id] / 1024:.0f} GiB are requested, {pool.node_count} nodes have {there / 1024:.0f} GiB",
        )
        yield Recommendation(
            lever="sku", tenant=PLATFORM, resource=address, saving_usd_per_month=saving, act=act, evidence=why
        )


def _memory_by_pool(estate: Estate) -> dict[str, float]:
    """MiB that replicas may come to request on each pool."""
    regions = {f"node_pool/{p.id}": p.id for p in estate.topology.node_pools}
    found: dict[str, float] = defaultdict(float)
    for edge in estate.topology.edges:
        name = edge.source.removeprefix("service/")
        if edge.kind == "runs_on" and edge.target in regions and name in estate.state.services:
            state = estate.state.services[name]
            most = state.scaling.max_replicas if state.scaling and state.scaling.enabled else state.replicas
            found[regions[edge.target]] += most * state.memory_mib
    return found


def _usd_per_replica(estate: Estate, service: RuntimeService) -> float:
    """USD a month of one replica in one region, over the regions it runs in."""
    each = [
        float(line.usd.sum() / line.replica_hours.sum())
        for line in estate.lines
        if line.resource == f"service/{service.id}" and line.replica_hours.sum() > 0
    ]
    return float(np.mean(each)) * MONTH_H if each else 0.0


def _worth(
    estate: Estate, service: RuntimeService, lever: Lever, saving: float, act: Act, why: tuple[str, ...]
) -> Recommendation | None:
    """Return the recommendation unless it saves too little."""
    spent = sum(
        float(line.usd.sum()) / (len(line.times) * _step_h(line))
        for line in estate.lines
        if line.resource == f"service/{service.id}" and len(line.times) > 1
    )
    if saving < LEAST_USD_PER_MONTH or saving < LEAST_SHARE * spent * MONTH_H:
        return None
    return Recommendation(
        lever=lever, tenant=service.tenant, resource=f"service/{service.id}", saving_usd_per_month=saving, act=act,
        evidence=why,
    )  # fmt: skip


def _step_h(line: Line) -> float:
    return float(line.times[1] - line.times[0]) / HOUR_S


def _act(kind: str, arguments: Mapping[str, object], target: str, why: str) -> Act:
    return Act.model_validate({
        "kind": kind, "arguments": dict(arguments), "target": EntityRef.parse(target), "rationale": why,
        "confidence": CONFIDENCE,
    })  # fmt: skip


def _longest(quiet: Sequence[bool]) -> tuple[int, int]:
    """Return start and length of the longest run of True around the clock."""
    best = (0, 0)
    for start in range(len(quiet)):
        length = 0
        while length < len(quiet) and quiet[(start + length) % len(quiet)]:
            length += 1
        best = max(best, (start, length), key=lambda run: run[1])
    return best
