"""The loop: detect, investigate, decide, execute, verify, undo, learn. One step looks at everything once.

A step may be cut off anywhere: each part reads its state from the store, and every state a command can be found in has
one way on. What this process holds it renews; what a dead one held it takes over.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from domain.commands import IN_FLIGHT, TERMINAL, CommandRecord, State
from domain.errors import OpsmeshError, Refused, Unavailable
from domain.events import Dimensions
from domain.ids import CommandId, PrincipalId, TenantId
from domain.outcomes import Verification
from domain.ports import Clock
from domain.tenancy import AutonomyLevel
from governance.audit import AuditLog
from governance.execution import Executions, Verdict
from governance.machine import CommandStore
from grounding.packs import ReaderSource
from mesh.cards import command_card, verification_section
from mesh.cases import Cases
from mesh.detection import Detection
from mesh.execution import LEASE_S, Executor
from mesh.feedback import Feedback
from mesh.investigation import Investigation
from mesh.journal import Journal
from mesh.planning import Planning
from mesh.stages import Stage, StageName, Watcher
from mesh.submission import Submission
from mesh.telemetry import Telemetry
from mesh.thawing import Thawing
from mesh.undoing import Undoing
from mesh.watching import Watching

_LOG = logging.getLogger("opsmesh.loop")
VERDICTS: Mapping[str, Verdict] = {
    "recovered": State.SUCCEEDED,
    "unchanged": State.REGRESSED,
    "worse": State.REGRESSED,
    "quiet": State.INCONCLUSIVE,
}
"""A fix that did not hold is taken back like one that did harm: what stays must have been seen to help."""
ANCHOR_EVERY = timedelta(minutes=1)
"""At most a minute of audit can be cut without a trace; a checkpoint costs one signature a tenant (our choice)."""
_FEEDBACK = frozenset(TERMINAL - {State.SUPERSEDED, State.CANCELLED, State.INCONCLUSIVE, State.FAILED})
_STAGES: Mapping[State, StageName] = {
    State.EXECUTED: "execution",
    State.FAILED: "execution",
    State.UNKNOWN: "execution",
    State.LAPSED: "execution",
    State.UNDOING: "undo",
    State.UNDONE: "outcome",
    State.UNDO_FAILED: "outcome",
    State.SUCCEEDED: "outcome",
}


@dataclass(frozen=True, slots=True)
class Loop:
    """All parts of the loop and the order in which they take their turn."""

    detection: Detection
    investigation: Investigation
    submission: Submission
    store: CommandStore
    executions: Executions
    executor: Executor
    watching: Watching
    undoing: Undoing
    planning: Planning
    feedback: Feedback
    thawing: Thawing
    cases: Cases
    journal: Journal
    readers: ReaderSource
    clock: Clock
    telemetry: Telemetry
    watcher: Watcher
    worker: PrincipalId
    audit: AuditLog
    seen: dict[CommandId, State] = field(default_factory=dict[CommandId, State])
    anchored: list[datetime] = field(default_factory=list[datetime])

    async def step(self) -> None:
        """Look at everything once."""
        await self.detection.step()
        await self._recover()
        self.thawing.step()
        for environment in self.detection.environments:
            for incident in self.cases.live(environment):
                if incident.status in {"open", "mitigating"}:
                    await self._apart(f"incident {incident.id}", self.investigation.step(incident))
        await self._advance_all()
        self.store.expire_due("*")
        await self.planning.step()
        self._renew()
        self._anchor()

    async def _recover(self) -> None:
        """Run again what a crash cut off, and take over what a dead worker held."""
        for run, pack in self.journal.unfinished_runs():
            await self.investigation.resume(pack, run.agent, run.attempt, run.id)
        for record in await self.executor.take_over():
            self._tell("recovery", record, f"took over {record.command.id} in {record.state}")

    async def _advance_all(self) -> None:
        """Move every open command as far as it goes now, oldest first."""
        for record in self.store.list("*", states=[s for s in State if s not in TERMINAL]):
            if record.command.role == "forward":
                await self._apart(f"command {record.command.id}", self.advance(record))
        for record in self.store.list("*", states=_FEEDBACK | {State.FAILED, State.INCONCLUSIVE}):
            if record.command.role == "forward":
                await self._apart(f"command {record.command.id}", self._settle(record))

    async def _apart(self, what: str, step: Awaitable[object]) -> None:
        """Keep one thing's trouble from stopping the others; it is tried again next time. A lost store stops all."""
        try:
            await step
        except Unavailable:
            raise
        except OpsmeshError:
            _LOG.exception("%s could not be moved on; it is tried again", what)

    async def advance(self, record: CommandRecord) -> CommandRecord:
        """Move one command on until it waits for time, a person or the target."""
        command = record.command
        dimensions = Dimensions(
            environmentid=command.environment, correlationid=command.incident,
            serviceid=command.target.id if command.target.kind == "service" else None,
        )  # fmt: skip
        while True:
            self._note(record)
            act = self._act(record)
            if act is None:
                return record
            with self.telemetry.span(
                f"command.{record.state.lower()}", tenant=command.tenant, dimensions=dimensions, parent=command.trace,
                command=command.id,
            ):  # fmt: skip
                moved = await act(record)
            if moved.state is record.state:
                return moved
            record = moved

    def _act(self, record: CommandRecord) -> Callable[[CommandRecord], Awaitable[CommandRecord]] | None:
        acts: dict[State, Callable[[CommandRecord], Awaitable[CommandRecord]]] = {
            State.PROPOSED: self.submission.decide,
            State.APPROVED: self.executor.start,
            State.UNKNOWN: self.executor.resolve,
            State.EXECUTED: self._verify,
            State.VERIFYING: self._judge,
            State.REGRESSED: self.undoing.begin,
            State.INCONCLUSIVE: self.undoing.begin,
            State.UNDOING: self.undoing.proceed,
        }
        return acts.get(record.state)

    async def _verify(self, record: CommandRecord) -> CommandRecord:
        command = record.command
        return self.executions.start_verifying(
            command.tenant, command.id, fencing=record.fencing or 0, worker=self.worker
        )

    async def _judge(self, record: CommandRecord) -> CommandRecord:
        """Record the verdict once the hold window is over."""
        command = record.command
        verification = await self.watching.verdict(record, self.cases.of(record))
        if verification is None:
            return record
        moved = self.executions.finish(
            command.tenant, command.id, fencing=record.fencing or 0, worker=self.worker,
            verdict=VERDICTS[verification.verdict], reason=verification.reason,
        )  # fmt: skip
        await self._tell_verdict(moved, verification)
        return moved

    async def _settle(self, record: CommandRecord) -> None:
        """Tell what a command's end means, once. An INCONCLUSIVE one is taken back first."""
        if record.state is State.INCONCLUSIVE and (await self.advance(record)).state is not State.INCONCLUSIVE:
            return
        if self.feedback.knows(record):
            return
        default = await self._default_autonomy(record)
        if default is None:
            return
        closed = self.feedback.close(
            record, incident=self.cases.of(record), default=default,
            diagnosis=self.cases.diagnosis(record.command.tenant, record.command.incident),
        )  # fmt: skip
        if closed is not None:
            self._note(record)
            if closed.lesson is not None:
                self._tell("lesson", record, closed.lesson.text)

    async def _default_autonomy(self, record: CommandRecord) -> AutonomyLevel | None:
        try:
            bindings = await self.readers.for_tenant(record.command.tenant).runtime.bindings(record.command.environment)
        except Unavailable:
            return None
        bound = next((b for b in bindings if b.tenant == record.command.tenant), None)
        return "observe" if bound is None else bound.autonomy

    def _renew(self) -> None:
        """Keep what is in flight in this worker's hands; a command that was taken over is somebody else's.

        Between steps nothing here is EXECUTING: whoever left a command there is dead, and its lease must end.
        """
        for record in self.store.list("*", states=IN_FLIGHT - {State.EXECUTING}):
            try:
                self.executions.renew(
                    record.command.tenant, record.command.id, fencing=record.fencing or 0, lease_s=LEASE_S
                )
            except Refused:
                continue

    def _anchor(self) -> None:
        """Sign and anchor the audit's heads now and then: what lies after the last anchor could be cut off unseen."""
        now = self.clock.now()
        if not self.anchored or now - self.anchored[-1] >= ANCHOR_EVERY:
            self.audit.checkpoint()
            self.anchored[:] = [now]

    def _note(self, record: CommandRecord) -> None:
        """Tell watchers of a command's state the first time it is seen."""
        before = self.seen.get(record.command.id)
        if before is record.state or record.command.role == "undo":
            return
        self.seen[record.command.id] = record.state
        command = record.command
        if before is None:
            decision = self.store.decision(command.tenant, command.id)
            self._tell("proposal", record, f"{command.kind} on {command.target.address}", card=True)
            if decision is not None:
                self._tell("decision", record, f"policy: {decision.effect}", lines=decision.reasons)
        if (name := _STAGES.get(record.state)) is not None:
            self._tell(name, record, f"{command.kind} on {command.target.address} is {record.state}: {record.reason}")

    async def _tell_verdict(self, record: CommandRecord, verification: Verification) -> None:
        curve = await self.watching.curve(record.command, verification.started_at)
        section = verification_section(verification)
        stage = self._stage("verification", record, section.title, section.lines)
        self.watcher(stage.model_copy(update={"curve": curve}))

    def _tell(
        self, name: StageName, record: CommandRecord, title: str, *, lines: tuple[str, ...] = (), card: bool = False
    ) -> None:
        stage = self._stage(name, record, title, lines)
        self.watcher(stage.model_copy(update={"card": command_card(record)}) if card else stage)

    def _stage(self, name: StageName, record: CommandRecord, title: str, lines: tuple[str, ...]) -> Stage:
        return Stage(
            name=name, at=self.clock.now(), tenant=TenantId(record.command.tenant), incident=record.command.incident,
            command=record.command.id, title=title, lines=lines,
        )  # fmt: skip
