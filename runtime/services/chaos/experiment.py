"""Experiments as documents in the Chaos Toolkit's open format, closed: what is not understood is refused, not skipped.

A document that was read is written again as it was: `document` returns the same JSON value. Secrets, background
activities, extensions and providers that run code have no place in it.
"""

import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, JsonValue, Tag, ValidationError, model_validator

from domain.base import Digest, Frozen, digest_of
from domain.errors import Invalid
from runtime.services.chaos.providers import (
    LONGEST_S,
    ActionProvider,
    ControlProvider,
    InjectFault,
    Measure,
    Name,
    ProbeProvider,
    RevertFault,
    WatchLoop,
)

MOST_FAULTS = 5
"""Faults of one experiment: more than a few at once tell nothing about any one of them (our choice)."""
Scalar = bool | int | float | str


class RangeTolerance(Frozen):
    """Bounds, both included."""

    type: Literal["range"]
    range: tuple[float, float]


Tolerance = Scalar | tuple[float, float] | RangeTolerance


class Pauses(Frozen):
    """Seconds to wait around an activity."""

    before: float | None = Field(default=None, ge=0, le=LONGEST_S)
    after: float | None = Field(default=None, ge=0, le=LONGEST_S)


class Control(Frozen):
    """What is watched all the time an experiment runs."""

    name: Name
    provider: ControlProvider


class Probe(Frozen):
    """Asks for something. `tolerance` is what the answer must be."""

    type: Literal["probe"]
    name: Name
    tolerance: Tolerance | None = None
    provider: ProbeProvider
    pauses: Pauses | None = None
    background: Literal[False] = False


class Action(Frozen):
    """Does something."""

    type: Literal["action"]
    name: Name
    provider: ActionProvider
    pauses: Pauses | None = None
    background: Literal[False] = False


class Reference(Frozen):
    """A probe or action that is declared elsewhere in the document."""

    ref: Name


def _form(value: object) -> str:
    """Tell which form an activity has; one without a type is a reference."""
    if not isinstance(value, dict):
        return str(getattr(value, "type", "ref"))
    return str(value.get("type", "ref"))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]  # raw JSON


Activity = Annotated[
    Annotated[Probe, Tag("probe")] | Annotated[Action, Tag("action")] | Annotated[Reference, Tag("ref")],
    Discriminator(_form),
]


class Hypothesis(Frozen):
    """What normal looks like."""

    title: Name
    probes: tuple[Probe, ...] = Field(min_length=1, max_length=20)


class HypothesisStrategy(Frozen):
    """When the hypothesis is looked at: always before and after here."""

    strategy: Literal["default"] = "default"


class RollbackStrategy(Frozen):
    """When rollbacks are run: always here, whatever happened."""

    strategy: Literal["always"] = "always"


class RuntimeSettings(Frozen):
    """The format's settings of a run, as far as they say what we do."""

    hypothesis: HypothesisStrategy | None = None
    rollbacks: RollbackStrategy | None = None


