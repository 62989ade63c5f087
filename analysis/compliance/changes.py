"""A list of resource changes, judged before its effect: the state it leads to, and which controls it would break."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pydantic import JsonValue, ValidationError

from analysis.compliance.estate import Estate
from analysis.compliance.judging import judge
from domain.changes import CONTENT, ResourceChange
from domain.compliance import ComplianceFinding, ControlSet, Waiver
from domain.desired import SECTIONS, EnvironmentState
from domain.errors import Invalid

_SECTION = {kind: section for section, kind in SECTIONS}
_MAPS = (("config",), ("traffic", "region_weights"))
"""Fields keyed by names that may have dots in them."""
_UNJUDGED = ("override.", "packs.", CONTENT)
"""Bookkeeping: when an override ends, and what a pack wrote. The fields themselves are changes of their own. And what
lies in a thing, which its document does not hold."""
_LASTING = frozenset({"create", "update", "delete", "replace"})


def violations(
    before: Estate, changes: Sequence[ResourceChange], controls: ControlSet, waivers: Sequence[Waiver] = ()
) -> tuple[str, ...]:
    """Return what the changes would break, as `control on resource`: what no longer passes, or fails otherwise.

    What fails as it failed before is not the changes' doing; what fails in fewer places is on the way to be met.
    Raises Invalid as after_changes does.
    """
    state, hidden = after_changes(before.state, changes)
    after = replace(before, state=state, unsettled=hidden)
    touched = {c.address for c in changes}
    was = _by_place(before, controls, waivers, touched)
    now = _by_place(after, controls, waivers, touched)
    broken = [
        f"{f.control} on {f.resource}" for place, f in now.items() if not f.passed and not _stood(f, was.get(place))
    ]
    return tuple(sorted(broken))


def after_changes(
    state: EnvironmentState, changes: Sequence[ResourceChange]
) -> tuple[EnvironmentState, frozenset[str]]:
    """Return the state after the changes and the addresses whose values are masked or not known before the effect.

    Operations without lasting state, the ends of overrides and things that no state document holds change nothing
    here. Raises Invalid for a field of a resource that is not there, or values that do not fit it.
    """
    document: dict[str, dict[str, JsonValue]] = state.model_dump(mode="json")
    lasting = [c for c in changes if c.operation in _LASTING and not c.path.startswith(_UNJUDGED)]
    hidden = [c for c in lasting if c.unknown or c.secret]
    for change in lasting:
        if change not in hidden:
            _apply(document, change)
    try:
        return EnvironmentState.model_validate(document), frozenset(c.address for c in hidden)
    except ValidationError as error:
        raise Invalid("a change does not fit the state it changes", reason="change_invalid") from error


def _by_place(
    estate: Estate, controls: ControlSet, waivers: Sequence[Waiver], touched: set[str]
) -> dict[tuple[str, str], ComplianceFinding]:
    found = judge(estate, controls.controls, waivers=waivers, only=touched)
    return {(f.control, f.resource): f for posture in found for f in posture.findings}


def _stood(now: ComplianceFinding, was: ComplianceFinding | None) -> bool:
    if was is None or was.passed or was.status != now.status:
        return False
    return all(fact in was.evidence for fact in now.evidence)


def _apply(document: dict[str, dict[str, JsonValue]], change: ResourceChange) -> None:
    kind, _, name = change.address.partition("/")
    section = next((document[s] for k, s in _SECTION.items() if k == kind), None)
    if section is None:
        return
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
