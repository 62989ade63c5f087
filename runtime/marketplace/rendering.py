"""Rendering: rules, parameters and a tenant's state give the fields that shall be written. Pure, without any effect.

Only the resources handed in exist for a pack: naming another one is refused, whoever owns it.
"""

from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from domain.base import Frozen, Slug
from domain.changes import PatchPath
from domain.desired import EnvironmentState, field_owner, read_path
from domain.errors import Invalid, NotFound
from domain.tenancy import RuntimeTenantBinding
from domain.topology import Topology
from runtime.marketplace.content import Content, Rule, Section, Select, filled, references
from runtime.marketplace.manifest import Manifest, Scalar

Wanted = dict[PatchPath, JsonValue]
"""The value each field shall have, fields that hold it already included."""


class Subject(Frozen):
    """One resource a rule may select."""

    section: Section
    name: Slug
    archetype: str = "database"
    tier: int = 2


class Setting(Frozen):
    """A tenant's own part of an environment: what a pack is rendered for."""

    state: EnvironmentState
    subjects: tuple[Subject, ...]
    facts: dict[str, str | None]
    allowed_regions: tuple[str, ...]


def setting_of(state: EnvironmentState, own: Topology, binding: RuntimeTenantBinding) -> Setting:
    """Return the setting of one tenant; `state` and `own` hold its own resources only."""
    services = [
        Subject(section="services", name=s.id, archetype=s.archetype, tier=s.tier)
        for s in own.services
        if s.id in state.services
    ]
    tiers = {s.id: s.tier for s in own.services}
    stores = [Subject(section="data_stores", name=name, tier=tiers.get(name, 2)) for name in state.data_stores]
    return Setting(
        state=state,
        subjects=(*services, *stores),
        facts={"primary_region": binding.primary_region, "paired_region": binding.paired_region},
        allowed_regions=binding.residency.allowed_regions,
    )


def chosen(manifest: Manifest, given: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Return every parameter's value, defaults where none is given. Raises Invalid outside the schema."""
    if unknown := set(given) - set(manifest.parameters):
        raise Invalid(f"no such parameter: {', '.join(sorted(unknown))}", reason="pack_parameters_invalid")
    values = {name: given.get(name, parameter.default) for name, parameter in manifest.parameters.items()}
    for name, value in values.items():
        if not manifest.parameters[name].accepts(value):
            raise Invalid(f"{name} may not be {value!r}", reason="pack_parameters_invalid")
    return values


def rendered(content: Content, values: Mapping[str, Scalar], setting: Setting) -> Wanted:
    """Return what every selected field shall be; a later rule wins. Raises Invalid, NotFound for a foreign name."""
    known: dict[str, JsonValue] = {**values, **setting.facts}
    document: JsonValue = setting.state.model_dump(mode="json")
    wanted: Wanted = {}
    for rule in content.rules:
        _check_facts(rule, setting)
        for subject in _selected(rule, known, setting.subjects):
            for path, value in _fields(rule, known):
                where = (subject.section, subject.name, *path)
                if _writable(setting.state, document, where):
                    held = wanted.get(where, read_path(document, where))
                    wanted[where] = _bounded(rule, ".".join(path), held, value)
    return wanted


def _check_facts(rule: Rule, setting: Setting) -> None:
    for name in set(references(rule.model_dump(mode="json"))) & set(setting.facts):
        region = setting.facts[name]
        if region is None:
            raise Invalid(f"the binding has no {name.replace('_', ' ')}", reason="pack_fact_missing")
        if region not in setting.allowed_regions:
            raise Invalid(f"{region} is outside the tenant's residency", reason="residency")


def _fields(rule: Rule, known: Mapping[str, JsonValue]) -> list[tuple[tuple[str, ...], JsonValue]]:
    given = {**rule.set, **rule.at_least, **rule.at_most}
    return [(tuple(path.split(".")), filled(value, known)) for path, value in given.items()]


def _writable(state: EnvironmentState, document: JsonValue, path: PatchPath) -> bool:
    """A policy that is not there has no fields to set, and what another policy owns is not ours."""
    return isinstance(read_path(document, path[:-1]), Mapping) and field_owner(state, path) is None


def _bounded(rule: Rule, path: str, held: JsonValue, value: JsonValue) -> JsonValue:
    if path in rule.set or not isinstance(held, int | float) or not isinstance(value, int | float):
        return value
    return max(held, value) if path in rule.at_least else min(held, value)


def _selected(rule: Rule, known: Mapping[str, JsonValue], subjects: Sequence[Subject]) -> list[Subject]:
    there = [s for s in subjects if s.section == rule.section]
    names = _names(rule.select, known)
    if missing := set(names) - {s.name for s in there}:
        raise NotFound(f"no such resource of the tenant: {', '.join(sorted(missing))}", reason="pack_out_of_scope")
    return [
        s
        for s in there
        if (not names or s.name in names)
        and (not rule.select.archetypes or s.archetype in rule.select.archetypes)
        and (not rule.select.tiers or s.tier in rule.select.tiers)
    ]


def _names(select: Select, known: Mapping[str, JsonValue]) -> tuple[str, ...]:
    if isinstance(select.names, tuple):
        return select.names
    text = filled(select.names, known)
    return tuple(part for part in str(text).split(",") if part)
