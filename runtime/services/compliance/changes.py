"""A state as a list of resource changes would leave it, so that a preview is judged before its effect."""

from collections.abc import Iterable, Sequence

from pydantic import JsonValue, ValidationError

from domain.changes import ResourceChange
from domain.desired import EnvironmentState
from domain.errors import Invalid
from runtime.differences import SECTIONS

_SECTION = {kind: section for section, kind in SECTIONS}
_MAPS = (("config",), ("traffic", "region_weights"))
"""Fields keyed by names that may have dots in them."""
_LASTING = frozenset({"create", "update", "delete", "replace"})


def after_changes(
    state: EnvironmentState, changes: Sequence[ResourceChange]
) -> tuple[EnvironmentState, frozenset[str]]:
    """Return the state after the changes and the addresses whose values are masked or not known before the effect.

    Operations without lasting state and the ends of overrides change nothing here. Raises Invalid for a resource that
    no state document holds, or values that do not fit it.
    """
    document: dict[str, dict[str, JsonValue]] = state.model_dump(mode="json")
    lasting = [c for c in changes if c.operation in _LASTING and not c.path.startswith("override.")]
    hidden = [c for c in lasting if c.unknown or c.secret]
    for change in lasting:
        if change not in hidden:
            _apply(document, change)
    try:
        return EnvironmentState.model_validate(document), frozenset(c.address for c in hidden)
    except ValidationError as error:
        raise Invalid("a change does not fit the state it changes", reason="change_invalid") from error


def _apply(document: dict[str, dict[str, JsonValue]], change: ResourceChange) -> None:
    kind, _, name = change.address.partition("/")
    if kind not in _SECTION:
        raise Invalid(f"no state document holds a {kind}", reason="change_invalid")
    section = document[_SECTION[kind]]
    if change.operation == "delete" and not change.path:
        section.pop(name, None)
        return
    _set(section, (name, *_keys(change.path)), change.after)


def _set(node: JsonValue, keys: Sequence[str], value: JsonValue) -> None:
    *before, last = keys
    for key in before:
        node = node.get(key) if isinstance(node, dict) else None
    if not isinstance(node, dict):
        raise Invalid("a change is to something that is not there", reason="change_invalid")
    if value is None and _is_map(keys[1:-1]):
        node.pop(last, None)
    else:
        node[last] = value


def _keys(path: str) -> tuple[str, ...]:
    for prefix in _MAPS:
        start = ".".join(prefix) + "."
        if path.startswith(start):
            return (*prefix, path.removeprefix(start))
    return tuple(path.split(".")) if path else ()


def _is_map(keys: Iterable[str]) -> bool:
    return tuple(keys) in _MAPS
