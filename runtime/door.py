"""The one door: every write to the runtime comes through here, and takes effect only with a valid one-time grant.

A dry run has no effect, a write without a grant becomes a proposal. A write with one is committed with its ledger row,
its used grant and its fencing marks in one transaction; then the target follows. The same key again: the same answer.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from domain.changes import Patch, preview_digest
from domain.command_kinds import CommandKind
from domain.decisions import GrantClaims
from domain.desired import DesiredState
from domain.errors import Conflict, Invalid, Unavailable
from domain.ids import EnvironmentId
from domain.outcomes import EffectReceipt
from domain.ports import Clock, CrashPoints, Engine, Ids
from runtime import ledger, operations, state
from runtime.convergence import Convergence
from runtime.drafts import Draft, draft_operation, draft_patches
from runtime.gate import GrantGate
from runtime.meaning import Meaning, meaning_of
from runtime.ports import Asked, Operator
from runtime.proposed import ProposedWrites
from runtime.scope import TenantView
from runtime.writes import Answer, Preview, Write
from storage.engine import Database

ATTEMPTS = 5
"""Times a write is worked out anew because another version came in between; two writers need two, five is ample."""


@dataclass(frozen=True, slots=True)
class Door:
    """Drives writes through view, gate, ledger and convergence."""

    database: Database
    clock: Clock
    ids: Ids
    engine: Engine
    gate: GrantGate
    convergence: Convergence
    proposed: ProposedWrites
    crash: CrashPoints
    operators: Mapping[CommandKind, Operator]

    async def patch(self, write: Write, patches: Sequence[Patch], view: TenantView) -> Answer:
        """Write fields of the desired state. Raises NotFound for a resource outside the view."""
        view.check_writable(patches)

        async def draft(desired: DesiredState) -> Draft:
            live = self.convergence.target.live
            return await draft_patches(desired, patches, write, self.engine, live, self.clock.now())

        def meaning(desired: DesiredState) -> Meaning:
            at = self.clock.now()
            return meaning_of(patches, desired.effective(at), at)

        return await self._pass(write, draft, meaning)

    async def operate(self, write: Write, meaning: Meaning, view: TenantView) -> Answer:
        """Do an operation without lasting state and keep it as a record. Raises NotFound for what is out of view."""
        operator = self.operators.get(meaning.kind)
        if operator is None:
            raise Invalid(f"nothing here carries out {meaning.kind}", reason="no_such_operation")
        operation = self.ids.ulid()

        async def draft(desired: DesiredState) -> Draft:
            asked = Asked(
                meaning, write.tenant, write.environment, view, desired, self.clock.now(), write.key or operation
            )
            return draft_operation(asked, await operator.plan(asked), write, operation)

        return await self._pass(write, draft, lambda _: meaning)

    async def _pass(
        self,
        write: Write,
        draft: Callable[[DesiredState], Awaitable[Draft]],
        meaning: Callable[[DesiredState], Meaning],
    ) -> Answer:
        await self.convergence.absorb(write.environment)
        if write.grant is not None and not write.dry_run:
            return await self._granted(write, write.grant, draft)
        worked_out = await draft(self._current(write.environment))
        _check_match(write, worked_out.desired)
        if write.dry_run:
            return Preview(changes=worked_out.changes, version=worked_out.desired.version)
        return await self.proposed.propose(write, meaning(worked_out.desired))

    async def _granted(
        self, write: Write, token: str, draft: Callable[[DesiredState], Awaitable[Draft]]
    ) -> EffectReceipt:
        grant = self.gate.read(token)
        self.gate.check_place(grant, write.tenant, write.environment, write.key)
        receipt = self._replayed(write, grant)
        for _ in range(ATTEMPTS):
            if receipt is not None:
                break
            receipt = self._commit(write, grant, await draft(self._current(write.environment)))
        if receipt is None:
            raise Unavailable("too many writers on this environment", reason="contended")
        self.crash.reach("runtime.committed", command=grant.command)
        return await self._follow(grant, receipt)

    def _current(self, environment: EnvironmentId) -> DesiredState:
        with self.database.read() as connection:
            return state.current(connection, environment)

    def _replayed(self, write: Write, grant: GrantClaims) -> EffectReceipt | None:
        with self.database.read() as connection:
            known = ledger.recorded(connection, grant.tenant, grant.environment, grant.idempotency_key, write.request)
        return None if known is None else known.model_copy(update={"replayed": True})

    def _commit(self, write: Write, grant: GrantClaims, draft: Draft) -> EffectReceipt | None:
        """Commit the draft; None when the document moved on and the draft must be worked out anew."""
        at = self.clock.now()
        with self.database.begin() as connection:
            state.lock(connection, write.environment)
            known = ledger.recorded(connection, grant.tenant, grant.environment, grant.idempotency_key, write.request)
            if known is not None:
                return known.model_copy(update={"replayed": True})
            ledger.check_unused(connection, grant)
            ledger.check_fencing(connection, grant, draft.resources)
            self.gate.check_effect(grant, preview_digest(draft.changes), at)
            desired = state.current(connection, write.environment)
            _check_match(write, desired)
            if desired.version != draft.desired.version:
                return None
            receipt = draft.commit(connection, grant)
            ledger.record(connection, grant, receipt, request=write.request, resources=draft.resources, at=at)
            self.crash.reach("runtime.before_commit", command=grant.command)
        return receipt

    async def _follow(self, grant: GrantClaims, receipt: EffectReceipt) -> EffectReceipt:
        """Make the target follow. What it cannot follow now it follows later: the commit stands either way."""
        if receipt.operation is not None:
            with self.database.read() as connection:
                record = operations.find(connection, grant.tenant, grant.environment, receipt.operation)
            lag = None if record is None else await self.convergence.perform(record)
        else:
            lag = await self.convergence.follow(grant.environment)
        return receipt if lag is None else receipt.model_copy(update={"detail": f"committed; {lag.reason}"})


def _check_match(write: Write, desired: DesiredState) -> None:
    if write.if_match is not None and write.if_match != desired.version:
        raise Conflict("the document is at another version", reason="version_mismatch")
