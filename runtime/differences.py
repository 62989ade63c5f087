"""What changes between two states of an environment, field by field: the form of every embedded preview.

Fields are compared as JSON leaves, so a preview names exactly what is written and nothing that stays.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from pydantic import JsonValue

from domain.base import digest_of
from domain.changes import PatchPath, ResourceChange
from domain.desired import SECTIONS, DesiredState, EnvironmentState, read_path
from domain.topology import EntityKind

_KIND: dict[str, EntityKind] = dict(SECTIONS)


def address_of(path: Sequence[str]) -> str:
    """Return the address of the resource a path lies in: ("services", "a", "version") is `service/a`."""
    return f"{_KIND[path[0]]}/{path[1]}"


def state_changes(before: EnvironmentState, after: EnvironmentState) -> tuple[ResourceChange, ...]:
    """Return every field that differs, by address and path."""
    old, new = before.model_dump(mode="json"), after.model_dump(mode="json")
    return tuple(
        change
        for section, kind in SECTIONS
        for name in sorted({*old[section], *new[section]})
        for change in _resource(f"{kind}/{name}", old[section].get(name), new[section].get(name))
    )


def reassertions(
    before: EnvironmentState, after: EnvironmentState, live: EnvironmentState, paths: Sequence[PatchPath]
) -> tuple[ResourceChange, ...]:
    """Return what writing the values that already shall be makes of what runs otherwise, field by field."""
    old, new, runs = (s.model_dump(mode="json") for s in (before, after, live))
    return tuple(
        ResourceChange(
            address=address_of(path), operation="update", path=".".join(leaf[2:]), before=read_path(runs, leaf),
            after=value,
        )
        for path in dict.fromkeys(paths)
        if read_path(runs, path[:2]) is not None and read_path(old, path) == read_path(new, path)
        for leaf, value in _leaves(path, read_path(runs, path), read_path(new, path))
    )  # fmt: skip


def override_changes(before: DesiredState, after: DesiredState, at: datetime) -> tuple[ResourceChange, ...]:
    """Return the overrides begun or ended: a preview also says until when a temporary value holds."""
    old = {o.path: o for o in before.overrides if o.expires_at > at}
    new = {o.path: o for o in after.overrides if o.expires_at > at}
    return tuple(
        ResourceChange(
            address=address_of(path),
            operation="update",
            path=".".join(("override", *path[2:])),
            before=old[path].expires_at.isoformat() if path in old else None,
            after=new[path].expires_at.isoformat() if path in new else None,
        )
        for path in sorted({*old, *new})
        if old.get(path) != new.get(path)
    )


def _resource(address: str, old: JsonValue, new: JsonValue) -> Iterator[ResourceChange]:
    if old is None:
        yield ResourceChange(address=address, operation="create", after=new)
    elif new is None:
        yield ResourceChange(address=address, operation="delete", before=old)
    else:
        for path, value in _leaves((), old, new):
            yield ResourceChange(
                address=address, operation="update", path=".".join(path), before=read_path(old, path), after=value
            )


def _leaves(path: tuple[str, ...], old: JsonValue, new: JsonValue) -> Iterator[tuple[tuple[str, ...], JsonValue]]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            yield from _leaves((*path, key), old.get(key), new.get(key))
    elif digest_of(old) != digest_of(new):
        yield path, new
