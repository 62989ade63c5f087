"""Is a command still what was decided: its preview made afresh, and the subtrees it relies on read again.

A patch is previewed as it stands, with its own instants; an operation is planned again from its proposal.
"""

from datetime import datetime
from typing import Protocol

from domain.changes import Precondition, ResourceChange
from domain.commands import Command, Proposal
from domain.ids import TenantId
from domain.ports import Action, PatchPlanner, RuntimeReader


class Reader(PatchPlanner, RuntimeReader, Protocol):
    """Reads desired state and previews patches."""


class ReaderFor(Protocol):
    """Gives a tenant's reader."""

    def __call__(self, tenant: TenantId) -> Reader: ...


async def current_of(
    command: Command, action: Action, reader_for: ReaderFor, *, at: datetime
) -> tuple[tuple[ResourceChange, ...], tuple[Precondition, ...]]:
    """Return the fresh preview and the preconditions with their digests as they are now."""
    reader = reader_for(command.tenant)
    if command.patches:
        preview = await reader.dry_run(command.environment, command.patches)
        preconditions = command.preconditions
    elif command.role == "undo":
        return command.preview, command.preconditions
    else:
        fields = set(Proposal.model_fields) - {"evidence_digest"}
        plan = await action.plan(Proposal.model_validate(command.model_dump(include=fields)), at=at)
        preview, preconditions = plan.preview, plan.preconditions
    desired = await reader.desired(command.environment)
    fresh = tuple(p.model_copy(update={"digest": desired.subtree_digest(p.path, at)}) for p in preconditions)
    return preview, fresh