class Experiment(Frozen):
    """One experiment. Raises pydantic.ValidationError for whatever does not fit together."""

    version: Literal["1.0.0", "0.1.0"] | None = None
    title: Name
    description: str = Field(min_length=1, max_length=4000)
    contributions: dict[Name, Literal["high", "medium", "low", "none"]] = Field(default_factory=dict[str, Any])
    tags: tuple[Name, ...] = Field(default=(), max_length=50)
    configuration: dict[Name, Scalar] = Field(default_factory=dict[str, Scalar])
    runtime: RuntimeSettings | None = None
    controls: tuple[Control, ...] = Field(default=(), max_length=20)
    steady_state_hypothesis: Hypothesis = Field(alias="steady-state-hypothesis")
    method: tuple[Activity, ...] = Field(min_length=1, max_length=50)
    rollbacks: tuple[Action, ...] = Field(default=(), max_length=20)

    @property
    def faults(self) -> dict[str, InjectFault]:
        """The faults of the method by the name of their action."""
        named = (a for a in self.method if isinstance(a, Action))
        return {a.name: a.provider for a in named if isinstance(a.provider, InjectFault)}

    @property
    def document(self) -> dict[str, JsonValue]:
        """The document as it was read."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)

    @property
    def digest(self) -> Digest:
        """Digest over the document's canonical JSON."""
        return digest_of(self.document)

    def activity(self, position: int) -> Probe | Action:
        """Return the activity at a position of the method, where a reference stands what it names."""
        found = self.method[position]
        return self._declared()[found.ref] if isinstance(found, Reference) else found

    def places(self) -> frozenset[str]:
        """Return every address that is hurt or measured."""
        probes = [*self.steady_state_hypothesis.probes, *(a for a in self.method if isinstance(a, Probe))]
        measured = {p.provider.entity for p in probes if isinstance(p.provider, Measure)}
        watched = {c.provider.entity for c in self.controls if c.provider.type == "opsmesh.safeguard"}
        return frozenset(measured | watched | {f.target for f in self.faults.values()})

    def resolved(self) -> "Experiment":
        """Return the document with every `${key}` replaced. Raises Invalid for a key that is not configured."""
        return read_experiment(_filled(self.document, {k: str(v) for k, v in self.configuration.items()}))

    def _declared(self) -> dict[str, Probe | Action]:
        every = (*self.steady_state_hypothesis.probes, *self.method, *self.rollbacks)
        return {a.name: a for a in every if not isinstance(a, Reference)}

    @model_validator(mode="after")
    def _fits_together(self) -> "Experiment":
        for problem in self._problems():
            raise ValueError(problem)
        return self

    def _problems(self) -> Iterator[str]:
        declared = self._declared()
        plain = [a for a in (*self.steady_state_hypothesis.probes, *self.method) if not isinstance(a, Reference)]
        if len({a.name for a in plain}) != len(plain):
            yield "two activities have the same name"
        for probe in self.steady_state_hypothesis.probes:
            if probe.tolerance is None or not isinstance(probe.provider, Measure):
                yield f"probe {probe.name} of the steady state needs a measurement and its tolerance"
        references = [a.ref for a in self.method if isinstance(a, Reference)]
        yield from (f"no probe is named {ref}" for ref in references if not isinstance(declared.get(ref), Probe))
        if not 0 < len(self.faults) <= MOST_FAULTS:
            yield f"an experiment has one to {MOST_FAULTS} faults"
        yield from self._order()
        if any(not isinstance(a.provider, RevertFault) for a in self.rollbacks):
            yield "a rollback takes a fault back and does nothing else"
        if self.longest_s() > LONGEST_S:
            yield f"the experiment would last longer than {LONGEST_S} s"

    def _order(self) -> Iterator[str]:
        """Tell of reverts and waits that name no fault injected before them."""
        seen: set[str] = set()
        for one in (*self.method, *self.rollbacks):
            if isinstance(one, Reference):
                continue
            if isinstance(one.provider, InjectFault):
                seen.add(one.name)
            elif isinstance(one.provider, RevertFault | WatchLoop) and one.provider.of not in seen:
                yield f"{one.name} names no fault that was injected before it: {one.provider.of}"

    def longest_s(self) -> float:
        """Return how long the method can last at most, in seconds."""
        total = 0.0
        for one in self.method:
            if isinstance(one, Reference):
                continue
            if one.pauses is not None:
                total += (one.pauses.before or 0.0) + (one.pauses.after or 0.0)
            if isinstance(one.provider, WatchLoop):
                total += one.provider.within_s
        return total


def read_experiment(raw: JsonValue | bytes) -> Experiment:
    """Read a document. Raises Invalid saying what does not fit; an unknown provider is named."""
    value: JsonValue = json.loads(raw) if isinstance(raw, bytes) else raw
    try:
        return Experiment.model_validate(value)
    except ValidationError as error:
        said = error.errors()
        where = ".".join(str(part) for part in said[0]["loc"])
        tag = next((e["ctx"]["tag"] for e in said if e["type"] == "union_tag_invalid" and "ctx" in e), None)
        if tag is not None:
            raise Invalid(f"{where}: {tag!r} is nothing an experiment may do", reason="provider_unknown") from error
        raise Invalid(f"{where}: {said[0]['msg']}", reason="experiment_invalid") from error


def _filled(value: JsonValue, configured: dict[str, str]) -> JsonValue:
    if isinstance(value, dict):
        return {k: v if k == "configuration" else _filled(v, configured) for k, v in value.items()}
    if isinstance(value, list):
        return [_filled(v, configured) for v in value]
    if isinstance(value, str) and value.startswith("${") and value.endswith("}"):
        if value[2:-1] not in configured:
            raise Invalid(f"{value} is not configured", reason="experiment_invalid")
        return configured[value[2:-1]]
    return value


def within(value: JsonValue, tolerance: Tolerance | None) -> bool:
    """Tell whether a value is what the tolerance asks for; nothing measured never is."""
    match tolerance:
        case None:
            return value is not None
        case RangeTolerance():
            return _between(value, tolerance.range)
        case tuple():
            return _between(value, tolerance)
        case _:
            return value is not None and value == tolerance and isinstance(value, bool) == isinstance(tolerance, bool)


def _between(value: JsonValue, bounds: tuple[float, float]) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bounds[0] <= value <= bounds[1]
