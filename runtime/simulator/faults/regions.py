"""A whole region dark, and a provider that grants no more machines where demand grows."""

from dataclasses import dataclass

import numpy as np

from domain.catalogue import ScalingChanged, ZoneChanged
from runtime.simulator.actuators import write_externally
from runtime.simulator.faults.base import Answer, Draw, Fault
from runtime.simulator.faults.targets import cpu_use, entries, own, pick
from runtime.simulator.queueing import Floats
from runtime.simulator.world import SOURCE, World

# Demand grows to this share of what the present replicas can serve at full CPU, within ten minutes.
GROWN, GROWS_IN_S = (1.2, 1.4), 600.0
# A replica set that cannot start its replicas says so again every few minutes (the controller's back-off).
REFUSED_EVERY_S = 120.0
# A service at its ceiling asks for nothing, so nothing is refused: its team raises that ahead of the growth.
MAY_GROW, PIPELINE = 1.3, "capacity-pipeline"


def _region_draw(world: World, rng: np.random.Generator) -> Draw:
    region = pick(rng, list(world.layout.regions) if len(world.layout.regions) > 1 else [])
    return Draw(fault="region_loss", entity=f"region/{region}", names={"region": region})


def _region(world: World, draw: Draw, *, up: bool) -> None:
    name = draw.names["region"]
    index = world.layout.regions.index(name)
    for nth, zone in enumerate(world.spec.regions[index].zones):
        world.cluster.set_zone(index, nth, up=up)
        world.note(f"zone/{zone}", "zone", not up, up, "provider", f"{zone} {'reachable' if up else 'unreachable'}")
        world.journal.emit(
            tenant="platform", source=f"{SOURCE}/zones", kind="runtime.zone.changed.v1", subject=f"zone/{zone}",
            at=world.now, deliver_s=world.elapsed_s, severity="info" if up else "critical", region=name,
            data=ZoneChanged(zone=zone, available=up, reason="" if up else "no heartbeat from any node"),
        )  # fmt: skip


def _goes_dark(world: World, draw: Draw) -> None:
    _region(world, draw, up=False)


def _comes_back(world: World, draw: Draw) -> None:
    _region(world, draw, up=True)


def _dark(world: World, draw: Draw) -> bool:
    return not world.cluster.zone_up[world.layout.regions.index(draw.names["region"])].any()


def _elsewhere(world: World, draw: Draw) -> tuple[Answer, ...]:
    """Lead each tenant's users to the region that is left; its inner calls follow them."""
    fronts: dict[str, list[str]] = {}
    for service in own(world):
        if service.demand_rps > 0.0 and len(service.regions) > 1:
            fronts.setdefault(service.tenant, []).append(service.id)
    away = {draw.names["region"]: 0.0}
    return tuple(
        Answer(kind="traffic.shift", target=f"service/{front}", arguments={**away, "also": [*names]})
        for names in fronts.values()
        for front in names[:1]
    )


def _quota_draw(world: World, rng: np.random.Generator) -> Draw:
    room = {s: _room(world, s) for s in entries(world)}
    service = pick(rng, [s for s in room if room[s] >= MAY_GROW] or list(room))
    column = world.layout.columns(service)[int(rng.integers(len(world.layout.columns(service))))]
    pool = world.layout.pools[int(world.layout.pool_of[column])]
    factor = float(rng.uniform(*GROWN)) / cpu_use(world, service)
    return Draw(
        fault="quota_hit", entity=f"node_pool/{pool}", names={"service": service, "pool": pool},
        numbers={"per_step": float(factor ** (world.spec.step_s / GROWS_IN_S)), "room": room[service]},
        also=(f"service/{service}",),
    )  # fmt: skip


def _room(world: World, service: str) -> float:
    """How many times its present replicas a service may have."""
    scaling = world.live.services[service].scaling
    now = float(world.cluster.desired[world.layout.columns(service)].mean())
    return 0.0 if scaling is None else scaling.max_replicas / max(now, 1.0)


