"""A small seeded world: front -> a, b; a -> deep; b -> store; traffic, latency and availability of each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pytest

from analysis.signals import Observations, SignalSeries, Symptom
from domain.topology import Edge

CALLS = (("front", "a"), ("front", "b"), ("a", "deep"), ("b", "store"))
USUAL_MS = {"front": 120.0, "a": 60.0, "b": 30.0, "deep": 25.0, "store": 8.0}
ABOVE = {"deep": ("a", "front"), "a": ("front",), "b": ("front",), "store": ("b", "front"), "front": ()}


@dataclass
class World:
    seed: int = 0
    slow_ms: Mapping[str, float] = field(default_factory=dict)
    failing: Mapping[str, float] = field(default_factory=dict)
    rows: int = 200
    window: int = 6
    onset: int = 2

    def series(self) -> list[SignalSeries]:
        rng = np.random.default_rng(self.seed)
        found = []
        for name, usual in USUAL_MS.items():
            total = self.rows + self.window
            traffic = rng.poisson(400, total).astype(float)
            latency = usual * rng.lognormal(0, 0.05, total)
            lost = np.zeros(total)
            begun = slice(self.rows + self.onset, total)
            for cause, extra in self.slow_ms.items():
                if name == cause or name in ABOVE[cause]:
                    latency[begun] += extra
            for cause, share in self.failing.items():
                if name == cause or name in ABOVE[cause]:
                    lost[begun] += share
            for metric, kind, unit, values in (
                ("requests", "traffic", "count", traffic),
                ("latency", "latency", "ms", latency),
                ("availability", "availability", "ratio", 1.0 - lost),
            ):
                found.append(
                    SignalSeries(
                        entity=name,
                        metric=metric,
                        kind=kind,
                        statistic="avg",
                        step_s=60.0,
                        baseline=values[: self.rows],
                        current=values[self.rows :],
                        start_s=1000.0,
                        unit=unit,
                        ref=f"{name}/{metric}",
                    )
                )
        return found

    def observations(self, kind: str = "latency", **more: object) -> Observations:
        edges = tuple(Edge(kind="calls", source=caller, target=callee) for caller, callee in CALLS)
        given = {"symptom": Symptom("front", kind, 1000.0), "series": tuple(self.series()), "edges": edges}
        return Observations(**(given | more))


@pytest.fixture
def world() -> Callable[..., World]:
    return World
