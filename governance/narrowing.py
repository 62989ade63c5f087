"""What makes a child command narrower than its parent: it touches nothing that the parent did not show."""

from domain.commands import Command


def widening(parent: Command, child: Command) -> str | None:
    """Return how a child goes beyond its parent, or None when it only narrows it."""
    for name in ("kind", "tenant", "environment", "target"):
        if getattr(parent, name) != getattr(child, name):
            return f"another {name}"
    for name in ("tenants", "environments", "resources", "failure_domains"):
        if extra := set(getattr(child.affected, name)) - set(getattr(parent.affected, name)):
            return f"further {name}: {', '.join(sorted(extra))}"
    shown = {(change.address, change.path) for change in parent.preview}
    if extra := {(change.address, change.path) for change in child.preview} - shown:
        return f"further changes: {', '.join(sorted(f'{address} {path}' for address, path in extra))}"
    if extra := {patch.path for patch in child.patches} - {patch.path for patch in parent.patches}:
        return f"further fields: {', '.join(sorted('.'.join(path) for path in extra))}"
    if child.expires_at > parent.expires_at:
        return "a later expiry"
    return None
