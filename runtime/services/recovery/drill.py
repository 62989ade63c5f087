"""failover.drill: all that a failover would do but the switch, and what would have failed: lag, room, homes, reach."""

from collections.abc import Sequence
from dataclasses import dataclass

from domain.base import Frozen
from domain.changes import ResourceChange
from domain.errors import Refused
from domain.ids import EnvironmentId, TenantId
from domain.runtime_api import OperationRecord, Progress
from runtime.parts import RuntimeParts
from runtime.planes import offered
from runtime.ports import Asked, OperationPlan
from runtime.services.recovery.failover import regions_of
from runtime.services.recovery.outlook import Outlook, lag_s, outlook

LAG_LIMIT_S = 300.0
"""A recovery point objective of five minutes, what cloud vendors state for geo-replicated databases."""


class Rehearsal(Frozen):
    """What a drill found."""

    problems: tuple[str, ...]
    """What a failover now would meet; none means that it would work."""
    lag_s: dict[str, float]
    moves: tuple[TenantId, ...]
    held: tuple[TenantId, ...]


@dataclass(frozen=True, slots=True)
class FailoverDrill:
    """An Operator."""

    parts: RuntimeParts

    async def plan(self, asked: Asked) -> OperationPlan:
        """Plan it. Raises NotFound for a region that is missing or another's."""
        source, target = await regions_of(self.parts, asked)
        change = ResourceChange(address=f"region/{source}", operation="run", path="drill", after={"to": target})
        return OperationPlan(changes=(change,), resources=(f"region/{source}/drill",))

    async def step(self, record: OperationRecord) -> Progress:
        """Look at everything a failover rests on; nothing is switched."""
        source, target = str(record.arguments["from_region"]), str(record.arguments["to_region"])
        found = await rehearse(self.parts, record.environment, source, target)
        text = (
            "; ".join(found.problems)
            or f"{len(found.lag_s)} stores and {len(found.moves)} tenants could go to {target}"
        )
        return Progress(status="done", result=found.model_dump(mode="json"), detail=text[:2000])

    async def cancel(self, record: OperationRecord) -> Progress:
        """Refuse: it is over within one step."""
        raise Refused(f"the drill of {record.target} has ended", reason="too_late")


async def rehearse(parts: RuntimeParts, environment: EnvironmentId, source: str, target: str) -> Rehearsal:
    """Look at everything a failover rests on; nothing is switched."""
    seen = await outlook(parts, environment, source, target)
    lags = await lag_s(offered(parts.planes.stores, "data stores"), seen.stores)
    problems = (
        *(f"lag: {store} is {lag:.0f} s behind in {target}" for store, lag in lags.items() if lag > LAG_LIMIT_S),
        *(f"copy: {store.id} has no standby in {target}" for store in seen.no_copy),
        *(f"residency: {tenant} may not go to {target} and would be held" for tenant in seen.held),
        *await _room(parts, source, target),
        *await _reach(parts, environment, seen, target),
    )
    return Rehearsal(problems=problems, lag_s=dict(lags), moves=seen.moves, held=seen.held)


async def _room(parts: RuntimeParts, source: str, target: str) -> Sequence[str]:
    plane = offered(parts.planes.regions, "regions")
    leaving, there = await plane.room(source), await plane.room(target)
    missing = leaving.used_cores + there.used_cores - there.most_cores
    return [f"room: {target} lacks {missing:.0f} cores at its largest"] if missing > 0 else []


async def _reach(parts: RuntimeParts, environment: EnvironmentId, seen: Outlook, target: str) -> Sequence[str]:
    topology = await parts.target.topology(environment)
    absent = [s.id for s in topology.services if s.tenant in seen.moves and target not in s.regions]
    return [f"traffic: {name} does not run in {target}" for name in absent]
