"""Nothing hurts and something would: no standby copy, all replicas in one zone, backups that nobody could restore."""

import numpy as np

from runtime.simulator.faults.base import Answer, Draw, Fault
from runtime.simulator.faults.room import fits_in_one_zone
from runtime.simulator.faults.targets import own, pick, stores
from runtime.simulator.faults.writes import field_draw, reset_by_pipeline, set_by_pipeline, still_set
from runtime.simulator.world import World

PIPELINE = "infra-pipeline"
# A night's backup and two hours for its run: what a daily schedule promises at most to lose.
PROMISED_H = 26.0


def _standby_draw(world: World, rng: np.random.Generator) -> Draw:
    store = pick(rng, [s for s in stores(world) if world.data_stores[s].replica_region is not None])
    before = world.data_stores[store].replica_region
    return field_draw("missing_replica", ("data_stores", store, "replica_region"), before, None, PIPELINE)


def _zone_draw(world: World, rng: np.random.Generator) -> Draw:
    """A service that much stands on and that one zone could hold."""
    spread = [s for s in own(world) if world.live.services[s.id].zone_spread and fits_in_one_zone(world, s.id)]
    service = pick(rng, [s.id for s in spread if s.tier <= 1] or [s.id for s in spread])
    return field_draw("single_zone", ("services", service, "zone_spread"), before=True, after=False, actor=PIPELINE)


def _ticket(_world: World, draw: Draw) -> tuple[Answer, ...]:
    return (Answer(kind="ticket.open", target=draw.entity),)


def _backup_draw(world: World, rng: np.random.Generator) -> Draw:
    store = pick(rng, stores(world))
    return Draw(
        fault="backup_not_restorable", entity=f"data_store/{store}", names={"store": store},
        numbers={"since_s": world.elapsed_s - float(rng.uniform(2.0, 20.0)) * 86_400.0}, also=(f"service/{store}",),
    )  # fmt: skip


def _spoil(world: World, draw: Draw) -> None:
    """The key the archives are written with was lost: they grow every night and hold nothing."""
    world.backups.spoil(draw.names["store"], since_s=draw.numbers["since_s"])


def _mend(world: World, draw: Draw) -> None:
    world.backups.mend(draw.names["store"])


def _unsound(world: World, draw: Draw) -> bool:
    return draw.names["store"] in world.backups.unsound


def _could_lose(world: World, draw: Draw) -> bool:
    return world.backups.lost_h(draw.names["store"], world.elapsed_s) > PROMISED_H


def _cover(world: World, draw: Draw) -> tuple[Answer, ...]:
    """The job's key is its owner's to mend; until then a point taken by hand covers, and a drill shows why."""
    return (
        *_ticket(world, draw),
        Answer(kind="restore_point.create", target=draw.entity),
        Answer(kind="restore.drill", target=draw.entity),
    )


MISSING_REPLICA = Fault(
    "missing_replica", "missing_replica", "escalate", self_heals=False, draw=_standby_draw, inject=set_by_pipeline,
    undo=reset_by_pipeline, present=still_set, answers=_ticket, domain="resilience", exposed=still_set,
)  # fmt: skip
SINGLE_ZONE = Fault(
    "single_zone", "single_zone", "escalate", self_heals=False, draw=_zone_draw, inject=set_by_pipeline,
    undo=reset_by_pipeline, present=still_set, answers=_ticket, domain="resilience", exposed=still_set,
)  # fmt: skip
BACKUP_NOT_RESTORABLE = Fault(
    "backup_not_restorable", "backup_not_restorable", "escalate", self_heals=False, draw=_backup_draw, inject=_spoil,
    undo=_mend, present=_unsound, answers=_cover, domain="resilience", exposed=_could_lose,
)  # fmt: skip
