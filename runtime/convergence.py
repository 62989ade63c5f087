"""Convergence: makes the target follow what the store has committed, as often as it takes.

The store decides, the target follows: a crash or an unreachable target between commit and effect is made good by the
next call. Ended overrides and the platform teams' own deployments are taken up here too.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from domain.base import Digest, Frozen, digest_of
from domain.changes import Patch
from domain.command_kinds import CommandKind
from domain.desired import DesiredState, apply_patches
from domain.errors import Invalid, OpsmeshError, Unavailable
from domain.ids import CommandId, EnvironmentId, PrincipalId
from domain.ports import Clock, Engine
from domain.runtime_api import OperationRecord, Progress
from runtime import operations, state
from runtime.drifting import corrected
from runtime.ports import Operator, RuntimeTarget
from storage.engine import Database

_LOG = logging.getLogger(__name__)


class Lag(Frozen):
    """Something the target could not follow yet."""

    environment: EnvironmentId
    reason: str


@dataclass(frozen=True, slots=True)
class Convergence:
    """Drives one target. Calls for one environment queue behind each other, so an old state never lands last."""

    database: Database
    clock: Clock
    engine: Engine
    target: RuntimeTarget
    operators: Mapping[CommandKind, Operator]
    _locks: dict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def reconcile(self) -> tuple[Lag, ...]:
        """Bring every environment and open operation up to date; what could not follow is returned, not raised."""
        with self.database.read() as connection:
            found = state.names(connection)
        lags = [lag for environment in found if (lag := await self.follow(environment)) is not None]
        with self.database.read() as connection:
            waiting = operations.open_ones(connection)
        lags += [lag for record in waiting if (lag := await self.perform(record)) is not None]
        return tuple(lags)

    async def absorb(self, environment: EnvironmentId) -> None:
        """Take what the platform's teams changed themselves into desired state, one version per write."""
        async with self._locks[environment]:
            await self._absorb(environment)

    async def _absorb(self, environment: EnvironmentId) -> None:
        for actor, patch in await self.target.drain(environment):
            self._take(environment, actor, patch)

    def _take(self, environment: EnvironmentId, actor: str, patch: Patch) -> None:
        at = self.clock.now()
        with self.database.begin() as connection:
            state.lock(connection, environment)
            before = state.current(connection, environment)
            try:
                after = apply_patches(before, [patch], command=CommandId(f"platform:{actor}"), at=at)
            except Invalid as error:
                # It runs already and refusing it would stop every other write: it stays visible as drift.
                _LOG.warning("%s wrote what desired state cannot hold: %s", actor, error)
                return
            state.append(connection, after, actor=PrincipalId(actor), key=None, at=at)

    async def follow(self, environment: EnvironmentId) -> Lag | None:
        """Make the newest effective state live; None when the target holds it."""
        async with self._locks[environment]:
            # An engine is handed whole documents: what others wrote meanwhile must be in it, or it would be undone.
            await self._absorb(environment)
            try:
                await self._follow(environment)
                await self._correct(environment)
            except Unavailable as error:
                return Lag(environment=environment, reason=str(error))
            return None

    async def _follow(self, environment: EnvironmentId) -> None:
        with self.database.read() as connection:
            newest = state.newest(connection, environment)
            version, digest = state.actuated(connection, environment)
        desired = newest.desired
        if version < desired.version:
            # The target counts the effect under its command's key, also when this is the call after a crash.
            digest = digest_of(desired.effective(newest.at))
            await self._hand_over(desired, newest.key or f"{environment}@{desired.version}", digest)
        elif not desired.overrides:
            return
        effective = digest_of(desired.effective(self.clock.now()))
        if effective != digest:  # overrides have ended since the version was written
            await self._hand_over(desired, f"{environment}@{desired.version}:{effective}", effective)

    async def _correct(self, environment: EnvironmentId) -> None:
        """Put back what somebody changed by hand, where the service's drift policy says so."""
        now = self.clock.now()
        with self.database.read() as connection:
            wanted = state.current(connection, environment).effective(now)
        if all(service.drift.mode != "reconcile" for service in wanted.services.values()):
            return
        after = corrected(wanted, await self.target.live(environment))
        if after is not None:
            _LOG.info("%s runs otherwise than it shall; it is put back", environment)
            await self.target.apply(environment, after, key=f"{environment}:drift:{now.isoformat()}")

    async def _hand_over(self, desired: DesiredState, key: str, digest: Digest) -> None:
        await self.engine.apply(desired, key=key)
        with self.database.begin() as connection:
            state.mark_actuated(connection, desired.environment, desired.version, digest)

    async def perform(self, record: OperationRecord) -> Lag | None:
        """Carry an accepted operation on as far as it goes now; None unless the target does not answer.

        One queue per operation: two callers never step the same one at once, and cancelling one waits for its step.
        """
        steered = record.target.partition("/")[2] if record.kind == "operation.cancel" else record.id
        async with self._locks[steered]:
            with self.database.read() as connection:
                newest = operations.find(connection, record.tenant, record.environment, record.id)
            if newest is None or newest.ended:
                return None
            try:
                progress = await self.operators[record.kind].step(newest)
            except Unavailable as error:
                return Lag(environment=record.environment, reason=str(error))
            except OpsmeshError as error:
                # What the operator refuses or cannot read again does not get better by repeating it.
                progress = Progress(status="failed", fraction=newest.progress.fraction, detail=str(error))
            with self.database.begin() as connection:
                operations.advance(connection, newest, progress)
        return None
