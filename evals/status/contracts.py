"""Rows about contracts: what went out is held to by what is published now, and by a judge that would notice a break."""

import json
import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path

from pydantic import JsonValue

from domain.schema import schemas
from evals.compatibility import Schema, broken_api, broken_events
from evals.service_cases import Case, Check, Measured
from evals.status.door import desk, embedded
from mesh.serving import application

PUBLISHED = Path(__file__).parents[2] / "tests" / "contract" / "golden" / "published"
_VERSION = re.compile(r"\.v\d+$")
Change = Callable[[dict[str, JsonValue]], None]


def _went_out(name: str) -> dict[str, JsonValue]:
    found: dict[str, JsonValue] = json.loads((PUBLISHED / f"{name}.json").read_text(encoding="utf-8"))
    return found


def _changed(schema: JsonValue, change: Change) -> dict[str, JsonValue]:
    new: dict[str, JsonValue] = deepcopy(schema) if isinstance(schema, dict) else {}
    change(new)
    return new


def _drop(schema: dict[str, JsonValue]) -> None:
    """Take away the first field that a reader may count on."""
    properties, required = schema.get("properties"), schema.get("required")
    if isinstance(properties, dict) and isinstance(required, list):
        properties.pop(str(required[0]))


def _add(schema: dict[str, JsonValue]) -> None:
    """Tell one thing more, which nobody has to."""
    properties = schema.get("properties")
    if isinstance(properties, dict):
        properties["said_since"] = {"type": "string"}


def _suffixed(name: str) -> str:
    """Return the name of the next version."""
    stem, _, number = name.rpartition(".v")
    return f"{stem}.v{int(number) + 1}"


def _refused(old: Schema, change: Change, *, suffix: bool = False) -> float:
    """Return the share of event types of which the changed form is refused, in place of the old or beside it."""
    refused = 0
    for name, schema in old.items():
        new = {**old, (_suffixed(name) if suffix else name): _changed(schema, change)}
        refused += bool(broken_events(old, new))
    return refused / len(old)


async def _stable(home: Path, events: Mapping[str, JsonValue], break_it: Change) -> Measured:
    old = _went_out("events")
    async with desk(home) as at:
        apis = {"api": application(at.held.mesh).openapi(), "runtime": embedded(at.held.mesh).app.openapi()}
    broken = broken_events(old, events)
    for name, document in apis.items():
        broken += broken_api(_went_out(name), document)
    newer = _refused(old, break_it, suffix=True)
    return Measured(
        checks=(
            Check(name="breaks of what went out", value=len(broken), bound=0),
            Check(name="breaking changes refused, share", value=_refused(old, break_it), bound=1),
            Check(name="breaking changes refused under a new version", value=newer, bound=0),
            Check(name="event types without a version", value=sum(_VERSION.search(n) is None for n in events), bound=0),
            Check(name="additions refused", value=_refused(old, _add), bound=0),
        ),
        figures={"event_types": len(old), "paths": sum(len(document["paths"]) for document in apis.values())},
        reference="the contracts as they went out",
    )  # fmt: skip


def _now() -> dict[str, JsonValue]:
    return {name: dict(schema) for name, schema in schemas().items() if name.startswith("event:")}


async def _held(_seed: int, home: Path) -> Measured:
    return await _stable(home, _now(), _drop)


async def _dropped(_seed: int, home: Path) -> Measured:
    now = _now()
    first = next(iter(now))
    return await _stable(home, now | {first: _changed(now[first], _drop)}, _drop)


STABLE = Case(
    "contracts", "status", "what went out is kept, a break needs a new version, an addition does not", _held, _dropped,
    "one event lost a field under its old version",
)  # fmt: skip
