"""What a diagnosis looks at: windows of metrics, spans, log templates, changes and the dependency graph.

Entities are opaque strings. Metrics are known by kind and unit, never by name. `ref` is the id of the evidence item
a value came from, so that every finding can be traced back.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from domain.evidence import SignalKind
from domain.topology import Edge

Floats = NDArray[np.float64]
Dimension = Literal["latency", "failures"]
"""How a request can go wrong: too slow, or not at all. Errors and lost availability are the same failures."""

EMPTY: Floats = np.zeros(0)


@dataclass(frozen=True, slots=True, eq=False)
class SignalSeries:
    """One metric of one entity before (`baseline`) and around the symptom (`current`); NaN marks a missing sample.

    Latencies are in ms (`unit="ms"`), errors, availability and utilisation are fractions (`unit="ratio"`), traffic
    is requests per sample or per second; any other unit is compared only with itself.
    """

    entity: str
    metric: str
    kind: SignalKind
    statistic: str
    step_s: float
    baseline: Floats
    current: Floats
    start_s: float = 0.0
    """Time of `current[0]` in seconds since any fixed origin; only differences are used."""
    unit: str = ""
    ref: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class SpanShift:
    """Self times in ms of one operation. With a `peer` it is the time spent on the way to and from that callee."""

    entity: str
    operation: str
    baseline: Floats
    current: Floats
    peer: str = ""
    baseline_errors: int = 0
    current_errors: int = 0
    ref: str = ""


@dataclass(frozen=True, slots=True)
class TemplateCount:
    """How often a log template occurred in `baseline_s` seconds before and `current_s` seconds around the symptom."""

    entity: str
    template: str
    severity: str
    baseline_count: int
    baseline_s: float
    current_count: int
    current_s: float
    ref: str = ""


@dataclass(frozen=True, slots=True)
class ChangeMark:
    """Something was changed on the entity at `at_s` (same origin as `SignalSeries.start_s`)."""

    entity: str
    at_s: float
    kind: str
    ref: str = ""


@dataclass(frozen=True, slots=True)
class Symptom:
    """What was noticed: on which entity, in which kind of signal, when."""

    entity: str
    kind: SignalKind
    at_s: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Observations:
    """Everything seen around one symptom."""

    symptom: Symptom
    series: tuple[SignalSeries, ...] = ()
    edges: tuple[Edge, ...] = ()
    spans: tuple[SpanShift, ...] = ()
    templates: tuple[TemplateCount, ...] = ()
    changes: tuple[ChangeMark, ...] = ()


@dataclass(frozen=True, slots=True)
class Reason:
    """One signal for (`weight` > 0) or against (`weight` < 0) an entity."""

    channel: Literal["latency", "failures", "spans", "course", "saturation", "logs", "change", "hosting", "quiet"]
    text: str
    weight: float
    refs: tuple[str, ...] = ()


def _no_support() -> dict[str, tuple[Reason, ...]]:
    return {}


@dataclass(frozen=True, slots=True)
class Ranking:
    """Who is to blame, best first; empty when nobody is. `why` says in one sentence how it came out."""

    ranked: tuple[tuple[str, float], ...]
    support: Mapping[str, tuple[Reason, ...]] = field(default_factory=_no_support)
    abstained: bool = False
    why: str = ""
    onset_s: float | None = None
    """Start of the earliest anomalous run, in the origin of `SignalSeries.start_s`."""
