"""Intervals that cover what the draws do not vary: errors of the model itself.

Split conformal prediction (Papadopoulos et al. 2002; Lei et al. 2018): a scale says how far off a prediction of its
kind may be, and how many scales the truth was off by, below and above, is learned from situations with both futures
known. The scale of one prediction: the spread of its draws, a part of what it predicts, a part of what is at stake.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from domain.commands import Quantity
from runtime.simulator.queueing import Floats

Basis = Literal["measured", "modelled"]
"""measured: the service behaves as it was read to behave before; modelled: the physics says what would happen."""
Group = Literal["measured", "modelled", "nothing"]
"""By basis, but for what is predicted to change by less than matters: such predictions err seldom, and then wholly."""
Name = Literal["slo_attainment", "latency_p95_ms", "error_rate", "cost_usd_per_hour", "carbon_g_per_hour"]
NAMES: tuple[Name, ...] = get_args(Name)
# Below these a change matters to nobody: half a point of attainment or errors, 5 ms, a cent and a gram an hour.
MATTERS: Mapping[Name, float] = {
    "slo_attainment": 0.005, "latency_p95_ms": 5.0, "error_rate": 0.005, "cost_usd_per_hour": 0.01,
    "carbon_g_per_hour": 1.0,
}  # fmt: skip
# A third of what is predicted and a twentieth of what is at stake; the reach scales them to what was observed, and
# of six pairs tried on the seeds below these gave the narrowest intervals.
OF_CHANGE, OF_STAKE = 0.3, 0.05
SHARES: frozenset[Name] = frozenset({"slo_attainment", "error_rate"})
"""Quantities that cannot change by more than the whole."""
LEVEL = 0.9
"""Share of truths the intervals are to hold."""


@dataclass(slots=True, frozen=True)
class Reach:
    """How many scales an interval reaches below and above its value: 5 % of the truths lie beyond either end."""

    below: float
    above: float


# `python -P -m evals.twin_error --calibrate --seeds 10`: random worlds under foreign laws, seeds 0 to 9.
REACH: Mapping[tuple[Group, Name], Reach] = {
    ("measured", "carbon_g_per_hour"): Reach(5.29, 6.09),
    ("measured", "cost_usd_per_hour"): Reach(3.59, 1.76),
    ("measured", "error_rate"): Reach(7.97, 1.04),
    ("measured", "latency_p95_ms"): Reach(1.21, 2.55),
    ("measured", "slo_attainment"): Reach(0.56, 2.49),
    ("modelled", "carbon_g_per_hour"): Reach(2.77, 2.89),
    ("modelled", "cost_usd_per_hour"): Reach(2.67, 1.63),
    ("modelled", "error_rate"): Reach(2.56, 1.70),
    ("modelled", "latency_p95_ms"): Reach(4.26, 2.71),
    ("modelled", "slo_attainment"): Reach(1.58, 3.33),
    ("nothing", "carbon_g_per_hour"): Reach(0.00, 0.00),
    ("nothing", "cost_usd_per_hour"): Reach(0.09, 0.00),
    ("nothing", "error_rate"): Reach(0.00, 0.00),
    ("nothing", "latency_p95_ms"): Reach(0.07, 0.00),
    ("nothing", "slo_attainment"): Reach(0.00, 0.00),
}


def group_of(basis: Basis, name: Name, change: Floats) -> Group:
    """The group a prediction is compared with."""
    return basis if abs(float(np.median(change))) > MATTERS[name] else "nothing"


def scale(name: Name, change: Floats, without: Floats) -> float:
    """The scale of one prediction in the quantity's unit, from its draws; never below what matters."""
    low, high = np.quantile(change, ((1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0))
    level = float(np.median(without))
    stake = 1.0 - level if name == "slo_attainment" else abs(level)
    parts = (float(high - low) / 2.0, OF_CHANGE * float(np.median(change)), OF_STAKE * stake, MATTERS[name])
    return float(np.linalg.norm(parts))


def quantity(basis: Basis, name: Name, change: Floats, without: Floats, *, doubt: float = 1.0) -> Quantity:
    """The median of the draws with its 90 % interval, which is never narrower than what matters to anybody.

    `without`: the level when nothing is done, per draw. `doubt` widens what rests on a poor fit.
    """
    value, reach = float(np.median(change)), REACH[group_of(basis, name, change), name]
    one, least = doubt * scale(name, change, without), MATTERS[name]
    most = 1.0 if name in SHARES else np.inf
    low, high = value - least - reach.below * one, value + least + reach.above * one
    return Quantity(value=value, low=max(low, -most), high=min(high, most))


def learned(scores: Floats) -> Reach:
    """The reach that held these scores, (true - predicted) / scale, with split conformal's finite-sample rank."""

    def rank(values: Floats) -> float:
        k = int(np.ceil((len(values) + 1) * (1.0 + LEVEL) / 2.0))
        return max(0.0, float(np.sort(values)[min(k, len(values)) - 1]))

    return Reach(below=rank(-scores), above=rank(scores))
