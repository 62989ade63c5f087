"""Undo correctness: after an undo every field that we wrote holds what it held before we wrote it."""

from collections.abc import Mapping

from sqlalchemy import select

from domain.commands import CommandRecord, FieldUndo, State
from domain.desired import DesiredState
from evals.episodes.played import Played
from evals.episodes.record import Grade
from evals.graders.base import share
from storage.tables.runtime import desired_versions


def undo(played: Played) -> Mapping[str, Grade]:
    """Return the share of fields, over all commands whose undo ended well or failed, that are exactly as they were."""
    undone = [r for r in played.ours() if r.state in {State.UNDONE, State.UNDO_FAILED}]
    found = [_restored(played, record, field) for record in undone for field in record.command.inverse.fields]
    held = [exact for exact in found if exact is not None]
    return {"undo_exact": share(sum(held), len(held), "fields restored")}


def _restored(played: Played, record: CommandRecord, field: FieldUndo) -> bool | None:
    """Tell whether the first document without our value holds the former one.

    None where ours never got there, or was the former one: a resize states memory and CPU where it changes one of them.
    """
    if field.written == field.restore:
        return None
    query = (
        select(desired_versions.c.document, desired_versions.c.at)
        .where(
            desired_versions.c.environment == record.command.environment,
            desired_versions.c.at >= record.command.proposed_at,
            desired_versions.c.at <= record.updated_at,
        )
        .order_by(desired_versions.c.version)
    )
    with played.simulated.mesh.parts.runtime_database.read() as connection:
        rows = list(connection.execute(query))
    values = [DesiredState.model_validate(row.document).value_at(field.path, row.at) for row in rows]
    held = [k for k, value in enumerate(values) if value == field.written]
    if not held:
        return None
    after = values[held[-1] + 1 :]
    return bool(after) and after[0] == field.restore
