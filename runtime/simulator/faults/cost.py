"""Money that buys nothing: what nobody uses, what is larger than its use, dearer machines, a job that never ends."""

from dataclasses import dataclass

import numpy as np

from runtime.simulator.actuators import write_externally
from runtime.simulator.faults.base import Answer, Draw, Fault
from runtime.simulator.faults.room import replicas_that_fit, usd_per_replica_hour
from runtime.simulator.faults.targets import own, pick
from runtime.simulator.faults.writes import field_draw, reset_by_pipeline, set_by_pipeline, still_set
from runtime.simulator.live import Modifier
from runtime.simulator.pricing import SKUS
from runtime.simulator.world import World

PIPELINE, SCHEDULER = "infra-pipeline", "batch-scheduler"
# What is left of a product's traffic when it was given up: probes and crawlers.
LEFT_OVER = 0.002
# A stuck batch process computes without pause.
BUSY = 0.9


def _idle_draw(world: World, rng: np.random.Generator) -> Draw:
    service = pick(rng, [s.id for s in own(world) if s.demand_rps > 0.0])
    return Draw(fault="idle_service", entity=f"service/{service}", names={"service": service})


def _give_up(world: World, draw: Draw) -> None:
    world.demand.surge[world.layout.columns(draw.names["service"])] *= LEFT_OVER


def _take_up(world: World, draw: Draw) -> None:
    world.demand.surge[world.layout.columns(draw.names["service"])] /= LEFT_OVER


def _unused(world: World, draw: Draw) -> bool:
    return bool(world.demand.surge[world.layout.columns(draw.names["service"])].max() <= 10.0 * LEFT_OVER)


def _whole_cost(world: World, draw: Draw) -> float:
    """All that runs beyond one replica per region."""
    columns = world.layout.columns(draw.names["service"])
    spare = float(np.maximum(world.cluster.ready[columns] - 1.0, 0.0).mean())
    return spare * usd_per_replica_hour(world, draw.names["service"])


def _retire(world: World, draw: Draw) -> tuple[Answer, ...]:
    scaled = world.live.services[draw.names["service"]].scaling is not None
    first = Answer(kind="scaling_policy.update" if scaled else "service.scale", target=draw.entity)
    return (
        first,
        Answer(kind="service.schedule", target=draw.entity),
        Answer(kind="ticket.open", target=draw.entity),
    )


def _needed(world: World, service: str) -> float:
    """Replicas per region that today's use asks for by the policy's own target."""
    columns, policy = world.layout.columns(service), world.live.services[service].scaling
    used = float(world.history.recent("cpu_cores", columns).max())
    target = policy.target_cpu_utilisation if policy else 1.0
    return used / (float(world.plant.cores[columns[0]]) * target)


