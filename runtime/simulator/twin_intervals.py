"""Intervals that cover what the draws do not vary: errors of the model itself.

Split conformal prediction (Papadopoulos et al. 2002; Lei et al. 2018): a scale says how far off a prediction of its
kind may be, and how many scales the truth was off by, below and above, is learned from situations with both futures
known. The scale of one prediction: the spread of its draws, a part of what it predicts, a part of what is at stake.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from domain.commands import Quantity
from runtime.simulator.queueing import Floats

Basis = Literal["measured", "modelled"]
"""measured: the service behaves as it was read to behave before; modelled: the physics says what would happen."""
Name = Literal["slo_attainment", "latency_p95_ms", "error_rate", "cost_usd_per_hour", "carbon_g_per_hour"]
# A tenth of what is predicted and a fiftieth of what is at stake: multipliers below scale them to what was observed.
OF_CHANGE, OF_STAKE = 0.1, 0.02


@dataclass(slots=True, frozen=True)
class Reach:
    """How many scales the interval reaches below and above its value, 5 % of the truths beyond either."""

    below: float
    above: float


# `python -P -m evals.twin_error --calibrate --seeds 10`: random worlds under foreign laws, seeds 0 to 9.
REACH: Mapping[tuple[Basis, Name], Reach] = {}
UNLEARNED = Reach(1.0, 1.0)


def scale(change: Floats, stake: float) -> float:
    """The scale of one prediction, in the quantity's unit; `change` are its draws."""
    low, high = np.quantile(change, (0.05, 0.95))
    spread = float(high - low) / 2.0
    return float(np.sqrt(spread**2 + (OF_CHANGE * float(np.median(change))) ** 2 + (OF_STAKE * stake) ** 2))


def quantity(basis: Basis, name: Name, change: Floats, without: Floats) -> Quantity:
    """The median of the draws with its 90 % interval; `without`: the level when nothing is done, per draw."""
    value, reach = float(np.median(change)), REACH.get((basis, name), UNLEARNED)
    one = scale(change, stake(name, without))
    return Quantity(value=value, low=value - reach.below * one, high=value + reach.above * one)


def stake(name: Name, without: Floats) -> float:
    """What there is to win: missed attainment, or the level itself."""
    level = float(np.median(without))
    return 1.0 - level if name == "slo_attainment" else abs(level)
