"""Remedies for what lies in one place, or with one holder: lead traffic around it, end the session, widen the limit."""

from math import ceil

from pydantic import JsonValue

from agents.spec import Candidate
from agents.sre.drafts import Draft
from agents.sre.rules_network import ways
from agents.sre.rules_stores import left_open
from domain.topology import RuntimeService

# Losses of a zone or a region last hours (public post-incident reviews of the large clouds); longer is looked at anew.
SHIFT_S = 4 * 3600
# Half again over what it used before, at the use an autoscaler aims for (HPA walkthrough's order).
HEADROOM, AIM, STEP_MILLICORES = 1.25, 0.6, 50


def around_region(draft: Draft, region: str, reason: str, preference: float = 0.8) -> list[Candidate | None]:
    """Lead the blamed service's traffic to its other regions."""
    service = draft.service(draft.name)
    return [] if service is None else [_shift(draft, (service,), region, reason, preference)]


def _shift(
    draft: Draft, services: tuple[RuntimeService, ...], region: str, reason: str, preference: float
) -> Candidate | None:
    first = services[0]
    left = [r for r in first.regions if r != region]
    if region not in first.regions or not left:
        return None
    weights: dict[str, JsonValue] = {region: 0.0, **dict.fromkeys(left, 1.0 / len(left))}
    arguments: dict[str, JsonValue] = {"service": first.id, "region_weights": weights, "duration_s": SHIFT_S}
    also: list[JsonValue] = [s.id for s in services[1:] if s.regions == first.regions]
    if also:
        arguments["also"] = also
    return draft.candidate("traffic.shift", f"service/{first.id}", arguments, reason=reason, preference=preference)


def away_from_replica(draft: Draft) -> list[Candidate | None]:
    """Read at the primary until the replica has caught up."""
    store = next((d for d in draft.pack.topology.data_stores if d.id == draft.name), None)
    if store is None or store.replica_region is None:
        return []
    reason = f"the copy in {store.region} is the one that is written to, and never behind"
    return around_region(draft, store.replica_region, reason)


def around_network(draft: Draft) -> list[Candidate | None]:
    """Reach the service in the regions to which the way is as short as ever; where it is not ours, lead our callers
    of it there, which then call it there.
    """
    bad = [way for way in ways(draft.case) if way.callee == draft.hypothesis.entity and way.region]
    if len({way.region for way in bad}) != 1:
        return []
    region, own = bad[0].region, () if (state := draft.state()) is None else state.services
    if draft.name in own:
        return around_region(draft, region, f"only the way to it in {region} is bad; elsewhere it is reached as ever")
    callers = dict.fromkeys(span.entity for way in bad for span in way.spans)
    services = [s for caller in callers if (s := draft.service(caller.partition("/")[2])) is not None and s.id in own]
    reason = f"the way to {draft.name} is bad in {region} only, and it is called where its callers run"
    return [_shift(draft, (service,), region, reason, 0.7) for service in services]


def out_of_region(draft: Draft) -> list[Candidate | None]:
    """Lead everything users meet to the regions that are left, in one command; inner calls follow."""
    region, called = draft.name, {e.target for e in draft.pack.topology.edges if e.kind == "calls"}
    own = () if (state := draft.state()) is None else state.services
    fronts = tuple(
        s
        for s in draft.pack.topology.services
        if s.id in own and f"service/{s.id}" not in called and region in s.regions and len(s.regions) > 1
    )
    if not fronts:
        return []
    return [_shift(draft, fronts, region, f"nothing of {region} answers; users are served where there still is", 0.9)]


def end_session(draft: Draft) -> list[Candidate | None]:
    """Restart whoever left the transaction open: its sessions end with its processes, and the lock with them.

    Restarting the store would end everybody's sessions and is for when no holder is known.
    """
    holders = [m.entity for m in left_open(draft.case, draft.hypothesis.entity)]
    target = holders[0] if holders else draft.hypothesis.entity
    arguments: dict[str, JsonValue] = {"service": target.partition("/")[2], "reason": "stale_connections"}
    reason = f"the lock ends with the sessions of {target}; why a transaction stays open, its owner must find"
    return [draft.candidate("service.restart", target, arguments, reason=reason, preference=0.8 if holders else 0.4)]


def wider_limit(draft: Draft) -> list[Candidate | None]:
    """Request as much CPU as lifts the limit, which keeps its ratio to the request, over what was used before."""
    state, cpu = draft.service_state(draft.name), draft.moves.of(draft.hypothesis.entity, "cpu")
    if state is None or cpu is None or cpu.latest <= 0.0:
        return []
    more = HEADROOM * max(cpu.lately, cpu.latest) / (AIM * cpu.latest)
    wanted = ceil(state.cpu_millicores * more / STEP_MILLICORES) * STEP_MILLICORES
    arguments: dict[str, JsonValue] = {
        "service": draft.name,
        "cpu_millicores": wanted,
        "memory_mib": state.memory_mib,
    }
    reason = f"its limit stops it at {cpu.latest:.0%} of the {state.cpu_millicores}m it requests"
    return [draft.candidate("service.resize", draft.hypothesis.entity, arguments, reason=reason, preference=0.8)]
