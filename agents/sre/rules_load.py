"""Faults of demand and of the ground services stand on: surges, lost nodes and zones, greedy neighbours."""

from agents.sre import claims
from agents.sre.case import Case, Suspect
from agents.sre.moves import Move
from domain.evidence import Claim

# Half of the daily swing of interactive services (a third of the mean) is no surge.
SURGE = 1.3
# Kubernetes' own saturation line for a request: at nine tenths of it queues grow without bound.
BUSY = 0.9
# CPU half again above usual while others suffer marks the neighbour.
NOISY = 1.5
# Beyond twice what it asked for, more room for it is less for the others; the demand behind it comes second then.
OVERDRAWN, OVERDRAFT_FIRST = 2.0, 0.7
# Machines are read as minute averages over their pool: half busy on average means full in bursts.
NODE_BUSY = 0.5


NODE_GONE, NODE_TOLD = 1.02, 0.3


def surges(case: Case) -> list[Suspect]:
    """Return entries whose demand from outside rose far above the last half hour before."""
    called = {e.target for e in case.pack.topology.edges if e.kind == "calls"}
    found: list[Suspect] = []
    for entity in sorted({f"service/{s.id}" for s in case.pack.topology.services} - called):
        traffic = case.moves.rose(entity, "traffic")
        if traffic is None or traffic.extreme < SURGE * traffic.lately:
            continue
        strained = _strained(case, entity)
        if not strained:
            continue
        factor = traffic.extreme / max(traffic.lately, 1e-9)
        strength = 0.6 + 0.2 * min(factor - 1.0, 1.0) + 0.2 * min(len(strained), 2) / 2
        if _overdraws(case.moves.rose(entity, "cpu")):
            strength *= OVERDRAFT_FIRST
        supporting = (claims.moved(traffic), *(claims.moved(m) for m in strained[:3]))
        found.append(
            Suspect(entity, "traffic_surge", strength, f"demand at {entity} rose {factor:.1f}-fold", supporting)
        )
    return found


def lost_ground(case: Case) -> list[Suspect]:
    """Return lost nodes, or the zone when several of its nodes went together."""
    lost: dict[str, Claim] = {}
    for change in case.pack.changes:
        if change.kind in {"node", "zone"} and change.at <= case.latest:
            lost[change.entity] = claims.changed(change)
    for entity in sorted(case.moves.by_entity):
        down = case.moves.fell(entity, "ready")
        if entity.startswith("node/") and down is not None and down.extreme < 0.5:
            lost[entity] = claims.moved(down)
    zones = _zones(case, lost)
    affected = [m for s in case.pack.topology.services if (m := case.moves.fell(f"service/{s.id}", "ready"))]
    # machines that are gone are a fact; a release that coincides is a coincidence more often than not
    strength = NODE_GONE if affected else NODE_TOLD
    support = tuple(claims.moved(m) for m in affected[:3])
    more = strength + 0.1 * bool(affected)
    if regions := _dark_regions(case, zones):
        # several zones at once are one region, not so many coincidences
        return [Suspect(r, "region_loss", more + 0.1, f"{r} is gone", (*told, *support)) for r, told in regions.items()]
    if zones:
        return [Suspect(z, "zone_loss", more, f"{z} is gone", (*held, *support)) for z, held in zones.items()]
    return [
        Suspect(entity, "node_loss", strength, f"{entity} is gone", (claim, *support))
        for entity, claim in lost.items()
        if entity.startswith("node/")
    ]


def _zones(case: Case, lost: dict[str, Claim]) -> dict[str, list[Claim]]:
    """Zones named by a change, or all of whose nodes are lost."""
    members: dict[str, set[str]] = {}
    for edge in case.pack.topology.edges:
        if edge.kind == "member_of" and edge.target.startswith("zone/"):
            members.setdefault(edge.target, set()).add(edge.source)
    found: dict[str, list[Claim]] = {}
    for zone, nodes in sorted(members.items()):
        if zone in lost or (len(nodes) > 1 and nodes <= lost.keys()):
            found[zone] = [lost[name] for name in sorted({zone, *nodes} & lost.keys())]
    return found


