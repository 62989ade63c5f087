"""A pack's own tests, as data: a small state, parameters, and what must come out. `packs verify` runs them.

Expectations are values by path, refusals by reason, and the digest of the whole rendered state.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from pydantic import Field, JsonValue, ValidationError

from domain.base import Digest, Frozen, Slug, digest_of
from domain.changes import Patch
from domain.desired import DesiredState, EnvironmentState, apply_patches, read_path
from domain.errors import Invalid, OpsmeshError
from domain.ids import CommandId, EnvironmentId, TenantId
from runtime.marketplace.content import Content
from runtime.marketplace.manifest import CASES, Manifest, Scalar
from runtime.marketplace.rendering import Setting, Wanted, chosen, rendered

_NEVER = datetime(2000, 1, 1, tzinfo=UTC)
"""No case holds overrides, so that no instant matters."""


class Case(Frozen):
    """One example of what the pack does."""

    name: str = Field(min_length=1, max_length=200)
    setting: Setting
    parameters: dict[Slug, Scalar] = Field(default_factory=dict[str, Scalar])
    expect: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue], max_length=50)
    """Values of the state afterwards, by slash-separated path."""
    unchanged: tuple[str, ...] = ()
    """Resources that must be as they were, `services/orders-db`."""
    refused: str | None = None
    """The reason with which it must be refused instead."""
    digest: Digest | None = None
    """Of the whole state afterwards."""


class _Cases(Frozen):
    cases: tuple[Case, ...] = Field(min_length=1, max_length=50)


def read_cases(raw: bytes) -> tuple[Case, ...]:
    """Return the tests. Raises Invalid for another form."""
    try:
        return _Cases.model_validate_json(raw).cases
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise Invalid(f"{CASES}: {where}: {first['msg']}", reason="pack_tests_invalid") from error


def failures(manifest: Manifest, content: Content, cases: Sequence[Case]) -> tuple[str, ...]:
    """Run a pack's tests; returns what did not come out as declared."""
    return tuple(f"{case.name}: {flaw}" for case in cases for flaw in _flaws(manifest, content, case))


def _flaws(manifest: Manifest, content: Content, case: Case) -> list[str]:
    try:
        wanted = rendered(content, chosen(manifest, case.parameters), case.setting)
        after = state_with(case.setting.state, wanted)
    except OpsmeshError as error:
        return [] if error.reason == case.refused else [f"refused ({error.reason}): {error}"]
    if case.refused is not None:
        return [f"was not refused ({case.refused})"]
    document: JsonValue = after.model_dump(mode="json")
    before: JsonValue = case.setting.state.model_dump(mode="json")
    found = [
        f"{path} is {read_path(document, path.split('/'))!r}, not {value!r}"
        for path, value in case.expect.items()
        if read_path(document, path.split("/")) != value
    ]
    found += [
        f"{path} changed"
        for path in case.unchanged
        if read_path(document, path.split("/")) != read_path(before, path.split("/"))
    ]
    if case.digest is not None and digest_of(after) != case.digest:
        found.append(f"the state's digest is {digest_of(after)}")
    return found


def state_with(state: EnvironmentState, wanted: Wanted) -> EnvironmentState:
    """Return the state with the fields written, checked like any patch. Raises Invalid."""
    here = DesiredState(environment=EnvironmentId("pack"), tenant=TenantId("pack"), version=1, base=state)
    patches = [Patch(op="set", path=path, value=value) for path, value in wanted.items()]
    return apply_patches(here, patches, command=CommandId("pack"), at=_NEVER).base
