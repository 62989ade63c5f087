"""Machines and buildings going away: a node that is replaced by itself, a zone that stays dark."""

import numpy as np

from domain.catalogue import NodeChanged, ZoneChanged
from runtime.simulator.faults.base import Answer, Draw, Fault
from runtime.simulator.faults.targets import callers_of, own, pick
from runtime.simulator.world import SOURCE, World

# Node auto-repair replaces an unready node after about ten minutes (AKS documentation).
REPAIR_S = 600.0


def _node_draw(world: World, rng: np.random.Generator) -> Draw:
    homes: list[str] = []
    for service in own(world):
        if service.pinned_zone:
            homes += [world.cluster.home(column, 0).name for column in world.layout.columns(service.id)]
    name = pick(rng, homes or [n.name for n in world.cluster.nodes if n.exists])
    return Draw(fault="node_loss", entity=f"node/{name}", names={"node": name})


def _node_goes(world: World, draw: Draw) -> None:
    world.cluster.lose_node(draw.names["node"], world.elapsed_s, REPAIR_S)
    _tell_node(world, draw.names["node"], world.elapsed_s, ready=False, reason="NodeStatusUnknown")
    _tell_node(world, draw.names["node"], world.elapsed_s + REPAIR_S, ready=True, reason="NodeReady")


def _node_back(world: World, draw: Draw) -> None:
    world.cluster.revive_node(draw.names["node"])


def _node_gone(world: World, draw: Draw) -> bool:
    return not world.cluster.node(draw.names["node"]).up


def _tell_node(world: World, name: str, at_s: float, *, ready: bool, reason: str) -> None:
    node = world.cluster.node(name)
    region = world.spec.regions[node.region]
    zone = region.zones[node.zone]
    text = f"{name} {'ready' if ready else 'not ready'}"
    world.note_at(at_s, f"node/{name}", "node", not ready, ready, "node-controller", text)
    world.journal.emit(
        tenant="platform", source=f"{SOURCE}/nodes", kind="runtime.node.changed.v1", subject=f"node/{name}",
        at=world.instant(at_s), deliver_s=at_s, severity="info" if ready else "warning", region=region.id,
        data=NodeChanged(node=name, zone=zone, ready=ready, reason=reason),
    )  # fmt: skip


def _no_command(_world: World, _draw: Draw) -> tuple[Answer, ...]:
    return ()


def _zone_draw(world: World, rng: np.random.Generator) -> Draw:
    """A zone that holds all replicas of some service in its region."""
    pinned = [s for s in own(world) if s.pinned_zone and len(s.regions) > 1]
    regions = sorted({r for s in pinned for r in s.regions})
    region = pick(rng, regions)
    zone = next(r for r in world.spec.regions if r.id == region).zones[0]
    return Draw(fault="zone_loss", entity=f"zone/{zone}", names={"region": region, "zone": zone})


def _zone(world: World, draw: Draw, *, up: bool) -> None:
    zone, region = draw.names["zone"], world.layout.regions.index(draw.names["region"])
    world.cluster.set_zone(region, 0, up=up)
    text = f"{zone} {'reachable' if up else 'unreachable'}"
    world.note(f"zone/{zone}", "zone", not up, up, "provider", text)
    world.journal.emit(
        tenant="platform", source=f"{SOURCE}/zones", kind="runtime.zone.changed.v1", subject=f"zone/{zone}",
        at=world.now, deliver_s=world.elapsed_s, severity="info" if up else "critical", region=draw.names["region"],
        data=ZoneChanged(zone=zone, available=up, reason="" if up else "no heartbeat from any node"),
    )  # fmt: skip


def _zone_goes(world: World, draw: Draw) -> None:
    _zone(world, draw, up=False)


def _zone_back(world: World, draw: Draw) -> None:
    _zone(world, draw, up=True)


def _zone_dark(world: World, draw: Draw) -> bool:
    return not world.cluster.zone_up[world.layout.regions.index(draw.names["region"]), 0]


def _zone_answers(world: World, draw: Draw) -> tuple[Answer, ...]:
    """Shift the service that has nothing left in the region, or whatever leads traffic to it there."""
    stuck = [s.id for s in own(world) if s.pinned_zone and draw.names["region"] in s.regions]
    targets = dict.fromkeys([*stuck, *(c for s in stuck for c in callers_of(world, s))])
    weights = {draw.names["region"]: 0.0}
    return tuple(Answer(kind="traffic.shift", target=f"service/{t}", arguments={**weights}) for t in targets)


NODE_LOSS = Fault(
    "node_loss", "node_loss", "wait", self_heals=True, draw=_node_draw, inject=_node_goes, undo=_node_back,
    present=_node_gone, answers=_no_command,
)  # fmt: skip
ZONE_LOSS = Fault(
    "zone_loss", "zone_loss", "recover", self_heals=False, draw=_zone_draw, inject=_zone_goes, undo=_zone_back,
    present=_zone_dark, answers=_zone_answers,
)  # fmt: skip
