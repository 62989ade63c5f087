"""Writes worked out but not committed: what they change, which resources they touch, and how to commit them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from domain.changes import Patch, ResourceChange
from domain.decisions import GrantClaims
from domain.desired import DesiredState, EnvironmentState, apply_patches
from domain.ids import CommandId, EnvironmentId
from domain.outcomes import EffectReceipt
from domain.ports import Engine
from domain.runtime_api import OperationRecord, Progress
from runtime import operations, state
from runtime.differences import address_of, override_changes, reassertions
from runtime.ports import Asked, OperationPlan
from runtime.writes import Write

Live = Callable[[EnvironmentId], Awaitable[EnvironmentState]]
"""Reads what runs in an environment."""
_NOBODY = CommandId("undecided")
"""Owner of overrides in a preview; the committed ones are owned by the grant's command."""


@dataclass(frozen=True, slots=True)
class Draft:
    """One write against one version of the document."""

    desired: DesiredState
    changes: tuple[ResourceChange, ...]
    resources: tuple[str, ...]
    """What fencing numbers are kept for."""
    commit: Callable[[Connection, GrantClaims], EffectReceipt]


async def draft_patches(  # what a write is worked out from
    desired: DesiredState, patches: Sequence[Patch], write: Write, engine: Engine, live: Live, at: datetime
) -> Draft:
    """Work out a write of desired-state fields. Raises Invalid when the patches do not fit.

    A value written again over the same value changes what runs where that drifted: the new version makes it follow.
    """
    after = apply_patches(desired, patches, command=_NOBODY, at=at)
    old, new = desired.effective(at), after.effective(at)
    changes = (*await engine.preview(old, new), *override_changes(desired, after, at))
    if not changes:
        changes = reassertions(old, new, await live(desired.environment), [patch.path for patch in patches])

    def commit(connection: Connection, grant: GrantClaims) -> EffectReceipt:
        result = apply_patches(desired, patches, command=grant.command, at=at)
        state.append(connection, result, actor=write.principal, key=grant.idempotency_key, at=at)
        return EffectReceipt(idempotency_key=grant.idempotency_key, status="applied", version=result.version)

    return Draft(
        desired=desired,
        changes=changes,
        resources=tuple(sorted({address_of(patch.path) for patch in patches})),
        commit=commit,
    )


def draft_operation(asked: Asked, plan: OperationPlan, write: Write, operation: str) -> Draft:
    """Frame an operation's plan as a write of one record."""

    def commit(connection: Connection, grant: GrantClaims) -> EffectReceipt:
        record = OperationRecord(
            id=operation,
            tenant=grant.tenant,
            environment=grant.environment,
            idempotency_key=grant.idempotency_key,
            kind=asked.meaning.kind,
            target=asked.meaning.target.address,
            arguments=asked.meaning.arguments,
            actor=write.principal,
            accepted_at=asked.at,
            progress=Progress(status="accepted", fraction=0.0),
        )
        operations.add(connection, record)
        return EffectReceipt(idempotency_key=grant.idempotency_key, status="applied", operation=operation)

    return Draft(desired=asked.desired, changes=plan.changes, resources=plan.resources, commit=commit)
