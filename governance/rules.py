"""The one adapter of Cedar: policy files in, verdicts with the rules that determined them out.

Files are parsed once into reusable handles. A set that does not parse, does not fit the schema or leaves a rule without
id and reason has a `fault` and permits nothing; so does any evaluation error. Cedar skips a `forbid` that errors and
would allow the request: here an error of any rule refuses it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import cedarpy
from pydantic import BaseModel, Field, JsonValue

from domain.base import Digest, digest_of
from domain.principals import PrincipalKind

Question = Literal["propose", "run_unattended", "approve"]
_CEDAR_ERRORS = (ValueError, TypeError, KeyError, OverflowError, RuntimeError)
"""What the binding raises on input it cannot take."""
_ENTITY = {"person": "Person", "service": "Service", "agent": "Agent"}


@dataclass(frozen=True, slots=True)
class Rule:
    """One policy as people read it: its annotations and the facts its condition asks about."""

    id: str
    effect: Literal["permit", "forbid"]
    reason: str
    quorum: int = 1
    roles: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to one question. A `fault` is never an allow."""

    allowed: bool
    rules: tuple[Rule, ...] = ()
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Handles:
    """Cedar's parsed forms, kept between calls."""

    policies: cedarpy.PolicySet
    schema: cedarpy.Schema
    entities: cedarpy.Entities
    by_policy: Mapping[str, Rule] = field(default_factory=dict[str, Rule])


class Rules:
    """A compiled policy set. Construction never raises; see `fault`."""

    def __init__(self, files: Mapping[str, str], schema: str) -> None:
        self.files = dict(sorted(files.items()))
        self.schema = schema
        self.digest: Digest = digest_of({"files": dict(self.files), "schema": schema})
        self.fault = ""
        self._handles: Handles | None = None
        try:
            self._handles = _compile("\n".join(t for n, t in self.files.items() if n.endswith(".cedar")), schema)
        except _CEDAR_ERRORS as error:
            self.fault = f"the policy set cannot be used: {error}"

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Every rule, by id; none when the set has a fault."""
        found = self._handles.by_policy.values() if self._handles else ()
        return tuple(sorted(found, key=lambda rule: rule.id))

    def ask(self, question: Question, who: tuple[PrincipalKind, str], context: str) -> Verdict:
        """Evaluate every rule once over a JSON context. Anything but a clean answer is a fault."""
        if self._handles is None:
            return Verdict(allowed=False, fault=self.fault)
        request = {
            "principal": {"type": _ENTITY[who[0]], "id": who[1]},
            "action": {"type": "Action", "id": question},
            "resource": {"type": "Command", "id": "this"},
            "context": context,
        }
        try:
            # never verbose=True: it prints every request
            result = cedarpy.is_authorized(  # pyright: ignore[reportUnknownMemberType] # annotated with a bare dict
                request, self._handles.policies, self._handles.entities, self._handles.schema
            )
            return _verdict(result, self._handles)
        except _CEDAR_ERRORS as error:
            return Verdict(allowed=False, fault=f"the policies could not be evaluated: {error}")


def _verdict(result: cedarpy.AuthzResult, handles: Handles) -> Verdict:
    errors = result.diagnostics.errors
    if errors or result.decision is cedarpy.Decision.NoDecision:
        detail = "; ".join(errors) or "no decision"
        return Verdict(allowed=False, fault=f"the policies could not be evaluated: {detail}")
    rules = sorted((handles.by_policy[name] for name in result.diagnostics.reasons), key=lambda rule: rule.id)
    return Verdict(allowed=result.allowed, rules=tuple(rules))


def _compile(text: str, schema_text: str) -> Handles:
    schema = cedarpy.Schema.from_str(schema_text)
    policies = cedarpy.PolicySet.from_str(text)
    checked = cedarpy.validate_policies(text, schema)  # pyright: ignore[reportUnknownMemberType] # a bare dict
    if not checked.validation_passed:
        raise ValueError("; ".join(str(error) for error in checked.errors))
    entities = cedarpy.Entities.from_json_str("[]", schema)  # pyright: ignore[reportUnknownMemberType] # a bare dict
    return Handles(
        policies=policies,
        schema=schema,
        entities=entities,
        by_policy=_rules(cedarpy.policies_to_json_str(text)),
    )


class _Row(BaseModel):
    effect: Literal["permit", "forbid"]
    annotations: dict[str, str | None] = {}
    conditions: list[JsonValue] = []


class _Parsed(BaseModel):
    """The part of Cedar's JSON policy format that is read here."""

    static_policies: dict[str, _Row] = Field(alias="staticPolicies")
    templates: dict[str, JsonValue] = {}


def _rules(policies_json: str) -> dict[str, Rule]:
    parsed = _Parsed.model_validate_json(policies_json)
    if parsed.templates:
        raise ValueError("templates are not used here: they permit nothing until they are linked")
    found = {name: _rule(row) for name, row in parsed.static_policies.items()}
    ids = [rule.id for rule in found.values()]
    if doubled := sorted({one for one in ids if ids.count(one) > 1}):
        raise ValueError(f"two policies share an id: {', '.join(doubled)}")
    return found


def _rule(row: _Row) -> Rule:
    notes = {name: text or "" for name, text in row.annotations.items()}
    if not notes.get("id") or not notes.get("reason"):
        raise ValueError(f"every policy carries @id and @reason; one has {sorted(notes)}")
    return Rule(
        id=notes["id"],
        effect=row.effect,
        reason=notes["reason"],
        quorum=int(notes.get("quorum", "1")),
        roles=tuple(notes.get("roles", "").split()),
        asks=tuple(sorted(set(_attributes(row.conditions)))),
    )


def _attributes(node: JsonValue) -> Iterator[str]:
    """Yield the attribute names a condition reads."""
    if isinstance(node, dict):
        access = node.get(".")
        if isinstance(access, dict) and isinstance(name := access.get("attr"), str):
            yield name
        for child in node.values():
            yield from _attributes(child)
    elif isinstance(node, list):
        for child in node:
            yield from _attributes(child)
