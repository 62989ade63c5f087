"""Execution: check everything again, claim, get a one-time grant, call the tool once, record what the target says.

An effect whose answer is lost is UNKNOWN and is asked about, never sent again. Every state the loop can be found in
after a crash has one way on from here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from domain.changes import preview_digest
from domain.commands import CommandRecord, State
from domain.errors import Conflict, Invalid, NotFound, OutcomeUnknown, Refused, Unavailable
from domain.ids import PrincipalId
from domain.incidents import Incident
from domain.outcomes import EffectReceipt
from domain.ports import Clock
from governance.execution import Executions
from governance.grants import LIFETIME_S, Grants
from governance.machine import CommandStore
from governance.plans import Plans
from governance.revalidate import Current
from mesh.currency import current_of
from mesh.submission import ActionTable, Submission
from mesh.watching import Watching

LEASE_S = 120.0
"""Six times a tool's time limit: a worker that is only slow keeps its command."""


@dataclass(frozen=True, slots=True)
class Executor:
    """Runs approved commands up to the start of their verification."""

    store: CommandStore
    executions: Executions
    plans: Plans
    grants: Grants
    submission: Submission
    actions: ActionTable
    watching: Watching
    clock: Clock
    worker: PrincipalId
    incident_of: Callable[[CommandRecord], Incident | None]

    async def start(self, record: CommandRecord) -> CommandRecord:
        """Execute an APPROVED command. Returns it where it ended up; one that must wait comes back unchanged."""
        if self.plans.waiting(record.command.tenant, record.command.id) is not None:
            return record
        try:
            current = await self._current(record)
        except Unavailable:
            return record
        except (Conflict, Invalid, NotFound) as error:
            return self._lapse(record, str(error))
        try:
            claimed = self.executions.claim(
                record.command.tenant, record.command.id, worker=self.worker, lease_s=LEASE_S, current=current
            )
        except Conflict:
            return self.store.get(record.command.tenant, record.command.id)
        if claimed.state is not State.EXECUTING:
            return claimed
        return await self.perform(claimed)

    async def perform(self, claimed: CommandRecord) -> CommandRecord:
        """Call the tool for a claimed command, once, and record the answer."""
        command, fencing = claimed.command, _fencing(claimed)
        if command.role == "undo" and not command.patches:
            return self._record(claimed, _nothing_left(claimed))
        try:
            await self.watching.begin(command, self.incident_of(claimed))
            grant = self.grants.issue(command.tenant, command.id, fencing=fencing)
        except (Unavailable, Refused) as error:
            return self._fail(claimed, f"not started: {error}")
        try:
            receipt = await self.actions.for_kind(command.kind).apply(command, grant=grant)
        except OutcomeUnknown as error:
            receipt = EffectReceipt(idempotency_key=command.idempotency_key, status="unknown", detail=str(error))
        except Unavailable as error:
            return self._fail(claimed, f"the runtime was not reached: {error}")
        except (Refused, Invalid) as error:
            return self._fail(claimed, f"the runtime refused: {error}")
        return self._record(claimed, receipt)

    async def resolve(self, unknown: CommandRecord) -> CommandRecord:
        """Ask the target about an UNKNOWN effect; it stays UNKNOWN, and paged, while the target cannot say."""
        command = unknown.command
        try:
            receipt = await self.actions.for_kind(command.kind).status(command)
        except Unavailable:
            return unknown
        still_on_its_way = self.clock.now() < unknown.updated_at + timedelta(seconds=LIFETIME_S)
        if receipt.status == "unknown" or (receipt.status == "not_applied" and still_on_its_way):
            return unknown  # a grant that lives may yet be used by a request that is late
        return self._record(unknown, receipt)

    async def take_over(self) -> tuple[CommandRecord, ...]:
        """Take commands whose worker's lease ended under new fencing numbers."""
        taken: list[CommandRecord] = []
        for record in self.executions.stuck("*"):
            try:
                taken.append(
                    self.executions.take_over(
                        record.command.tenant, record.command.id, worker=self.worker, lease_s=LEASE_S
                    )
                )
            except Conflict:
                continue
        return tuple(taken)

    async def _current(self, record: CommandRecord) -> Current:
        command = record.command
        action = self.actions.for_kind(command.kind)
        preview, preconditions = await current_of(command, action, self.submission.reader, at=self.clock.now())
        digest = preview_digest(preview)
        if command.role == "undo":
            return Current(preview_digest=digest, preconditions=preconditions)
        decision = await self.submission.redecide(command)
        people = [approval.principal for approval in self.store.approvals(command.tenant, command.id)]
        barred = await self.submission.barred(command, people)
        return Current(preview_digest=digest, preconditions=preconditions, decision=decision, barred=barred)

    def _lapse(self, record: CommandRecord, reason: str) -> CommandRecord:
        command = record.command
        return self.store.cancel(command.tenant, command.id, self.worker, f"can no longer be planned: {reason}")

    def _record(self, held: CommandRecord, receipt: EffectReceipt) -> CommandRecord:
        command = held.command
        return self.executions.record_effect(
            command.tenant, command.id, fencing=_fencing(held), worker=self.worker, receipt=receipt
        )

    def _fail(self, claimed: CommandRecord, reason: str) -> CommandRecord:
        command = claimed.command
        return self.executions.fail(
            command.tenant, command.id, fencing=_fencing(claimed), worker=self.worker, reason=reason
        )


def _fencing(record: CommandRecord) -> int:
    return record.fencing or 0


def _nothing_left(undo: CommandRecord) -> EffectReceipt:
    """The receipt of an undo that has nothing to take back: no call is made for it."""
    key = undo.command.idempotency_key
    return EffectReceipt(idempotency_key=key, status="applied", detail="nothing lasting to take back")
