"""Drift by tier: what people change by hand on what others stand on is put back, best-effort services are left."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np

from evals.service_cases import Case, Check, Measured
from evals.services.packs_place import install, trusting_market
from mesh.time import VirtualClock
from runtime import state
from runtime.convergence import Convergence
from runtime.engine.embedded import EmbeddedEngine
from runtime.simulator.demo import TENANTS, demo_world
from runtime.simulator.faults.base import Draw, Fault
from runtime.simulator.faults.drift import MANUAL_IMAGE, OPEN_FIREWALL
from runtime.simulator.world import World
from runtime.targets.simulated import SimulatedTarget
from storage.engine import Database
from storage.tables.runtime import create_runtime_tables

TURN = timedelta(seconds=30)
TRIES = 200
FAULTS = (MANUAL_IMAGE, OPEN_FIREWALL)


def _drawn(world: World, rng: np.random.Generator, fault: Fault, tier: Callable[[int], bool]) -> Draw:
    """A change by hand of a tenant's service of such a tier."""
    tiers = {s.id: s.tier for s in world.spec.services if s.tenant != "platform"}
    drawn = (fault.draw(world, rng) for _ in range(TRIES))
    return next(d for d in drawn if d.names["name"] in tiers and tier(tiers[d.names["name"]]))


async def _by_tier(seed: int, folder: Path, packs: Sequence[str] = ("drift-by-tier",)) -> Measured:
    world, rng = World(demo_world().model_copy(update={"chatter": False}), seed), np.random.default_rng(seed)
    market = trusting_market(folder)
    for pack in packs:
        install(world, market, pack)
    world.advance(world.now + TURN)
    clock, database = VirtualClock(world.now), Database(f"sqlite:///{folder / 'runtime.db'}")
    create_runtime_tables(database.engine)
    target = SimulatedTarget(world)
    convergence = Convergence(database, clock, EmbeddedEngine(target, clock), target, {})
    with database.begin() as connection:
        state.register(connection, world.spec.environment, TENANTS, world.environment_state(), at=world.now)
    await convergence.reconcile()
    critical = [(fault, _drawn(world, rng, fault, lambda tier: tier <= 1)) for fault in FAULTS]
    others = [(fault, _drawn(world, rng, fault, lambda tier: tier > 1)) for fault in FAULTS]
    for fault, draw in (*critical, *others):
        fault.inject(world, draw)
    since, seconds = world.now, 1e9
    for _ in range(10):
        world.advance(world.now + TURN)
        clock.move_to(world.now)
        await convergence.reconcile()
        if seconds > 1e8 and not any(fault.present(world, draw) for fault, draw in critical):
            seconds = (world.now - since).total_seconds()
    left = sum(fault.present(world, draw) for fault, draw in others)
    return Measured(
        checks=(
            Check(name="seconds until tiers 0 and 1 are as they shall be", value=seconds, bound=60.0, at="most"),
            Check(name="changes on tiers 2 and 3 that are left", value=float(left), bound=float(len(others))),
        ),
        figures={"changes_by_hand": float(len(critical) + len(others))},
        reference="the document, field by field; two looks of the runtime",
    )


async def _by_tier_not(seed: int, folder: Path) -> Measured:
    return await _by_tier(seed, folder, ())


CASES: tuple[Case, ...] = (
    Case("packs-drift", "marketplace", "changes by hand are put back on what others stand on, and left elsewhere",
         _by_tier, _by_tier_not, "the pack is not installed"),
)  # fmt: skip