def _over_draw(world: World, rng: np.random.Generator) -> Draw:
    """A floor set "to be safe", far above what the service uses."""
    fleets = {s.id: p for s in own(world) if (p := world.live.services[s.id].scaling) is not None and p.enabled}
    excess = {s: fleets[s].max_replicas / max(_needed(world, s), 1.0) for s in fleets}
    service = pick(rng, sorted(excess, key=lambda s: excess[s])[-max(3, len(excess) // 3) :])
    path = ("services", service, "scaling", "min_replicas")
    before, after = fleets[service].min_replicas, fleets[service].max_replicas
    return field_draw("over_provisioned", path, before, after, PIPELINE)


def _excess(world: World, draw: Draw) -> float:
    service = draw.names["name"]
    running = float(world.cluster.ready[world.layout.columns(service)].mean())
    floor = max(np.ceil(_needed(world, service)), float(draw.names["before"]))
    return max(running - floor, 0.0) * usd_per_replica_hour(world, service)


def _lower(_world: World, draw: Draw) -> tuple[Answer, ...]:
    return (
        Answer(kind="scaling_policy.update", target=draw.entity),
        Answer(kind="service.resize", target=draw.entity),
    )


def _dearer(sku: str) -> list[str]:
    here = SKUS[sku]
    return [s.name for s in SKUS.values() if s.cores == here.cores and s.cost_usd_per_hour > here.cost_usd_per_hour]


def _sku_draw(world: World, rng: np.random.Generator) -> Draw:
    pool = pick(rng, [p for p in sorted(world.node_pools) if _dearer(world.node_pools[p].sku)])
    before = world.node_pools[pool].sku
    return field_draw("wrong_sku", ("node_pools", pool, "sku"), before, pick(rng, _dearer(before)), PIPELINE)


def _surcharge(world: World, draw: Draw) -> float:
    prices, pool = world.billing.prices, world.node_pools[draw.names["name"]]
    return (prices[pool.sku] - prices[draw.names["before"].strip('"')]) * pool.node_count


def _other_sku(_world: World, draw: Draw) -> tuple[Answer, ...]:
    sku = draw.names["before"].strip('"')
    return (Answer(kind="node_pool.change_sku", target=draw.entity, arguments={"sku": sku}),)


def _job_draw(world: World, rng: np.random.Generator) -> Draw:
    workers = [s.id for s in own(world) if s.archetype == "worker" and s.scaling is None]
    service = pick(rng, [s for s in workers if replicas_that_fit(world, s) >= 1])
    before = world.live.services[service].replicas
    more = min(replicas_that_fit(world, service), max(2, round(before * float(rng.uniform(1.5, 4.0)))))
    return Draw(
        fault="runaway_job", entity=f"service/{service}", names={"service": service},
        numbers={"before": float(before), "after": float(before + more)},
    )  # fmt: skip


@dataclass(slots=True)
class _Job:
    """Its processes run until somebody takes the replicas away that the scheduler gave it."""

    world: World
    draw: Draw

    def __call__(self, _now_s: float) -> None:
        if self.world.live.services[self.draw.names["service"]].replicas < self.draw.numbers["after"]:
            _end_job(self.world, self.draw)


def _run_away(world: World, draw: Draw) -> None:
    """The scheduler starts it again and again; no request waits for it and none of it ends."""
    service, more = draw.names["service"], draw.numbers["after"] - draw.numbers["before"]
    write_externally(world, ("services", service, "replicas"), int(draw.numbers["after"]), SCHEDULER)
    columns = world.layout.columns(service)
    burnt = more * BUSY * float(world.plant.cores[columns[0]])
    world.live.modifiers[draw.fault] = (Modifier("background_cores", tuple(columns), add=burnt),)
    world.live.dirty = True
    world.processes["batch"] = _Job(world, draw)


def _end_job(world: World, draw: Draw) -> None:
    world.processes.pop("batch", None)
    world.live.modifiers.pop(draw.fault, None)
    world.live.dirty = True


def _stop_job(world: World, draw: Draw) -> None:
    _end_job(world, draw)
    write_externally(world, ("services", draw.names["service"], "replicas"), int(draw.numbers["before"]), SCHEDULER)


def _running(world: World, _draw: Draw) -> bool:
    return "batch" in world.processes


def _burnt(world: World, draw: Draw) -> float:
    more = draw.numbers["after"] - draw.numbers["before"]
    return more * usd_per_replica_hour(world, draw.names["service"])


def _fewer(_world: World, draw: Draw) -> tuple[Answer, ...]:
    replicas = int(draw.numbers["before"])
    return (
        Answer(kind="service.scale", target=draw.entity, arguments={"replicas": replicas}),
        Answer(kind="ticket.open", target=draw.entity),
    )


IDLE_SERVICE = Fault(
    "idle_service", "idle_service", "recover", self_heals=False, draw=_idle_draw, inject=_give_up, undo=_take_up,
    present=_unused, answers=_retire, domain="cost", wasted_usd_per_hour=_whole_cost,
)  # fmt: skip
OVER_PROVISIONED = Fault(
    "over_provisioned", "over_provisioned", "recover", self_heals=False, draw=_over_draw, inject=set_by_pipeline,
    undo=reset_by_pipeline, present=still_set, answers=_lower, domain="cost", wasted_usd_per_hour=_excess,
)  # fmt: skip
WRONG_SKU = Fault(
    "wrong_sku", "wrong_sku", "recover", self_heals=False, draw=_sku_draw, inject=set_by_pipeline,
    undo=reset_by_pipeline, present=still_set, answers=_other_sku, domain="cost", wasted_usd_per_hour=_surcharge,
)  # fmt: skip
RUNAWAY_JOB = Fault(
    "runaway_job", "runaway_job", "recover", self_heals=False, draw=_job_draw, inject=_run_away, undo=_stop_job,
    present=_running, answers=_fewer, domain="cost", wasted_usd_per_hour=_burnt,
)  # fmt: skip