def _dark_regions(case: Case, zones: dict[str, list[Claim]]) -> dict[str, list[Claim]]:
    """Regions all of whose zones are lost, with the claims about those zones."""
    found: dict[str, list[Claim]] = {}
    for target in case.pack.topology.compute_targets:
        held = [zones.get(f"zone/{zone}") for zone in target.zones]
        if len(held) > 1 and all(held):
            found[f"region/{target.region}"] = [told[0] for told in held if told]
    return found


def neighbours(case: Case) -> list[Suspect]:
    """Return services whose CPU took their machines away from others that do not call them."""
    pools: dict[str, set[str]] = {}
    for edge in case.pack.topology.edges:
        if edge.kind == "runs_on" and edge.source.startswith("service/"):
            pools.setdefault(edge.target, set()).add(edge.source)
    found: dict[str, Suspect] = {}
    for pool, services in sorted(pools.items()):
        for entity in sorted(services):
            cpu = case.moves.rose(entity, "cpu")
            victims = _victims(case, entity, services)
            machines = _busy_machines(case, pool, overdrawn=_overdraws(cpu))
            if cpu is None or cpu.extreme < max(NOISY * cpu.before, BUSY) or not machines:
                continue
            if len(victims) < 2 and not _overdraws(cpu):
                continue
            supporting = (claims.moved(cpu), claims.moved(machines[0]), *(claims.moved(m) for m in victims[:3]))
            strength = 0.65 + 0.05 * min(len(victims), 4) + 0.2 * _overdraws(cpu)
            statement = f"{entity} takes CPU away from its neighbours on {pool}, {len(victims)} of which suffer in view"
            found[entity] = Suspect(entity, "noisy_neighbour", strength, statement, supporting)
    return list(found.values())


def _overdraws(cpu: Move | None) -> bool:
    """Tell whether a service lives on CPU that others were promised, whatever made it busy."""
    return cpu is not None and cpu.extreme >= OVERDRAWN


def _busy_machines(case: Case, pool: str, *, overdrawn: bool) -> list[Move]:
    """Machines full enough to slow what runs there, or clearly fuller by somebody who takes more than was promised."""
    nodes = [e.target for e in case.pack.topology.edges if e.source == pool and e.target.startswith("node/")]
    rose = [m for node in [pool, *nodes] if (m := case.moves.rose(node, "cpu")) is not None]
    return [m for m in rose if m.extreme >= (NOISY * m.before if overdrawn else NODE_BUSY)]


def _victims(case: Case, entity: str, services: set[str]) -> list[Move]:
    """Services on the same machines that became slow though their own demand is as usual and they do not call it."""
    callers = {e.source for e in case.pack.topology.edges if e.kind == "calls" and e.target == entity}
    slow = [(other, case.moves.rose(other, "latency")) for other in sorted(services - callers - {entity})]
    return [m for other, m in slow if m is not None and not demand_grew(case, other)]


def demand_grew(case: Case, entity: str) -> bool:
    """Tell whether more comes from outside at an entry above the entity: retries raise inner traffic without that."""
    above, queue = {entity}, [entity]
    while queue:
        here = queue.pop()
        for edge in case.pack.topology.edges:
            if edge.kind == "calls" and edge.target == here and edge.source not in above:
                above.add(edge.source)
                queue.append(edge.source)
    entries = above - {e.target for e in case.pack.topology.edges if e.kind == "calls"}
    grown = [m for entry in sorted(entries) if (m := case.moves.rose(entry, "traffic")) is not None]
    return any(m.extreme >= SURGE * m.lately for m in grown)


def _strained(case: Case, entry: str) -> list[Move]:
    """What suffers below an entry: CPU, waiting places, latency or errors that rose."""
    below, queue = [entry], [entry]
    while queue:
        here = queue.pop()
        for edge in case.pack.topology.edges:
            if edge.kind == "calls" and edge.source == here and edge.target not in below:
                below.append(edge.target)
                queue.append(edge.target)
    moves = [case.moves.rose(name, role) for name in below for role in ("errors", "latency", "cpu", "pool")]
    return sorted((m for m in moves if m is not None), key=lambda m: -m.up)
