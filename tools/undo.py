"""Taking back what was written: remembered per field before, restored per field after, never more than we wrote.

A field that no longer holds our value belongs to whoever changed it since: that is a conflict, and a person decides.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import JsonValue

from domain.base import digest_of
from domain.changes import Patch, PatchPath, Precondition
from domain.commands import Command, FieldUndo
from domain.desired import DesiredState, Override, read_path
from domain.errors import Conflict


def inverse_of(desired: DesiredState, patch: Patch, at: datetime) -> FieldUndo:
    """Return how to take the patch back. Raises Conflict where a lasting write would end another's override."""
    held = _override(desired, patch.path, at)
    if held is not None and patch.override_until is None:
        raise Conflict(f"{'.'.join(patch.path)} is overridden until {held.expires_at:%H:%M}", reason="overridden")
    base = desired.base.model_dump(mode="json")
    return FieldUndo(
        path=patch.path,
        written=patch.value,
        restore=held.value if held else read_path(base, patch.path),
        existed=_exists(base, patch.path),
        restore_until=held.expires_at if held else None,
    )


def preconditions_of(desired: DesiredState, patches: Sequence[Patch], at: datetime) -> tuple[Precondition, ...]:
    """Return the digests of exactly the subtrees the patches touch."""
    return tuple(
        Precondition(scope="desired", path=patch.path, digest=digest_of(desired.value_at(patch.path, at)))
        for patch in patches
    )


def restoring(
    desired: DesiredState, command: Command, written: Patch, field: FieldUndo, at: datetime
) -> tuple[Patch, ...]:
    """Return the patch that takes one write back, none where nothing is left of it. Raises Conflict."""
    if written.override_until is not None:
        return _end_override(desired, command, written, field, at)
    base = desired.base.model_dump(mode="json")
    now = read_path(base, field.path)
    if now == field.restore and _exists(base, field.path) == field.existed:
        return ()
    if now != field.written or _override(desired, field.path, at) is not None:
        raise Conflict(f"{'.'.join(field.path)} was changed since: nothing was taken back", reason="field_changed")
    if not field.existed:
        return (Patch(op="remove", path=field.path),)
    return (Patch(op="set", path=field.path, value=field.restore),)


def _end_override(
    desired: DesiredState, command: Command, written: Patch, field: FieldUndo, at: datetime
) -> tuple[Patch, ...]:
    held = _override(desired, field.path, at)
    if held is None:
        return ()
    if held.command != command.id or held.value != field.written:
        raise Conflict(f"{'.'.join(field.path)} was overridden by another command since", reason="field_changed")
    if field.restore_until is not None and field.restore_until > at:
        until = field.restore_until.isoformat()
        return (Patch(op="set", path=field.path, value=field.restore, override_until=until),)
    return (Patch(op="remove", path=field.path, override_until=written.override_until),)


def _override(desired: DesiredState, path: PatchPath, at: datetime) -> Override | None:
    return next((o for o in desired.overrides if o.path == path and o.expires_at > at), None)


def _exists(document: JsonValue, path: PatchPath) -> bool:
    parent = read_path(document, path[:-1])
    return isinstance(parent, Mapping) and path[-1] in parent
