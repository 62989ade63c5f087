"""Undo: a child command, allowed by its parent's decision, that restores only the fields we wrote and still hold.

When somebody else has changed such a field meanwhile, nothing is restored and a person is paged: their value may be
the fix.
"""

from dataclasses import dataclass

from domain.commands import Command, CommandRecord, State
from domain.errors import Conflict, OpsmeshError, Refused, Unavailable
from domain.ids import CommandId, PrincipalId
from domain.ports import Clock, Ids
from governance.execution import Executions
from governance.machine import CommandStore
from mesh.execution import Executor
from mesh.submission import EXECUTION_EXPIRY, ActionTable


@dataclass(frozen=True, slots=True)
class Undoing:
    """Takes commands back."""

    store: CommandStore
    executions: Executions
    executor: Executor
    actions: ActionTable
    clock: Clock
    ids: Ids
    worker: PrincipalId

    async def begin(self, parent: CommandRecord) -> CommandRecord:
        """Plan the undo and move the parent to UNDOING. Unchanged while the runtime does not answer."""
        try:
            child = await self._plan(parent.command)
        except Unavailable:
            return parent
        except OpsmeshError as error:
            return self._give_up(parent, str(error))
        try:
            moved, _ = self.executions.start_undo(
                parent.command.tenant, parent.command.id, fencing=parent.fencing or 0, worker=self.worker, child=child
            )
        except Conflict:
            return self.store.get(parent.command.tenant, parent.command.id)
        return moved

    async def proceed(self, parent: CommandRecord) -> CommandRecord:
        """Carry an UNDOING parent on: run its child, check that the state is back, record how it ended."""
        child = self._child(parent)
        if child is None:
            return self._finish(parent, undone=False, reason="its undo command is missing")
        if child.state is State.APPROVED:
            child = await self.executor.start(child)
        if child.state is State.UNKNOWN:
            child = await self.executor.resolve(child)
        if child.state is State.EXECUTED:
            child = self.executions.start_verifying(
                child.command.tenant, child.command.id, fencing=child.fencing or 0, worker=self.worker
            )
        if child.state is State.VERIFYING:
            child = await self._verify(child)
        if child.state is State.SUCCEEDED:
            return self._finish(parent, undone=True, reason="every field we wrote holds its former value again")
        if child.state in {State.FAILED, State.LAPSED, State.EXPIRED, State.CANCELLED, State.INCONCLUSIVE}:
            return self._finish(parent, undone=False, reason=f"the undo ended {child.state}: {child.reason}")
        return parent

    async def _verify(self, child: CommandRecord) -> CommandRecord:
        command = child.command
        try:
            back = not command.patches or await self.actions.for_kind(command.kind).verify(command)
        except Unavailable:
            return child
        verdict = State.SUCCEEDED if back else State.INCONCLUSIVE
        return self.executions.finish(
            command.tenant, command.id, fencing=child.fencing or 0, worker=self.worker, verdict=verdict
        )

    async def _plan(self, parent: Command) -> Command:
        now = self.clock.now()
        plan = await self.actions.for_kind(parent.kind).plan_undo(parent, at=now)
        return parent.model_copy(
            update={
                "id": CommandId(self.ids.ulid()),
                "preview": plan.preview,
                "patches": plan.patches,
                "inverse": plan.inverse,
                "preconditions": plan.preconditions,
                "affected": plan.affected,
                "expires_at": now + EXECUTION_EXPIRY,
                "idempotency_key": f"{parent.idempotency_key}.undo",
                "proposed_at": now,
                "parent": parent.id,
                "role": "undo",
                "rationale": f"undo of {parent.id}",
                "prediction": None,
            }
        )

    def _child(self, parent: CommandRecord) -> CommandRecord | None:
        children = self.store.list(parent.command.tenant, parent=parent.command.id)
        return next((c for c in reversed(children) if c.command.role == "undo"), None)

    def _give_up(self, parent: CommandRecord, reason: str) -> CommandRecord:
        """No undo can be planned: record it as one that failed, through an empty child, so that a person is paged."""
        command = parent.command
        empty = command.model_copy(
            update={
                "id": CommandId(self.ids.ulid()), "preview": (), "patches": (), "preconditions": (), "role": "undo",
                "parent": command.id, "idempotency_key": f"{command.idempotency_key}.undo",
                "proposed_at": self.clock.now(), "rationale": f"undo of {command.id} could not be planned: {reason}",
            }
        )  # fmt: skip
        try:
            moved, child = self.executions.start_undo(
                command.tenant, command.id, fencing=parent.fencing or 0, worker=self.worker, child=empty
            )
            self.store.cancel(command.tenant, child.command.id, self.worker, reason)
        except (Conflict, Refused):
            return self.store.get(command.tenant, command.id)
        return self._finish(moved, undone=False, reason=reason)

    def _finish(self, parent: CommandRecord, *, undone: bool, reason: str) -> CommandRecord:
        command = parent.command
        return self.executions.finish_undo(
            command.tenant, command.id, fencing=parent.fencing or 0, worker=self.worker, undone=undone, reason=reason
        )
