"""Writes worked out but not committed: what they change, which resources they touch, and how to commit them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from domain.changes import Patch, ResourceChange
from domain.decisions import GrantClaims
from domain.desired import DesiredState, apply_patches
from domain.ids import CommandId
from domain.outcomes import EffectReceipt
from domain.ports import Engine
from domain.runtime_api import OperationRecord
from runtime import operations, state
from runtime.differences import address_of, override_changes
from runtime.meaning import Meaning
from runtime.writes import Write

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


async def draft_patches(
    desired: DesiredState, patches: Sequence[Patch], write: Write, engine: Engine, at: datetime
) -> Draft:
    """Work out a write of desired-state fields. Raises Invalid when the patches do not fit."""
    after = apply_patches(desired, patches, command=_NOBODY, at=at)
    changes = await engine.preview(desired.effective(at), after.effective(at))

    def commit(connection: Connection, grant: GrantClaims) -> EffectReceipt:
        result = apply_patches(desired, patches, command=grant.command, at=at)
        state.append(connection, result, actor=write.principal, key=grant.idempotency_key, at=at)
        return EffectReceipt(idempotency_key=grant.idempotency_key, status="applied", version=result.version)

    return Draft(
        desired=desired,
        changes=(*changes, *override_changes(desired, after, at)),
        resources=tuple(sorted({address_of(patch.path) for patch in patches})),
        commit=commit,
    )


def draft_operation(desired: DesiredState, meaning: Meaning, write: Write, operation: str, at: datetime) -> Draft:
    """Work out an operation: a restart of a service, or a ticket."""
    ticket = meaning.kind == "ticket.open"
    arguments = {k: v for k, v in meaning.arguments.items() if k != "service"}
    change = (
        ResourceChange(address=f"environment/{write.environment}", operation="create", path="tickets", after=arguments)
        if ticket
        else ResourceChange(address=meaning.target.address, operation="run", path="restart", after=arguments)
    )

    def commit(connection: Connection, grant: GrantClaims) -> EffectReceipt:
        record = OperationRecord(
            id=operation,
            tenant=grant.tenant,
            environment=grant.environment,
            idempotency_key=grant.idempotency_key,
            kind="ticket" if ticket else "restart",
            target=meaning.target.address,
            arguments=arguments,
            actor=write.principal,
            accepted_at=at,
            done=ticket,
        )
        operations.add(connection, record)
        return EffectReceipt(idempotency_key=grant.idempotency_key, status="applied", operation=operation)

    # Tickets do not exclude each other; two restarts of one service do.
    resource = f"ticket/{write.key}" if ticket else meaning.target.address
    return Draft(desired=desired, changes=(change,), resources=(resource,), commit=commit)
