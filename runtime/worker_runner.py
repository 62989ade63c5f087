"""Gives every worker its turn, keeps what it found, tells it once, and proposes what follows from it through the door.

A finding is proposed once per time it is raised. What cannot be proposed now (a hold, a busy resource) is tried again
on the next look.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from domain.catalogue import FindingRaised, FindingResolved
from domain.commands import Proposal
from domain.errors import OpsmeshError, Unavailable
from domain.events import Dimensions, IncomingEvent, traceparent_of
from domain.findings import ANNOUNCED, Act, Finding, FindingRecord
from domain.ids import EnvironmentId, EvidenceId
from domain.plans import PlanWindow
from runtime import findings, state
from runtime.parts import RuntimeParts
from runtime.ports import ProposeWrite
from runtime.worker import Signalled, Worker, principal_of
from runtime.workers import WORKERS

SWEPT_EVERY = timedelta(days=1)
SOURCE = "/runtime/workers"
PLAN_WINDOW = timedelta(hours=8)
"""A shift: whoever approves a plan is still there when it ends."""
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerRunner:
    """Runs the workers named in `only` (all where None) over every environment."""

    parts: RuntimeParts
    proposals: ProposeWrite
    only: Sequence[str] | None = None
    workers: tuple[Worker, ...] = WORKERS
    looked: dict[tuple[str, EnvironmentId], tuple[datetime, str]] = field(
        default_factory=dict[tuple[str, EnvironmentId], tuple[datetime, str]]
    )
    """When each last looked, and at which signal. Lost on a restart: then all look at once, which changes nothing."""
    swept: dict[EnvironmentId, datetime] = field(default_factory=dict[EnvironmentId, datetime])
    """When what was resolved long ago was last removed."""

    async def turn(self) -> None:
        """Let every worker look that is due. One in trouble does not stop the others."""
        with self.parts.database.read() as connection:
            environments = state.names(connection)
        for environment in environments:
            self._sweep(environment)
        for worker in self.workers:
            if self.only is not None and worker.name not in self.only:
                continue
            for environment in environments:
                await self._look(worker, environment)

    def _sweep(self, environment: EnvironmentId) -> None:
        now, before = self.parts.clock.now(), self.swept.get(environment)
        if before is None or now - before >= SWEPT_EVERY:
            with self.parts.database.begin() as connection:
                findings.forget(connection, environment, now)
            self.swept[environment] = now

    async def _look(self, worker: Worker, environment: EnvironmentId) -> None:
        now = self.parts.clock.now()
        before = self.looked.get((worker.name, environment))
        try:
            signal = worker.signal(self.parts) if isinstance(worker, Signalled) else ""
            if before is not None and now - before[0] < worker.every and signal == before[1]:
                return
            found = await worker.look(self.parts, environment)
        except Unavailable as error:
            _LOG.warning("%s could not look at %s: %s", worker.name, environment, error)
            return
        self.looked[worker.name, environment] = (now, signal)
        with self.parts.database.read() as connection:
            known = findings.standing(connection, environment)
        for finding in found:
            await self._keep(finding, known.get(finding.id), now)
        standing = {finding.id for finding in found}
        for record in known.values():
            if record.finding.owner == worker.name and record.finding.id not in standing:
                self._write(record.model_copy(update={"status": "resolved", "last_seen": now}), now)
                self._tell_resolved(record, now)

    async def _keep(self, finding: Finding, known: FindingRecord | None, now: datetime) -> None:
        if known is None:
            record = self._raised(finding, now)
            self._tell_raised(record, now)
        else:
            record = known.model_copy(update={"finding": finding, "last_seen": now})
        if finding.acts and not record.proposed:
            record = await self._propose(record)
        self._write(record, now)

    def _raised(self, finding: Finding, now: datetime) -> FindingRecord:
        """Open a finding in the trace of the event that announced it, where there was one and it has a trace."""
        announced, by = None, ANNOUNCED.get(finding.owner)
        if self.parts.heard is not None and by is not None:
            announced = self.parts.heard.announced(finding, by.types, now - by.within)
        within = finding.trace or (announced.trace if announced is not None else None)
        return FindingRecord(
            finding=finding, status="open", first_seen=now, last_seen=now,
            trace=traceparent_of(finding.id, now.isoformat(), within=within),
            woken_by=announced.key if announced is not None else None,
        )  # fmt: skip

    async def _propose(self, record: FindingRecord) -> FindingRecord:
        acts = [_proposal(record, act) for act in record.finding.acts]
        key = f"{record.finding.id}.{record.first_seen:%Y%m%dT%H%M%S}"
        try:
            if len(acts) == 1:
                place = await self.proposals.propose(acts[0], idempotency_key=f"{key}.0")
            else:
                now = self.parts.clock.now()
                window = PlanWindow(start=now, end=now + PLAN_WINDOW)
                place = await self.proposals.propose_plan(acts, window=window, compensate_in=None, idempotency_key=key)
        except OpsmeshError as error:
            _LOG.warning("%s cannot be proposed: %s", record.finding.id, error)
            return record.model_copy(update={"held": str(error)})
        return record.model_copy(update={"proposed": (place,), "held": ""})

    def _write(self, record: FindingRecord, now: datetime) -> None:
        with self.parts.database.begin() as connection:
            findings.keep(connection, record, now)

    def _tell_raised(self, record: FindingRecord, now: datetime) -> None:
        finding = record.finding
        data = FindingRaised(
            finding=finding.id, owner=finding.owner, kind=finding.kind, resource=finding.resource,
            summary=finding.summary, amount_usd=finding.amount_usd, evidence=finding.evidence,
            acts=tuple(act.kind for act in finding.acts),
        )  # fmt: skip
        self._tell(record, "runtime.finding.raised.v1", data.model_dump(mode="json"), now)

    def _tell_resolved(self, record: FindingRecord, now: datetime) -> None:
        data = FindingResolved(finding=record.finding.id, owner=record.finding.owner, kind=record.finding.kind)
        self._tell(record, "runtime.finding.resolved.v1", data.model_dump(mode="json"), now)

    def _tell(self, record: FindingRecord, kind: str, data: dict[str, object], now: datetime) -> None:
        finding = record.finding
        kind_of, _, name = finding.resource.partition("/")
        event = IncomingEvent.model_validate({
            "id": f"{finding.id}:{record.first_seen.isoformat()}:{kind}", "source": SOURCE, "type": kind,
            "subject": finding.resource, "time": now, "data": data,
            "dimensions": Dimensions(
                environmentid=finding.environment, severity=finding.severity, traceparent=record.trace,
                correlationid=finding.id, causationid=record.woken_by,
                serviceid=name if kind_of == "service" else None,
            ),
        })  # fmt: skip
        self.parts.tell.tell(finding.tenant, event)


def _proposal(record: FindingRecord, act: Act) -> Proposal:
    finding = record.finding
    return Proposal(
        kind=act.kind, arguments=act.arguments, target=act.target, tenant=finding.tenant,
        environment=finding.environment, proposer=principal_of(finding.owner), rationale=act.rationale,
        evidence=(EvidenceId(finding.id),), confidence=act.confidence, trace=record.trace,
    )  # fmt: skip
