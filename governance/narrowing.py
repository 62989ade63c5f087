"""How far a child command may go: a narrower one shows nothing that its parent did not, an undo restores and no more.

A narrowed number stays between what is and what the parent showed, an override lasts no longer, any other value is the
parent's; where values are masked or unknown, the arguments are.
"""

from collections.abc import Iterator
from datetime import datetime

from pydantic import JsonValue

from domain.changes import Patch, ResourceChange
from domain.commands import Command, FieldUndo


def widening(parent: Command, child: Command) -> str | None:
    """Return how a child goes beyond its parent, or None when it only narrows it."""
    for name in ("kind", "tenant", "environment", "target"):
        if getattr(parent, name) != getattr(child, name):
            return f"another {name}"
    for name in ("tenants", "environments", "resources", "failure_domains"):
        if extra := set(getattr(child.affected, name)) - set(getattr(parent.affected, name)):
            return f"further {name}: {', '.join(sorted(extra))}"
    if extra := sorted(_further(parent, child)):
        return f"further changes: {', '.join(extra)}"
    if extra := {patch.path for patch in child.patches} - {patch.path for patch in parent.patches}:
        return f"further fields: {', '.join(sorted('.'.join(path) for path in extra))}"
    if child.expires_at > parent.expires_at:
        return "a later expiry"
    return None


def beyond_inverse(parent: Command, child: Command) -> str | None:
    """Return what an undo would write besides the values that its parent's inverse says to restore."""
    planned = {field.path: field for field in parent.inverse.fields}
    if extra := {patch.path for patch in child.patches if not _restores(patch, planned.get(patch.path))}:
        return ", ".join(sorted(".".join(path) for path in extra))
    if (parent.environment, parent.target) != (child.environment, child.target):
        return f"{child.environment} {child.target.address}"
    return None


def _further(parent: Command, child: Command) -> Iterator[str]:
    """Yield the child's changes that its parent did not show or that go beyond what it showed."""
    shown = {(change.address, change.path): change for change in parent.preview}
    for change in child.preview:
        before = shown.get((change.address, change.path))
        hidden = (change.secret or change.unknown) and child.arguments != parent.arguments
        if before is None or hidden or not (_within(before, change) or _no_longer(parent, before, child, change)):
            yield f"{change.address} {change.path}"


def _within(shown: ResourceChange, change: ResourceChange) -> bool:
    if change.operation != shown.operation:
        return False
    if change.operation != "update" or change.after == shown.after:
        return True
    numbers = [_number(value) for value in (shown.before, shown.after, change.after)]
    if None in numbers:
        return False
    before, after, wanted = (number or 0.0 for number in numbers)
    return min(before, after) <= wanted <= max(before, after)


def _no_longer(parent: Command, shown: ResourceChange, child: Command, change: ResourceChange) -> bool:
    """An override's change shows when it ends: the child was planned later and may end as much later."""
    if not change.path.startswith("override."):
        return False
    ends, wanted = _instant(shown.after), _instant(change.after)
    return ends is not None and wanted is not None and wanted - child.proposed_at <= ends - parent.proposed_at


def _number(value: JsonValue) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _instant(value: JsonValue) -> datetime | None:
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _restores(patch: Patch, planned: FieldUndo | None) -> bool:
    """A field is set to its former value, or removed where it did not exist or our override ends."""
    if planned is None:
        return False
    if patch.op == "remove":
        return not planned.existed or patch.override_until is not None
    return patch.value == planned.restore