def _grant_no_more(world: World, draw: Draw) -> None:
    """The provider's quota is used up by what runs; users go on coming, and its team has provided for that."""
    pool = world.layout.pools.index(draw.names["pool"])
    world.cluster.quota_cores[pool] = world.cluster.requested_cores()[pool]
    if draw.numbers["room"] < MAY_GROW:
        path = ("services", draw.names["service"], "scaling", "max_replicas")
        ceiling = max(int(MAY_GROW * world.cluster.desired[world.layout.columns(draw.names["service"])].max()) + 1, 4)
        write_externally(world, path, ceiling, PIPELINE)
    world.processes[draw.fault] = _Growth(world, draw, world.elapsed_s + GROWS_IN_S)


@dataclass(slots=True)
class _Growth:
    """Demand that grows for a while, and the refusals that follow."""

    world: World
    draw: Draw
    until_s: float
    grown: float = 1.0
    next_s: float = 0.0

    def __call__(self, now_s: float) -> None:
        world, pool = self.world, self.world.layout.pools.index(self.draw.names["pool"])
        if now_s < self.until_s:
            self.grown *= self.draw.numbers["per_step"]
            world.demand.surge[world.layout.columns(self.draw.names["service"])] *= self.draw.numbers["per_step"]
        # What is given back goes to others who wait for it.
        world.cluster.quota_cores[pool] = min(world.cluster.quota_cores[pool], world.cluster.requested_cores()[pool])
        pending = np.where(world.layout.pool_of == pool, world.cluster.desired - world.cluster.expected(), 0.0)
        if pending.max() >= 1.0 and now_s >= self.next_s:
            self.next_s = now_s + REFUSED_EVERY_S
            self._tell(pending)

    def _tell(self, pending: Floats) -> None:
        world, pool = self.world, self.draw.names["pool"]
        limit = float(world.cluster.quota_cores[world.layout.pools.index(pool)])
        text = f"request for more cores in {pool} refused by the provider: {limit:.0f} of {limit:.0f} are in use"
        world.note(f"node_pool/{pool}", "scaling", {"cores": round(limit, 1)},
                   {"cores": round(limit, 1), "refused_replicas": int(pending.sum())}, "provider", text)  # fmt: skip
        for column in np.flatnonzero(pending >= 1.0):
            service = world.layout.rows[int(column)]
            now = int(world.cluster.expected()[world.layout.columns(service.id)].sum())
            world.journal.emit(
                tenant=service.tenant, source=f"{SOURCE}/scheduler", kind="runtime.scaling.changed.v1",
                subject=f"service/{service.id}", at=world.now, deliver_s=world.elapsed_s, severity="warning",
                data=ScalingChanged(
                    service=service.id, replicas_before=now, replicas_after=now, actor="scheduler",
                    reason=f"FailedScaleUp: the core limit of {pool} at the provider is reached",
                ),
            )  # fmt: skip


def _grant(world: World, draw: Draw) -> None:
    world.cluster.quota_cores[world.layout.pools.index(draw.names["pool"])] = np.inf
    growth = world.processes.pop(draw.fault, None)
    if isinstance(growth, _Growth):
        world.demand.surge[world.layout.columns(draw.names["service"])] /= growth.grown


def _limited(world: World, draw: Draw) -> bool:
    return bool(np.isfinite(world.cluster.quota_cores[world.layout.pools.index(draw.names["pool"])]))


def _ask(_world: World, draw: Draw) -> tuple[Answer, ...]:
    return (Answer(kind="ticket.open", target=draw.entity),)


REGION_LOSS = Fault(
    "region_loss", "region_loss", "recover", self_heals=False, draw=_region_draw, inject=_goes_dark, undo=_comes_back,
    present=_dark, answers=_elsewhere,
)  # fmt: skip
QUOTA_HIT = Fault(
    "quota_hit", "quota_hit", "escalate", self_heals=False, draw=_quota_draw, inject=_grant_no_more, undo=_grant,
    present=_limited, answers=_ask,
)  # fmt: skip
