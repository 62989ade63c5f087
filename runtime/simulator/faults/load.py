"""More demand than the world was sized for: on an entry service, on one without autoscaling, at once or little by
little, for good or for a moment only.
"""

from collections.abc import Callable
from datetime import timedelta

import numpy as np

from runtime.simulator.demand import Trend, daily_shape
from runtime.simulator.faults.base import Answer, Draw, Fault
from runtime.simulator.faults.targets import bears, entries, fixed_entries, pick, unlimited_entries
from runtime.simulator.world import World

PASSES_AFTER_S = 420.0
RAMP = timedelta(minutes=40)


def demand_room(world: World, service: str) -> float:
    """How many times today's demand the largest replicas its policy allows could serve at full CPU."""
    state, columns = world.live.services[service], world.layout.columns(service)
    most = state.scaling.max_replicas if state.scaling else state.replicas
    capacity = most * state.cpu_millicores / float(world.plant.cpu_ms[columns].mean()) * len(columns)
    offset = world.spec.regions[0].utc_offset_h
    return capacity / float(world.demand.base[columns].sum() * daily_shape(world.now, offset))


def _drawer(
    name: str, candidates: Callable[[World], list[str]], low: float, high: float
) -> Callable[[World, np.random.Generator], Draw]:
    def draw(world: World, rng: np.random.Generator) -> Draw:
        names = candidates(world)
        # what is behind an entry may be its narrowest part; then more replicas of the entry would only move the queue
        service = pick(rng, [c for c in names if bears(world, c, high * demand_room(world, c))] or names)
        numbers = {"factor": float(rng.uniform(low, high)) * demand_room(world, service)}
        return Draw(fault=name, entity=f"service/{service}", numbers=numbers, names={"service": service})

    return draw


def _crowding(world: World, rng: np.random.Generator) -> Draw:
    """Demand that fills the cores its neighbours left free, on a service whose CPU is not limited."""
    service = pick(rng, unlimited_entries(world))
    columns = world.layout.columns(service)
    steps = world.history.rows(world.history.count - 6, world.history.count)
    used = world.history.truth("cpu_cores", steps, list(range(world.layout.size))).mean(axis=0)
    pool = int(world.layout.pool_of[columns[0]])
    everything = float(used[world.layout.pool_of == pool].sum())
    own = float(used[columns[0]])
    wanted = float(rng.uniform(1.15, 1.35)) * float(world.plant.pool_cores[pool]) - (everything - own)
    numbers = {"factor": wanted / own}
    return Draw(fault="noisy_neighbour", entity=f"service/{service}", numbers=numbers, names={"service": service})


def _surge(world: World, draw: Draw) -> None:
    world.demand.surge[world.layout.columns(draw.names["service"])] *= draw.numbers["factor"]


def _subside(world: World, draw: Draw) -> None:
    world.demand.surge[world.layout.columns(draw.names["service"])] /= draw.numbers["factor"]


def _present(world: World, draw: Draw) -> bool:
    return bool(world.demand.surge[world.layout.columns(draw.names["service"])].max() >= 0.99 * draw.numbers["factor"])


def _ramp(world: World, draw: Draw) -> None:
    """Demand grows by the same share every minute: no sample looks much different from the one before."""
    per_day = draw.numbers["factor"] ** (timedelta(days=1) / RAMP) - 1.0
    columns = tuple(world.layout.columns(draw.names["service"]))
    world.demand.trends[draw.fault] = Trend(columns, world.now, growth_per_day=per_day, grown_at=world.now + RAMP)


def _ebb(world: World, draw: Draw) -> None:
    world.demand.trends.pop(draw.fault, None)


def _risen(world: World, draw: Draw) -> bool:
    return draw.fault in world.demand.trends


def _passing(world: World, draw: Draw) -> None:
    _surge(world, draw)
    ends_s = world.elapsed_s + PASSES_AFTER_S

    def pass_away(now_s: float) -> None:
        if now_s >= ends_s:
            _passed(world, draw)

    world.processes["passing-surge"] = pass_away


def _passed(world: World, draw: Draw) -> None:
    if world.processes.pop("passing-surge", None) is not None:
        _subside(world, draw)


def _still_passing(world: World, _draw: Draw) -> bool:
    return "passing-surge" in world.processes


def throttled(world: World, draw: Draw) -> Answer:
    """Fewer requests let in of the tenant whose users they are."""
    service = world.spec.services[world.layout.service_index[draw.names["service"]]]
    return Answer(kind="tenant.throttle", target=f"tenant/{service.demand_tenant or service.tenant}")


def surge_answers(world: World, draw: Draw) -> tuple[Answer, ...]:
    """More replicas at most, or fewer requests let in; the latter first where not all behind them could follow."""
    more, fewer = Answer(kind="scaling_policy.update", target=draw.entity), throttled(world, draw)
    return (more, fewer) if bears(world, draw.names["service"], draw.numbers["factor"]) else (fewer, more)


def _shortfall_answers(_world: World, draw: Draw) -> tuple[Answer, ...]:
    return (Answer(kind="service.scale", target=draw.entity),)


def _noisy_answers(world: World, draw: Draw) -> tuple[Answer, ...]:
    return (throttled(world, draw),)


def _no_command(_world: World, _draw: Draw) -> tuple[Answer, ...]:
    return ()


TRAFFIC_SURGE = Fault(
    "traffic_surge", "traffic_surge", "recover", self_heals=False, draw=_drawer("traffic_surge", entries, 1.15, 1.3),
    inject=_surge, undo=_subside, present=_present, answers=surge_answers,
)  # fmt: skip
CAPACITY_SHORTFALL = Fault(
    "capacity_shortfall", "traffic_surge", "recover", self_heals=False,
    draw=_drawer("capacity_shortfall", fixed_entries, 1.2, 1.5), inject=_surge, undo=_subside,
    present=_present, answers=_shortfall_answers,
)  # fmt: skip
NOISY_NEIGHBOUR = Fault(
    "noisy_neighbour", "noisy_neighbour", "recover", self_heals=False,
    draw=_crowding, inject=_surge, undo=_subside, present=_present,
    answers=_noisy_answers,
)  # fmt: skip
SLOW_RAMP = Fault(
    "slow_ramp", "traffic_surge", "recover", self_heals=False, draw=_drawer("slow_ramp", entries, 1.2, 1.4),
    inject=_ramp, undo=_ebb, present=_risen, answers=surge_answers,
)  # fmt: skip
PASSING_SURGE = Fault(
    "passing_surge", "traffic_surge", "wait", self_heals=True, draw=_drawer("passing_surge", entries, 1.15, 1.3),
    inject=_passing, undo=_passed, present=_still_passing, answers=_no_command,
)  # fmt: skip
