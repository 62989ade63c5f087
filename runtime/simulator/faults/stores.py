"""Faults of databases: a lock everybody waits for, a replica that falls behind, a disk that fills."""

from dataclasses import dataclass

import numpy as np

from runtime.simulator.faults.base import Answer, Draw, Fault
from runtime.simulator.faults.dependencies import hidden, lift
from runtime.simulator.faults.targets import hard_callers, pick, rate_per_region, scalable, stores
from runtime.simulator.gauges import Ramp
from runtime.simulator.inner_metrics import USUAL_DISK, USUAL_LAG_S, USUAL_TRANSACTION_S
from runtime.simulator.live import Modifier
from runtime.simulator.world import World

# One transaction at a time can do a tenth to four tenths less than what is asked for.
OVERLOAD = (1.1, 1.4)
# Seconds a replica falls behind per second while it applies only part of what the primary writes.
LAG_PER_S = (0.5, 0.9)
# Readers refuse answers that are this old (session guarantees give up after about a minute), more of them as it grows.
STALE_S, LOOK_S = 60.0, 30.0
# Share of a store's requests that need fresh data, and share that write.
FRESH, WRITES = (0.2, 0.45), (0.3, 0.5)
# Minutes until a runaway job's temporary files have filled the disk.
FILLS_IN_S = (150.0, 300.0)
FULL = 0.999


def _lock_draw(world: World, rng: np.random.Generator) -> Draw:
    called = {s: [c for c in hard_callers(world, s) if c in scalable(world)] for s in stores(world)}
    store = pick(rng, [s for s in called if called[s]])
    serial_ms = float(rng.uniform(*OVERLOAD)) * 1000.0 / rate_per_region(world, store)
    return Draw(
        fault="lock_contention", entity=f"service/{store}", numbers={"serial_ms": serial_ms},
        names={"service": store, "holder": pick(rng, called[store])},
    )  # fmt: skip


def _lock(world: World, draw: Draw) -> None:
    """A caller's session keeps a transaction open: everything that touches its rows goes one after another."""
    store, holder = (world.layout.columns(draw.names[name]) for name in ("service", "holder"))
    lock = Modifier("serial_ms", tuple(store), add=draw.numbers["serial_ms"], held_by=(*store, *holder))
    world.live.modifiers[draw.fault] = (lock,)
    world.live.held |= {draw.names["service"], draw.names["holder"]}
    world.live.dirty = True
    open_ = Ramp(world.history.count, USUAL_TRANSACTION_S, per_step=float(world.spec.step_s))
    world.gauges.tell("oldest_transaction_s", holder[0], open_)
    world.processes[draw.fault] = _Transaction(world, draw)


@dataclass(slots=True)
class _Transaction:
    """Ends when the lock does, whoever ended it."""

    world: World
    draw: Draw

    def __call__(self, _now_s: float) -> None:
        if not hidden(self.world, self.draw):
            _closed(self.world, self.draw)


def _closed(world: World, draw: Draw) -> None:
    holder = world.layout.columns(draw.names["holder"])[0]
    world.gauges.tell("oldest_transaction_s", holder, Ramp(world.history.count, USUAL_TRANSACTION_S))
    world.processes.pop(draw.fault, None)


def _unlock(world: World, draw: Draw) -> None:
    lift(world, draw)
    _closed(world, draw)
    world.live.held -= {draw.names["service"], draw.names["holder"]}


def _end_session(_world: World, draw: Draw) -> tuple[Answer, ...]:
    """Its holder's sessions end with its processes; restarting the store ends everybody's."""
    targets = (f"service/{draw.names['holder']}", draw.entity)
    return tuple(Answer(kind="service.restart", target=target) for target in targets)


def _lag_draw(world: World, rng: np.random.Generator) -> Draw:
    store = pick(rng, [s for s in stores(world) if len(world.layout.columns(s)) > 1 and hard_callers(world, s)])
    column = world.layout.columns(store)[1]
    region = world.layout.regions[int(world.layout.region_of[column])]
    return Draw(
        fault="replication_lag", entity=f"service/{store}", names={"service": store, "region": region},
        numbers={"per_s": float(rng.uniform(*LAG_PER_S)), "fresh": float(rng.uniform(*FRESH))},
        also=(f"data_store/{store}",),
    )  # fmt: skip


def _fall_behind(world: World, draw: Draw) -> None:
    column = world.layout.columns(draw.names["service"])[1]
    per_step = draw.numbers["per_s"] * world.spec.step_s
    world.gauges.tell("replica_lag_s", column, Ramp(world.history.count, USUAL_LAG_S, per_step))
    world.processes[draw.fault] = _Stale(world, draw, column)


