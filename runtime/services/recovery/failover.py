"""region.failover: fence the copies in one region, see how far their standbys are, promote those in the pair, count.

Each failover takes the next term of its environment; one that finds a later term than its own stops before its next
store, so that a stale one can never turn a newer decision round. What was done per store is written before the next.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import Field, JsonValue

from domain.arguments import RegionFailover as RegionFailoverArguments
from domain.base import Frozen
from domain.changes import ResourceChange
from domain.errors import Invalid, NotFound, Refused
from domain.ids import PLATFORM, EnvironmentId
from domain.runtime_api import OperationRecord, Progress
from runtime.documents import Documents, Place
from runtime.parts import RuntimeParts
from runtime.planes import offered
from runtime.ports import Asked, OperationPlan
from runtime.services.recovery.outlook import lag_s, outlook
from runtime.stores.ports import DataPlane


class Failover(Frozen):
    """What must outlive a crash: which stores go, and what became of each."""

    term: int
    source: str
    target: str
    stores: tuple[str, ...]
    lag_s: dict[str, float] = Field(default_factory=dict[str, float])
    before: dict[str, int] = Field(default_factory=dict[str, int])
    """Acknowledged writes that each store had lost earlier."""
    promoted: tuple[str, ...] = ()
    lost_writes: dict[str, int] = Field(default_factory=dict[str, int])


class Term(Frozen):
    """The number of the latest failover of an environment."""

    number: int


FAILOVERS = Documents("failover", Failover)
TERMS = Documents("failover_term", Term)


@dataclass(frozen=True, slots=True)
class RegionFailover:
    """An Operator."""

    parts: RuntimeParts

    async def plan(self, asked: Asked) -> OperationPlan:
        """Plan it. Raises NotFound for a region that is missing or another's to switch, Invalid for a pair of one."""
        source, target = await regions_of(self.parts, asked)
        seen = await outlook(self.parts, asked.environment, source, target, only=_named(asked.meaning.arguments))
        changes = [
            ResourceChange(
                address=f"region/{source}", operation="run", path="failover", before=source,
                after={"to": target, "held": list(seen.held), "without_copy": [s.id for s in seen.no_copy]},
            )
        ]  # fmt: skip
        concerned = sorted({*seen.moves, *(store.tenant for store in seen.stores)})
        changes += [ResourceChange(address=f"tenant/{t}", operation="run", path="failover") for t in concerned]
        changes += [
            ResourceChange(address=s.address, operation="run", path="promote", before=source, after=target)
            for s in seen.stores
        ]
        return OperationPlan(changes=tuple(changes), resources=(f"region/{source}", f"region/{target}"))

    async def step(self, record: OperationRecord) -> Progress:
        """Go on where it stands: fence, look, promote and count, store by store."""
        plane = offered(self.parts.planes.stores, "data stores")
        failover = await self._begun(record, plane)
        for store in failover.stores:
            if store in failover.promoted:
                continue
            if self._term(record) != failover.term:
                return Progress(status="failed", detail=f"failover {failover.term} was overtaken by a later one")
            await plane.fence(store, failover.source)
            await plane.promote(store, failover.target)
            lost = await plane.lost_writes(store) - failover.before.get(store, 0)
            failover = failover.model_copy(
                update={
                    "promoted": (*failover.promoted, store), "lost_writes": {**failover.lost_writes, store: lost},
                }
            )  # fmt: skip
            self._write(record, failover)
        lost = sum(failover.lost_writes.values())
        text = f"{len(failover.promoted)} stores promoted in {failover.target}; {lost} acknowledged writes lost"
        return Progress(status="done", result=failover.model_dump(mode="json"), detail=text)

    async def cancel(self, record: OperationRecord) -> Progress:
        """Refuse: half a switch is the worst of all states; fail over back instead."""
        raise Refused(f"{record.target} is failing over already: fail back when it is well", reason="too_late")

    async def _begun(self, record: OperationRecord, plane: DataPlane) -> Failover:
        with self.parts.database.read() as connection:
            known = FAILOVERS.get(connection, _place(record), record.id)
        if known is not None:
            return known.body
        source, target = str(record.arguments["from_region"]), str(record.arguments["to_region"])
        seen = await outlook(self.parts, record.environment, source, target, only=_named(record.arguments))
        before = {store.id: await plane.lost_writes(store.id) for store in seen.stores}
        lags = await lag_s(plane, seen.stores)
        now = self.parts.clock.now()
        with self.parts.database.begin() as connection:
            last = TERMS.get(connection, _shared(record.environment), "term")
            number = 1 if last is None else last.body.number + 1
            version = 0 if last is None else last.version
            TERMS.put(connection, _shared(record.environment), "term", Term(number=number), at=now, expect=version)
            failover = Failover(
                term=number, source=source, target=target, stores=tuple(s.id for s in seen.stores),
                lag_s=dict(lags), before=before,
            )  # fmt: skip
            FAILOVERS.put(connection, _place(record), record.id, failover, at=now, expect=0)
        return failover

    def _term(self, record: OperationRecord) -> int:
        with self.parts.database.read() as connection:
            found = TERMS.get(connection, _shared(record.environment), "term")
        return 0 if found is None else found.body.number

    def _write(self, record: OperationRecord, failover: Failover) -> None:
        with self.parts.database.begin() as connection:
            FAILOVERS.put(connection, _place(record), record.id, failover, at=self.parts.clock.now())


async def regions_of(parts: RuntimeParts, asked: Asked) -> tuple[str, str]:
    """Return (from, to). Raises NotFound for one that is missing or not the caller's, Invalid where both are one."""
    source, target = str(asked.meaning.arguments["from_region"]), str(asked.meaning.arguments["to_region"])
    known = {place.id for place in await offered(parts.planes.regions, "regions").places()}
    if asked.tenant != PLATFORM or not {source, target} <= known:
        raise NotFound("no such region")
    if source == target:
        raise Invalid("a region does not fail over to itself", reason="same_region")
    return source, target


def _named(arguments: Mapping[str, JsonValue]) -> tuple[str, ...]:
    return RegionFailoverArguments.model_validate(arguments).tenants


def _place(record: OperationRecord) -> Place:
    return Place(environment=record.environment, tenant=record.tenant)


def _shared(environment: EnvironmentId) -> Place:
    return Place(environment=environment, tenant=PLATFORM)
