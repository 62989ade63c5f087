"""What a pack wants, as data: rules that say which resources and which fields, with parameters in their values.

There is no code and no expression: a text that is exactly `${name}` stands for a parameter or a fact of the tenant's
binding. Each kind of pack may write only the fields of its trade.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Literal, Self

from pydantic import Field, JsonValue, ValidationError, model_validator

from domain.base import Frozen, Slug
from domain.errors import Invalid, Refused
from runtime.marketplace.manifest import CONTENT, Kind, Manifest

Section = Literal["services", "data_stores"]
FACTS = frozenset({"primary_region", "paired_region"})
"""What a rule may ask of the binding."""
_REFERENCE = re.compile(r"\$\{([a-z][a-z0-9_]*)\}", re.ASCII)
_POLICIES = frozenset({"scaling", "health", "drift", "traffic"})
FIELDS: dict[Kind, dict[Section, frozenset[str]]] = {
    "topology_blueprint": {
        "services": _POLICIES | {"replicas", "zone_spread", "ingress_from"},
        "data_stores": frozenset({"encrypted_at_rest", "backup_retention_days", "replica_region"}),
    },
    "scaling_policy": {"services": frozenset({"scaling"})},
    "health_drift_policy": {"services": frozenset({"health", "drift"})},
    "add_on": {"services": frozenset({"cdn", "waf", "cache_tier"})},
}
"""Fields of a resource that packs of a kind may write, with what lies below them."""


class Select(Frozen):
    """Which of the tenant's own resources; what is empty narrows nothing."""

    names: tuple[Slug, ...] | str = ()
    """Names, or one parameter that holds them separated by commas; empty text is every resource."""
    archetypes: tuple[str, ...] = ()
    tiers: tuple[int, ...] = ()


Fields = dict[str, JsonValue]


class Rule(Frozen):
    """Fields by dotted path for some resources. A floor or cap leaves alone what is already beyond it."""

    section: Section
    select: Select = Select()
    set: Fields = Field(default_factory=dict[str, JsonValue], max_length=20)
    at_least: Fields = Field(default_factory=dict[str, JsonValue], max_length=20)
    at_most: Fields = Field(default_factory=dict[str, JsonValue], max_length=20)
    why: str = Field(min_length=1, max_length=500)

    @model_validator(mode="after")
    def _writes(self) -> Self:
        paths = [*self.set, *self.at_least, *self.at_most]
        if not paths or len(set(paths)) != len(paths):
            msg = "a rule writes at least one field, and each of them once"
            raise ValueError(msg)
        return self

    def paths(self) -> Iterator[str]:
        """Yield every field it writes."""
        yield from (*self.set, *self.at_least, *self.at_most)


class Content(Frozen):
    """All rules of a pack, in the order in which they apply."""

    rules: tuple[Rule, ...] = Field(min_length=1, max_length=50)


def read_content(raw: bytes, manifest: Manifest) -> Content:
    """Return the rules. Raises Invalid for another form, Refused for fields that are not of the pack's kind."""
    try:
        content = Content.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise Invalid(f"{CONTENT}: {where}: {first['msg']}", reason="pack_content_invalid") from error
    allowed = FIELDS[manifest.kind]
    for rule in content.rules:
        for path in rule.paths():
            if path.partition(".")[0] not in allowed.get(rule.section, frozenset()):
                raise Refused(
                    f"a pack of kind {manifest.kind} may not write {path} of {rule.section}",
                    reason="pack_kind_mismatch",
                )
    _check_references(content, manifest)
    return content


def _check_references(content: Content, manifest: Manifest) -> None:
    used = set(references(content.model_dump(mode="json")))
    if unknown := used - set(manifest.parameters) - FACTS:
        raise Invalid(f"no such parameter: {', '.join(sorted(unknown))}", reason="pack_content_invalid")
    if idle := set(manifest.parameters) - used:
        raise Invalid(f"parameters nothing uses: {', '.join(sorted(idle))}", reason="pack_content_invalid")


def references(value: JsonValue) -> Iterator[str]:
    """Yield the name of every reference in a value, keys included."""
    match value:
        case str() if found := _REFERENCE.fullmatch(value):
            yield found[1]
        case Mapping():
            for key, item in value.items():
                yield from references(key)
                yield from references(item)
        case list():
            for item in value:
                yield from references(item)
        case _:
            return


def filled(value: JsonValue, values: Mapping[str, JsonValue]) -> JsonValue:
    """Return the value with every reference replaced. Raises Invalid for a key that is no text."""
    match value:
        case str() if found := _REFERENCE.fullmatch(value):
            return values[found[1]]
        case Mapping():
            return {_key(key, values): filled(item, values) for key, item in value.items()}
        case list():
            return [filled(item, values) for item in value]
        case _:
            return value


def _key(key: str, values: Mapping[str, JsonValue]) -> str:
    name = filled(key, values)
    if not isinstance(name, str):
        raise Invalid(f"{key} must be a text to stand as a name", reason="pack_parameters_invalid")
    return name
