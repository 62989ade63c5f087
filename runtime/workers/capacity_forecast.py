"""CapacityForecastWorker: finds what will not fit before it is needed, and proposes the narrowest remedy.

The narrowest: a higher ceiling where a policy scales, more replicas where nobody does, more nodes where neither would
find a place. Taking away again is the cost worker's: a ceiling costs nothing, and idle floors and nodes are its find.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pydantic import JsonValue

from analysis.capacity import LEVEL
from analysis.quotas import usage, within
from domain.base import Frozen, UtcDatetime
from domain.command_kinds import CommandKind, Proposer
from domain.desired import EnvironmentState
from domain.findings import Act, Finding
from domain.ids import PLATFORM, EnvironmentId, TenantId
from domain.tenancy import RuntimeTenantBinding
from domain.topology import EntityRef, Topology
from runtime import state
from runtime.capacity.outlook import HELD, LEAD, Need, outlook, scales
from runtime.capacity.usage import SAMPLE, keep_use
from runtime.documents import Documents, Place
from runtime.parts import RuntimeParts

CLEAR: Final = 0.85
"""Share of the room below which a need that stood is over: nearer to it, forecasts cross to and fro."""
REST: Final = LEAD
"""After a need is over nothing is found on the resource for as long as a proposal takes to make room."""


class Alarm(Frozen):
    """What was found on a resource, or when it was over."""

    finding: Finding | None
    at: UtcDatetime


ALARMS = Documents("capacity_alarm", Alarm)


@dataclass(frozen=True, slots=True)
class Scene:
    """What a finding is made from."""

    topology: Topology
    desired: EnvironmentState
    bindings: Sequence[RuntimeTenantBinding]
    at: datetime


@dataclass(frozen=True, slots=True)
class CapacityForecastWorker:
    """A Worker. Its findings are `capacity.service` and `capacity.node_pool`."""

    name: Proposer = "capacity_forecast"
    every: timedelta = timedelta(minutes=15)
    """As long as a sample of use is."""

    async def look(self, parts: RuntimeParts, environment: EnvironmentId) -> tuple[Finding, ...]:
        """Return what will not fit; nothing about what has no history yet or is not measured."""
        at = parts.clock.now()
        topology = await parts.target.topology(environment)
        with parts.database.read() as connection:
            desired = state.current(connection, environment).effective(at)
            bindings = state.bound_tenants(connection, environment)
            alarms = {d.id: d.body for d in ALARMS.list(connection, environment)}
        uses = await keep_use(parts, environment, topology.services, desired)
        needs = {need.resource: need for need in outlook(topology, desired, uses, self.every)}
        after = standing(Scene(topology, desired, bindings, at), needs, alarms)
        place = Place(environment=environment, tenant=PLATFORM)
        with parts.database.begin() as connection:
            for resource, alarm in after.items():
                if alarm != alarms.get(resource):
                    ALARMS.put(connection, place, resource, alarm, at=at)
        return tuple(alarm.finding for alarm in after.values() if alarm.finding is not None)


def standing(scene: Scene, needs: Mapping[str, Need], alarms: Mapping[str, Alarm]) -> dict[str, Alarm]:
    """Return how each resource stands now, with hysteresis. What cannot be told stays as it was. Pure."""
    found = dict(alarms)
    for resource, need in needs.items():
        held = alarms.get(resource)
        stood = held is not None and held.finding is not None
        resting = held is not None and held.finding is None and scene.at < held.at + REST
        if need.share > (CLEAR if stood else 1.0) and need.wanted > need.units and not resting:
            found[resource] = Alarm(finding=_finding(scene, need), at=held.at if held and stood else scene.at)
        elif stood:
            found[resource] = Alarm(finding=None, at=scene.at)
    return found


def _finding(scene: Scene, need: Need) -> Finding:
    kind, _, name = need.resource.partition("/")
    service = scene.topology.service(name) if kind == "service" else None
    act = _act(scene, need)
    why_not = ""
    if service is not None and service.archetype in HELD:
        act, why_not = None, "It holds data: people decide how it grows."
    elif act is not None and (whose := _over_quota(scene, act)) is not None:
        act, why_not = None, f"Nothing is proposed: the quota of {whose} is the limit."
    return Finding(
        owner="capacity_forecast", kind=f"capacity.{kind}", tenant=_tenant(scene, need),
        environment=scene.topology.environment, resource=need.resource, episode=str(need.units),
        summary=f"{_says(scene, need)} {why_not}".strip(),
        severity="error" if need.peak.expected > need.room else "warning",
        evidence=_evidence(need), acts=(act,) if act is not None else (),
    )  # fmt: skip


def _says(scene: Scene, need: Need) -> str:
    due = scene.at + need.peak.steps * SAMPLE
    unit = "replicas a region" if need.resource.startswith("service/") else "nodes"
    by = f"{due:%H:%M} UTC"
    return f"{need.resource} outgrows its room by {by}: {need.units} {unit} at most, {need.wanted} make room."


def _evidence(need: Need) -> tuple[str, ...]:
    what = "busy" if need.resource.startswith("service/") else "requested"
    return (
        f"{need.peak.expected:.1f} {what} cores are expected, at most {need.peak.upper:.1f} with {(1 + LEVEL) / 2:.0%}",
        f"{need.units} carry {need.room:.1f} when full",
        f"forecast from {need.peak.samples} quarter hours",
    )


def _act(scene: Scene, need: Need) -> Act | None:
    kind, _, name = need.resource.partition("/")
    if kind == "node_pool":
        return _proposed("node_pool.scale", {"node_pool": name, "node_count": need.wanted}, scene, need)
    held = scene.desired.services[name]
    if held.scaling is not None and scales(held):
        policy = held.scaling.model_copy(update={"max_replicas": need.wanted}).model_dump(mode="json")
        return _proposed("scaling_policy.update", {"service": name, "policy": policy}, scene, need)
    return _proposed("service.scale", {"service": name, "replicas": need.wanted}, scene, need)


def _proposed(kind: CommandKind, arguments: dict[str, JsonValue], scene: Scene, need: Need) -> Act:
    return Act(
        kind=kind, arguments=arguments, target=EntityRef.parse(need.resource), rationale=_says(scene, need),
        confidence=(1 + LEVEL) / 2,
    )  # fmt: skip


def _over_quota(scene: Scene, act: Act) -> TenantId | None:
    """Return whose quota the act would break; None where it fits."""
    after = _after(scene.desired, act)
    for bound in scene.bindings:
        now = usage(bound.tenant, scene.desired, scene.topology)
        if not within(now, usage(bound.tenant, after, scene.topology), bound.quota):
            return bound.tenant
    return None


def _after(desired: EnvironmentState, act: Act) -> EnvironmentState:
    document = desired.model_dump(mode="json")
    said = dict(act.arguments)
    section, name, field = _WRITES[act.kind]
    thing, value = str(said[name]), said[field]
    document[section][thing]["scaling" if field == "policy" else field] = value
    return EnvironmentState.model_validate(document)


_WRITES: Final[dict[str, tuple[str, str, str]]] = {
    "scaling_policy.update": ("services", "service", "policy"),
    "service.scale": ("services", "service", "replicas"),
    "node_pool.scale": ("node_pools", "node_pool", "node_count"),
}


def _tenant(scene: Scene, need: Need) -> TenantId:
    """A service's owner; the only tenant on a pool, or the platform."""
    kind, _, name = need.resource.partition("/")
    if kind == "service":
        service = scene.topology.service(name)
        return service.tenant if service is not None else PLATFORM
    owners = {s.tenant for s in scene.topology.services for e in scene.topology.edges
              if e.source == f"service/{s.id}" and e.target == need.resource}  # fmt: skip
    return owners.pop() if len(owners) == 1 else PLATFORM
