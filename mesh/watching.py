"""Carries verification out: notes how things stood before an effect, reads again when the hold window ends, judges.

Readings come through the platform's own readers, chosen by topology, never by the proposer. The verdict is stored
before anything acts on it, so a crash in between repeats nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.base import TimeRange
from domain.commands import Command, CommandRecord
from domain.errors import Unavailable
from domain.ids import PLATFORM
from domain.incidents import Incident
from domain.outcomes import Check, Verification
from domain.ports import Clock, CrashPoints
from domain.topology import Topology
from grounding.packs import Readers, ReaderSource
from mesh.journal import Journal, Watch
from mesh.stages import Curve
from mesh.submission import ActionTable
from mesh.verification import (
    BEFORE,
    HOLD,
    REFERENCE,
    REFERENCE_GUARD,
    SETTLED_SHARE,
    Level,
    growth_checks,
    judge,
    levels,
    watch_list,
)
from storage.engine import Database

SIGNALLESS_TOOLS = frozenset({"ticket", "silence"})
"""Actions without an effect on the runtime: what they recorded is all there is to verify."""
CURVE_BEFORE = timedelta(minutes=20)


@dataclass(frozen=True, slots=True)
class Watching:
    """Starts watches and closes them with a verdict."""

    database: Database
    journal: Journal
    readers: ReaderSource
    actions: ActionTable
    clock: Clock
    crash: CrashPoints

    async def begin(self, command: Command, incident: Incident | None) -> None:
        """Store a watch with the levels just before the effect. Call it before the effect starts."""
        now = self.clock.now()
        watched: tuple[str, ...] = ()
        before: dict[str, Level] = {}
        if command.spec.tool not in SIGNALLESS_TOOLS:
            topology = await self._platform().runtime.topology(command.environment)
            symptoms = incident.entities if incident is not None else ()
            watched = watch_list(topology, command.target.address, symptoms)
            before = await self._levels(command, watched, now - BEFORE, now)
        watch = Watch(
            command=command.id, tenant=command.tenant, environment=command.environment, incident=command.incident,
            started_at=now, hold_until=now + (HOLD if watched else timedelta()), entities=watched,
            before={e: (level.latency_ms, level.error_rate, level.request_rate) for e, level in before.items()},
        )  # fmt: skip
        with self.database.begin() as connection:
            self.journal.start_watch(connection, watch)

    async def verdict(self, record: CommandRecord, incident: Incident | None) -> Verification | None:
        """Return the verdict on a command under verification, None while its hold window lasts."""
        command = record.command
        if (stored := self.journal.verification(command.tenant, command.id)) is not None:
            return stored
        watch = next((w for w in self.journal.open_watches() if w.command == command.id), None)
        now = self.clock.now()
        if watch is None or now < watch.hold_until or not await self._ended(command):
            return None
        self.crash.reach("verify.during", command=command.id)
        verification = await self._judge(command, watch, incident, now)
        with self.database.begin() as connection:
            self.journal.close_watch(connection, verification)
        return verification

    async def curve(self, command: Command, watch_start: datetime) -> Curve | None:
        """Return the p95 latency of the target around the effect, for people to look at."""
        start, end = watch_start - CURVE_BEFORE, self.clock.now()
        try:
            series = await self._platform().telemetry.series(command.environment, [command.target.address], start, end)
            topology = await self._platform().runtime.topology(command.environment)
        except Unavailable:
            return None
        one = next((s for s in series if s.kind == "latency" and s.statistic == "p95"), None)
        service = topology.service(command.target.id)
        if one is None:
            return None
        zero = (one.start - watch_start).total_seconds() / 60
        return Curve(
            label=f"p95 latency of {command.target.id}", unit="ms",
            minutes=tuple(zero + i * one.step_s / 60 for i in range(len(one.values))), values=one.values,
            bound=None if service is None else service.slo.latency_p95_ms,
        )  # fmt: skip

    async def _ended(self, command: Command) -> bool:
        """Tell whether there is something to judge; a runtime that does not answer is judged as quiet."""
        try:
            return await self.actions.for_kind(command.kind).ended(command)
        except Unavailable:
            return True

    async def _judge(self, command: Command, watch: Watch, incident: Incident | None, now: datetime) -> Verification:
        try:
            action = self.actions.for_kind(command.kind)
            holds, told = await action.verify(command), await action.account(command)
            if not holds:
                return _unheld(command, watch, now, told)
            if not watch.entities:
                return _recorded(command, watch, now, told)
            topology = await self._platform().runtime.topology(command.environment)
            opened = incident.opened_at if incident is not None else command.proposed_at
            usual = TimeRange(start=opened - REFERENCE_GUARD - REFERENCE, end=opened - REFERENCE_GUARD)
            held = TimeRange(start=watch.started_at, end=now)
            normal = await self._levels(command, watch.entities, usual.start, usual.end)
            settled = watch.started_at + (watch.hold_until - watch.started_at) * SETTLED_SHARE
            after = await self._levels(command, watch.entities, settled, now)
            whole = await self._platform().telemetry.series(command.environment, watch.entities, usual.start, now)
        except Unavailable as error:
            return _quiet(command, watch, now, str(error))
        return judge(
            command, topology=_services_only(topology, watch.entities), watched=watch.entities, normal=normal,
            before={e: Level(*values) for e, values in watch.before.items()}, after=after,
            held=held,
            further=growth_checks(whole, watch.entities, usual, held),
        )  # fmt: skip

    async def _levels(
        self, command: Command, watched: Sequence[str], start: datetime, end: datetime
    ) -> dict[str, Level]:
        if not watched:
            return {}
        return levels(await self._platform().telemetry.series(command.environment, watched, start, end), start, end)

    def _platform(self) -> Readers:
        return self.readers.for_tenant(PLATFORM)


def _services_only(topology: Topology, watched: Sequence[str]) -> Topology:
    wanted = {address.partition("/")[2] for address in watched}
    return topology.model_copy(update={"services": tuple(s for s in topology.services if s.id in wanted)})


def _recorded(command: Command, watch: Watch, now: datetime, told: str) -> Verification:
    check = Check(entity=command.target.address, metric="recorded", before=None, after=1.0, bound=None, ok=True)
    return Verification(
        command=command.id, verdict="recovered", checks=(check,), started_at=watch.started_at, ended_at=now,
        reason=told or "the runtime holds what was written; no signal tells more",
    )  # fmt: skip


def _unheld(command: Command, watch: Watch, now: datetime, told: str) -> Verification:
    return Verification(
        command=command.id, verdict="unchanged", checks=(), started_at=watch.started_at, ended_at=now,
        reason=told or "the runtime's live state does not hold what was written",
    )  # fmt: skip


def _quiet(command: Command, watch: Watch, now: datetime, why: str) -> Verification:
    return Verification(
        command=command.id, verdict="quiet", checks=(), started_at=watch.started_at, ended_at=now,
        reason=f"the readers did not answer: {why}",
    )  # fmt: skip