@dataclass(slots=True)
class _Stale:
    """More of those who need fresh data find the replica too old, the further it is behind."""

    world: World
    draw: Draw
    column: int
    next_s: float = 0.0

    def __call__(self, now_s: float) -> None:
        if now_s < self.next_s:
            return
        self.next_s = now_s + LOOK_S
        lag = self.world.gauges.now("replica_lag_s", self.column, self.world.history.count, USUAL_LAG_S)
        stale = self.draw.numbers["fresh"] * (1.0 - float(np.exp(-lag / STALE_S)))
        self.world.live.modifiers[self.draw.fault] = (Modifier("error_share", (self.column,), add=stale),)
        self.world.live.dirty = True


def _catch_up(world: World, draw: Draw) -> None:
    """It applies what it missed several times as fast as it is written."""
    column, step = world.layout.columns(draw.names["service"])[1], world.history.count
    lag = world.gauges.now("replica_lag_s", column, step, USUAL_LAG_S)
    drain = Ramp(step, lag, per_step=-5.0 * world.spec.step_s, least=USUAL_LAG_S)
    world.gauges.tell("replica_lag_s", column, drain)
    world.processes.pop(draw.fault, None)
    lift(world, draw)


def _behind(world: World, draw: Draw) -> bool:
    return draw.fault in world.processes


def _away(_world: World, draw: Draw) -> tuple[Answer, ...]:
    return (Answer(kind="traffic.shift", target=draw.entity, arguments={draw.names["region"]: 0.0}),)


def _disk_draw(world: World, rng: np.random.Generator) -> Draw:
    store = pick(rng, [s for s in stores(world) if hard_callers(world, s)])
    return Draw(
        fault="disk_full", entity=f"service/{store}", names={"service": store}, also=(f"data_store/{store}",),
        numbers={"fills_in_s": float(rng.uniform(*FILLS_IN_S)), "writes": float(rng.uniform(*WRITES))},
    )  # fmt: skip


def _fill(world: World, draw: Draw) -> None:
    """Files that nobody removes grow until nothing can be written; whoever reads is still served.

    A larger volume would be full minutes later, and volumes do not shrink again: somebody has to stop what writes.
    """
    columns = world.layout.columns(draw.names["service"])
    per_step = (1.0 - USUAL_DISK) * world.spec.step_s / draw.numbers["fills_in_s"]
    world.gauges.tell("disk_used", columns[0], Ramp(world.history.count, USUAL_DISK, per_step, most=1.0))
    world.processes[draw.fault] = _NoSpace(world, draw, tuple(columns))


@dataclass(slots=True)
class _NoSpace:
    """From a full disk on, writes are refused."""

    world: World
    draw: Draw
    columns: tuple[int, ...]

    def __call__(self, _now_s: float) -> None:
        world = self.world
        full = world.gauges.now("disk_used", self.columns[0], world.history.count, USUAL_DISK) >= FULL
        if full and not hidden(world, self.draw):
            refused = Modifier("error_share", self.columns, add=self.draw.numbers["writes"])
            world.live.modifiers[self.draw.fault] = (refused,)
            world.live.dirty = True


def _clean(world: World, draw: Draw) -> None:
    """Somebody removes the files."""
    world.gauges.tell(
        "disk_used", world.layout.columns(draw.names["service"])[0], Ramp(world.history.count, USUAL_DISK)
    )
    world.processes.pop(draw.fault, None)
    lift(world, draw)


def _filling(world: World, draw: Draw) -> bool:
    return draw.fault in world.processes


def _ask(_world: World, draw: Draw) -> tuple[Answer, ...]:
    return (Answer(kind="ticket.open", target=draw.entity),)


LOCK_CONTENTION = Fault(
    "lock_contention", "lock_contention", "recover", self_heals=False, draw=_lock_draw, inject=_lock, undo=_unlock,
    present=hidden, answers=_end_session,
)  # fmt: skip
REPLICATION_LAG = Fault(
    "replication_lag", "replication_lag", "recover", self_heals=False, draw=_lag_draw, inject=_fall_behind,
    undo=_catch_up, present=_behind, answers=_away,
)  # fmt: skip
DISK_FULL = Fault(
    "disk_full", "disk_full", "escalate", self_heals=False, draw=_disk_draw, inject=_fill, undo=_clean,
    present=_filling, answers=_ask,
)  # fmt: skip
