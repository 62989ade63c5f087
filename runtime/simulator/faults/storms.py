"""A retry storm: a short rush leaves a queue longer than users wait, and their repeats keep it so when it is gone."""

from datetime import timedelta
from math import ceil

import numpy as np

from runtime.simulator.clients import Habit
from runtime.simulator.demand import Trend
from runtime.simulator.faults.base import Answer, Draw, Fault
from runtime.simulator.faults.load import demand_room, throttled
from runtime.simulator.faults.targets import bears, entries, objective_ms, pick
from runtime.simulator.live import Modifier
from runtime.simulator.world import World

# The rush itself: as long as a push notification or a cache stampede lasts, and well beyond what is there to serve it.
RUSH, OVER_ROOM = timedelta(minutes=4), 1.2
# All users asking again and again send this much more than the largest fleet could serve.
STORM_OVER_ROOM = 1.5
# Users wait three objectives long (nearly everybody is answered by then), the full queue lasts four times that.
PATIENCE, QUEUED = 3.0, 4.0
# A limit is set a tenth above the usual (agents and operators alike).
LIMIT = 1.1
# Above this the users still send more than they mean to.
STILL = 1.3


def _draw(world: World, rng: np.random.Generator) -> Draw:
    """An entry whose storm some command can end."""
    room = {service: demand_room(world, service) for service in entries(world)}
    ends = [s for s in room if _breakable(world, s, room[s]) or bears(world, s, _repeats(room[s]) + 1.0)]
    service = pick(rng, ends or sorted(room, key=lambda name: room[name])[:1])
    columns = world.layout.columns(service)
    patience_s = PATIENCE * objective_ms(world, service) / 1000.0
    per_replica = float((world.plant.cores * world.plant.burst / world.plant.cpu_ms)[columns].mean()) * 1000.0
    return Draw(
        fault="retry_storm", entity=f"service/{service}", names={"service": service},
        numbers={
            "patience_s": patience_s, "repeats": float(_repeats(room[service])), "rush": OVER_ROOM * room[service],
            "queue": QUEUED * patience_s * per_replica * float(rng.uniform(0.9, 1.3)),
        },
    )  # fmt: skip


def _repeats(room: float) -> int:
    return ceil(STORM_OVER_ROOM * room) - 1


def _breakable(world: World, service: str, room: float) -> bool:
    """Whether a limit a tenth above the tenant's usual requests leaves each region less than it can serve.

    The region that storms longest gets the largest part of what the limit lets in.
    """
    demand, columns = world.demand.base, world.layout.columns(service)
    tenants = float(demand[world.demand.tenant_of == world.demand.tenant_of[columns[0]]].sum())
    own = demand[columns]
    storming = own * (_repeats(room) + 1)
    admitted = storming * LIMIT * tenants / (storming + tenants - own)
    return bool((admitted < 0.9 * room * own).all())


def _rush(world: World, draw: Draw) -> None:
    columns = tuple(world.layout.columns(draw.names["service"]))
    numbers = draw.numbers
    world.demand.clients.habits[draw.fault] = Habit(columns, numbers["patience_s"], numbers["repeats"])
    world.demand.trends[draw.fault] = Trend(columns, world.now, level=numbers["rush"], ends=world.now + RUSH)
    world.live.modifiers[draw.fault] = (Modifier("surge_queue", columns, add=numbers["queue"]),)
    world.live.dirty = True


def _patience(world: World, draw: Draw) -> None:
    """Users stop asking again: what is queued drains."""
    world.demand.trends.pop(draw.fault, None)
    world.demand.clients.drop(draw.fault)


def _storming(world: World, draw: Draw) -> bool:
    return bool(world.demand.clients.attempts[world.layout.columns(draw.names["service"])].max() > STILL)


def _answers(world: World, draw: Draw) -> tuple[Answer, ...]:
    """More replicas than all repeats need, or fewer requests let in; first what surely ends it."""
    more = Answer(kind="scaling_policy.update", target=draw.entity)
    sure = bears(world, draw.names["service"], draw.numbers["repeats"] + 1.0)
    return (more, throttled(world, draw)) if sure else (throttled(world, draw), more)


RETRY_STORM = Fault(
    "retry_storm", "retry_storm", "recover", self_heals=False, draw=_draw, inject=_rush, undo=_patience,
    present=_storming, answers=_answers,
)  # fmt: skip
