"""The fault table: every way this world can be hurt, each with its undo and its right ending."""

from domain.errors import NotFound
from runtime.simulator.faults.base import Answer, Domain, Draw, Ending, Fault, Harm, Truth
from runtime.simulator.faults.bills import BILLING_RESTATED, PRICE_CHANGE
from runtime.simulator.faults.calls import DNS_FAILURE
from runtime.simulator.faults.capacity import CAP_TOO_LOW, ORGANIC_GROWTH, SEASONALITY_SHIFT, SLOW_SCALING_POLICY
from runtime.simulator.faults.config import CONFIG_REGRESSION, FEATURE_FLAG
from runtime.simulator.faults.cost import IDLE_SERVICE, OVER_PROVISIONED, RUNAWAY_JOB, WRONG_SKU
from runtime.simulator.faults.dependencies import DEPENDENCY_FAILING, DEPENDENCY_SLOW
from runtime.simulator.faults.deploys import DEPLOY_CRASH_LOOP, DEPLOY_ERRORS, DEPLOY_LATENCY, DEPLOY_LEAK
from runtime.simulator.faults.drift import (
    BACKUP_DISABLED,
    ENCRYPTION_OFF,
    MANUAL_IMAGE,
    MANUAL_SCALE,
    OPEN_FIREWALL,
    RESIDENCY_VIOLATION,
)
from runtime.simulator.faults.limits import CPU_THROTTLE
from runtime.simulator.faults.load import CAPACITY_SHORTFALL, NOISY_NEIGHBOUR, PASSING_SURGE, SLOW_RAMP, TRAFFIC_SURGE
from runtime.simulator.faults.networks import NETWORK_DELAY, NETWORK_LOSS, NETWORK_PARTITION
from runtime.simulator.faults.places import NODE_LOSS, ZONE_LOSS
from runtime.simulator.faults.processes import CACHE_FLUSH, MEMORY_PRESSURE, POOL_EXHAUSTION
from runtime.simulator.faults.regions import QUOTA_HIT, REGION_LOSS
from runtime.simulator.faults.resilience import BACKUP_NOT_RESTORABLE, MISSING_REPLICA, SINGLE_ZONE
from runtime.simulator.faults.stores import DISK_FULL, LOCK_CONTENTION, REPLICATION_LAG
from runtime.simulator.faults.storms import RETRY_STORM
from runtime.simulator.faults.trust import CERTIFICATE_EXPIRY, SECRET_EXPIRED
from runtime.simulator.streams import stream
from runtime.simulator.world import World

FAULTS: tuple[Fault, ...] = (
    DEPLOY_LATENCY,
    DEPLOY_ERRORS,
    DEPLOY_LEAK,
    DEPLOY_CRASH_LOOP,
    TRAFFIC_SURGE,
    PASSING_SURGE,
    CAPACITY_SHORTFALL,
    SLOW_RAMP,
    RETRY_STORM,
    NOISY_NEIGHBOUR,
    DEPENDENCY_SLOW,
    DEPENDENCY_FAILING,
    CONFIG_REGRESSION,
    FEATURE_FLAG,
    NODE_LOSS,
    ZONE_LOSS,
    POOL_EXHAUSTION,
    MEMORY_PRESSURE,
    CACHE_FLUSH,
    CERTIFICATE_EXPIRY,
    SECRET_EXPIRED,
    DNS_FAILURE,
    CPU_THROTTLE,
    LOCK_CONTENTION,
    REPLICATION_LAG,
    DISK_FULL,
    QUOTA_HIT,
    REGION_LOSS,
    NETWORK_DELAY,
    NETWORK_LOSS,
    NETWORK_PARTITION,
    MANUAL_SCALE,
    MANUAL_IMAGE,
    OPEN_FIREWALL,
    BACKUP_DISABLED,
    ENCRYPTION_OFF,
    RESIDENCY_VIOLATION,
    IDLE_SERVICE,
    OVER_PROVISIONED,
    WRONG_SKU,
    RUNAWAY_JOB,
    PRICE_CHANGE,
    BILLING_RESTATED,
    ORGANIC_GROWTH,
    SEASONALITY_SHIFT,
    SLOW_SCALING_POLICY,
    CAP_TOO_LOW,
    MISSING_REPLICA,
    SINGLE_ZONE,
    BACKUP_NOT_RESTORABLE,
)
BY_NAME: dict[str, Fault] = {fault.name: fault for fault in FAULTS}

__all__ = ["BY_NAME", "FAULTS", "Answer", "Domain", "Draw", "Ending", "Fault", "Harm", "Truth", "draw",
           "fault_named", "harm", "inject", "present", "undo"]  # fmt: skip


def fault_named(name: str) -> Fault:
    """The row of that name; NotFound otherwise."""
    if name not in BY_NAME:
        raise NotFound(f"no such fault: {name}; there are {', '.join(sorted(BY_NAME))}")
    return BY_NAME[name]


def draw(world: World, name: str, seed: int) -> Draw:
    """Choose target and size of a fault by seed, without touching the world."""
    return fault_named(name).draw(world, stream(seed, f"fault-{name}"))


def inject(world: World, drawn: Draw) -> Truth:
    """Let the fault happen now; returns the truth about it, for graders."""
    row = fault_named(drawn.fault)
    answers = row.answers(world, drawn)
    world.schedule.append((world.elapsed_s, "inject", {"draw": drawn.model_dump(mode="json")}))
    row.inject(world, drawn)
    return Truth(
        fault=row.name, fault_class=row.fault_class, domain=row.domain, entity=drawn.entity,
        ending=row.ending, self_heals=row.self_heals, since=world.now, answers=answers, also=drawn.also,
    )  # fmt: skip


def undo(world: World, drawn: Draw) -> None:
    """Take the fault's cause away now."""
    world.schedule.append((world.elapsed_s, "undo", {"draw": drawn.model_dump(mode="json")}))
    fault_named(drawn.fault).undo(world, drawn)


def present(world: World, drawn: Draw) -> bool:
    """Whether the fault's cause is still there, whatever was done about what it causes."""
    return fault_named(drawn.fault).present(world, drawn)


def harm(world: World, drawn: Draw) -> Harm:
    """What the fault does now that no objective shows: exposure and waste. Hurt users are counted by `verdict`."""
    row = fault_named(drawn.fault)
    if not row.present(world, drawn):
        return Harm()
    return Harm(
        exposed=row.exposed(world, drawn) if row.exposed else False,
        wasted_usd_per_hour=row.wasted_usd_per_hour(world, drawn) if row.wasted_usd_per_hour else 0.0,
    )
