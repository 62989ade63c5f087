"""CostAnomalyWorker: tells within minutes of the meter where money goes another way, why, and what would put it right.

What a pipeline wrote shortly before and nothing needs is proposed to be written back; a dearer machine type is proposed
to be exchanged; where no safe command is known the owner gets a ticket. Standing advice is proposed the same way.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from pydantic import JsonValue, ValidationError

from domain.command_kinds import Proposer
from domain.costs import CostAnomaly, Recommendation
from domain.desired import EnvironmentState, ServiceState
from domain.evidence import ChangeRecord
from domain.findings import Act, Finding
from domain.ids import PLATFORM, EnvironmentId
from domain.policies import ScalingPolicy
from domain.topology import EntityRef, Topology
from runtime import state
from runtime.parts import RuntimeParts
from runtime.services.cost.anomalies import MONTH_H
from runtime.services.cost.service import CostService

EVERY: Final = timedelta(minutes=5)
"""As often as the meter closes an interval: with ten minutes of holding that is told within a quarter of an hour."""
CHANGED_BEFORE: Final = timedelta(minutes=30)
"""A change is taken for the cause when it lies at most so long before: replicas start within minutes."""
SAFE_USE: Final = 0.6
"""After a write back the replicas may be used this much: the usual autoscaler target."""
LOOKED_BACK: Final = timedelta(minutes=15)
CONFIDENCE: Final = 0.8
"""The money is metered; that nobody wanted it spent is inferred."""
PLATFORM_TEAM: Final = "platform"


@dataclass(frozen=True, slots=True)
class _Scene:
    """What remedies are chosen from."""

    environment: EnvironmentId
    topology: Topology
    desired: EnvironmentState
    live: EnvironmentState
    changes: Sequence[ChangeRecord]
    advice: Sequence[Recommendation]
    use: dict[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])
    """(CPU use of the request, replicas over all regions) by address, highest of the last minutes."""


@dataclass(frozen=True, slots=True)
class CostAnomalyWorker:
    """Looks on a timer; a bill that comes or is restated is no usage and raises nothing by itself."""

    name: Proposer = "cost_anomaly"
    every: timedelta = EVERY

    async def look(self, parts: RuntimeParts, environment: EnvironmentId) -> tuple[Finding, ...]:
        """Return what is unusual and what is worth doing; nothing where the target has no books."""
        if parts.planes.billing is None:
            return ()
        service = CostService(parts)
        anomalies = await service.anomalies(environment)
        with parts.database.read() as connection:
            desired = state.current(connection, environment).effective(parts.clock.now())
        advice = service.recommendations(environment, PLATFORM)
        advice = tuple(a for a in advice if not _done(a, desired))
        if not anomalies:
            return tuple(_advised(environment, one) for one in advice)
        scene = await _scene(parts, environment, desired, anomalies, advice)
        grouped: dict[tuple[str, str], list[CostAnomaly]] = defaultdict(list)
        for one in sorted(anomalies, key=lambda one: (one.resource, one.region)):
            # A price is one matter however many pools have the machine; all else is its resource's.
            grouped[one.cause, one.sku if one.cause == "price" else one.resource].append(one)
        found = [_found(scene, group) for group in grouped.values()]
        told = {finding.resource for finding in found if finding.kind != "cost.price"}
        return (*found, *(_advised(environment, one) for one in advice if one.resource not in told))


def _done(advice: Recommendation, desired: EnvironmentState) -> bool:
    """Advice is an hour old at most; what was done meanwhile is no finding."""
    match advice.act.kind, advice.act.arguments:
        case "node_pool.change_sku", {"node_pool": str(pool), "sku": sku}:
            return pool not in desired.node_pools or desired.node_pools[pool].sku == sku
        case "scaling_policy.update", {"service": str(name), "policy": dict(policy)}:
            held = desired.services.get(name)
            return held is None or held.scaling is None or held.scaling.model_dump(mode="json") == policy
        case "service.scale", {"service": str(name), "replicas": replicas}:
            held = desired.services.get(name)
            return held is None or held.replicas == replicas
        case "service.resize", {"service": str(name), "cpu_millicores": cpu}:
            held = desired.services.get(name)
            return held is None or held.cpu_millicores == cpu
        case "service.schedule", {"service": str(name)}:
            held = desired.services.get(name)
            return held is None or held.schedule is not None
        case _:
            return False


async def _scene(
    parts: RuntimeParts,
    environment: EnvironmentId,
    desired: EnvironmentState,
    anomalies: Sequence[CostAnomaly],
    advice: Sequence[Recommendation],
) -> _Scene:
    now = parts.clock.now()
    resources = sorted({one.resource for one in anomalies if one.resource.startswith("service/")})
    since = min(one.since for one in anomalies) - CHANGED_BEFORE
    series = await parts.target.series(environment, resources, now - LOOKED_BACK, now) if resources else ()
    highest: dict[tuple[str, str], float] = {}
    for one in series:
        highest[one.entity, one.metric] = max((v for v in one.values if v is not None), default=0.0)
    use = {
        r: (highest[r, "cpu_utilisation"], highest[r, "replicas_ready"])
        for r in resources
        if (r, "cpu_utilisation") in highest and (r, "replicas_ready") in highest
    }
    return _Scene(
        environment=environment, topology=await parts.target.topology(environment), desired=desired,
        live=await parts.target.live(environment), changes=await parts.target.changes(environment, since, now),
        advice=advice, use=use,
    )  # fmt: skip


def _found(scene: _Scene, group: Sequence[CostAnomaly]) -> Finding:
    lead = group[0]
    usd = sum(one.excess_usd_per_hour for one in group) * MONTH_H
    split = (
        f"price {sum(o.price_usd_per_hour for o in group):+.3f} USD/h, "
        f"quantity {sum(o.quantity_usd_per_hour for o in group):+.3f} USD/h, since {lead.since:%Y-%m-%d %H:%M} UTC"
    )
    return Finding(
        owner="cost_anomaly", kind=f"cost.{lead.cause}", tenant=lead.tenant, environment=scene.environment,
        resource=lead.resource, summary=f"{lead.text}: {usd:.0f} USD a month more than usual"[:2000],
        amount_usd=round(usd, 2), evidence=(*(one.text for one in group), split), acts=_remedy(scene, group, usd),
    )  # fmt: skip


def _advised(environment: EnvironmentId, advice: Recommendation) -> Finding:
    saving = advice.saving_usd_per_month
    return Finding(
        owner="cost_anomaly", kind=f"cost.{_ADVICE_KINDS[advice.lever]}", tenant=advice.tenant, environment=environment,
        resource=advice.resource, summary=f"{advice.act.rationale} {saving:.0f} USD a month could be saved",
        severity="info", amount_usd=round(saving, 2), evidence=advice.evidence, acts=(advice.act,),
    )  # fmt: skip


_ADVICE_KINDS: Final = {
    "right_sizing": "right_sizing", "scaling": "scaling", "sku": "sku", "idle": "idle", "schedule": "schedule",
}  # fmt: skip
"""A dearer machine is one finding, whether its change was seen or only that another costs less: proposed once."""


def _remedy(scene: _Scene, group: Sequence[CostAnomaly], usd: float) -> tuple[Act, ...]:
    """One act that is safe, or a ticket; none where another finding or the drift agent has it."""
    one, advised = group[0], {a.resource: a.act for a in scene.advice if a.lever == "sku"}
    if one.cause == "usage":
        name = one.resource.removeprefix("service/")
        wanted, runs = scene.desired.services.get(name), scene.live.services.get(name)
        if wanted is not None and runs is not None and _differs(wanted, runs):
            return ()
        if (act := _written_back(scene, one, wanted)) is not None:
            return (act,)
    if one.cause == "price" and all(each.resource in advised for each in group):
        return ()  # each pool's own finding proposes the cheaper machine
    if one.cause == "sku" and (act := advised.get(one.resource) or _exchanged_back(scene, one)) is not None:
        return (act,)
    return (_ticket(scene, one, usd),)


def _differs(wanted: ServiceState, runs: ServiceState) -> bool:
    return (wanted.replicas, wanted.scaling, wanted.cpu_millicores) != (
        runs.replicas, runs.scaling, runs.cpu_millicores
    )  # fmt: skip


def _written_back(scene: _Scene, one: CostAnomaly, wanted: ServiceState | None) -> Act | None:
    """Write a policy or a count back that a pipeline raised just before, where what runs does not need it."""
    name = one.resource.removeprefix("service/")
    service = scene.topology.service(name)
    if wanted is None or service is None or one.resource not in scene.use:
        return None
    use, replicas = scene.use[one.resource]
    regions = max(len(service.regions), 1)
    for change in reversed(_just_before(scene, one)):
        if change.kind == "policy" and (before := _policy(change.before)) is not None and wanted.scaling is not None:
            needed = use * replicas / regions / before.target_cpu_utilisation
            if wanted.scaling == _policy(change.after) and needed <= before.max_replicas:
                arguments: dict[str, JsonValue] = {"service": name, "policy": before.model_dump(mode="json")}
                return _act("scaling_policy.update", arguments, one.resource, change)
        if change.kind == "scaling" and change.actor != "autoscaler" and wanted.scaling is None:
            before_all, after_all = change.before, change.after
            if not isinstance(before_all, int) or not isinstance(after_all, int) or not 0 < before_all < after_all:
                continue
            if use * replicas / before_all <= SAFE_USE:
                arguments = {"service": name, "replicas": before_all // regions}
                return _act("service.scale", arguments, one.resource, change)
    return None


def _exchanged_back(scene: _Scene, one: CostAnomaly) -> Act | None:
    """Return to the machine type of before."""
    for change in reversed(_just_before(scene, one)):
        if change.kind == "config" and isinstance(change.before, str) and change.after == one.sku:
            arguments: dict[str, JsonValue] = {
                "node_pool": one.resource.removeprefix("node_pool/"), "sku": change.before,
            }  # fmt: skip
            return _act("node_pool.change_sku", arguments, one.resource, change)
    return None


def _just_before(scene: _Scene, one: CostAnomaly) -> list[ChangeRecord]:
    first: datetime = one.since - CHANGED_BEFORE
    return [c for c in scene.changes if c.entity == one.resource and c.at >= first]


def _policy(value: JsonValue) -> ScalingPolicy | None:
    if not isinstance(value, dict) or "min_replicas" not in value:
        return None
    try:
        return ScalingPolicy.model_validate(value)
    except ValidationError:
        return None  # another kind of policy in the same feed


def _act(kind: str, arguments: dict[str, JsonValue], target: str, change: ChangeRecord) -> Act:
    why = f"Its cost rose right after: {change.text} (by {change.actor}); what runs does not need it."
    return Act.model_validate({
        "kind": kind, "arguments": arguments, "target": EntityRef.parse(target), "rationale": why,
        "confidence": CONFIDENCE,
    })  # fmt: skip


def _ticket(scene: _Scene, one: CostAnomaly, usd: float) -> Act:
    service = scene.topology.service(one.resource.removeprefix("service/"))
    arguments: dict[str, JsonValue] = {
        "owner_team": service.owner_team if service else PLATFORM_TEAM,
        "title": f"{one.resource} costs {usd:.0f} USD a month more than usual"[:200],
        "cause": f"{one.text}. Cause by dimension: {one.cause}, since {one.since:%Y-%m-%d %H:%M} UTC."[:2000],
        "missing_action": _MISSING[one.cause],
        "severity": "warning",
    }
    return Act.model_validate({
        "kind": "ticket.open", "arguments": arguments, "target": EntityRef(kind="environment", id=scene.environment),
        "rationale": f"{one.resource}: no command is known that is safe here.", "confidence": CONFIDENCE,
    })  # fmt: skip


_MISSING: Final[dict[str, str]] = {
    "usage": "Say whether the additional replicas are wanted; if not, take away what computes or asks for them.",
    "price": "Nobody here sets prices: commit to capacity, move to a cheaper machine type, or accept the price.",
    "sku": "Say whether the other machine type is wanted; if not, change it back.",
    "capacity": "Say whether the additional nodes are wanted; if not, scale the pool back.",
}
