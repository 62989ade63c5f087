"""How wrong the digital twin is, by quantity: bias, direction, and how often its 90 % intervals hold.

Run `python -P -m evals.twin_error --seeds 3`: one row per case (see `twin_cases`), then one per quantity, for right
commands and decoys apart.
"""

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

from domain.commands import Prediction, Quantity
from domain.ports import Rehearsal
from evals.twin_cases import HORIZON_S, QUANTITIES, Lived, WorldKind, lived
from runtime.simulator import faults
from runtime.simulator.twin import Twin

# Below these a change matters to nobody: half a point of attainment or errors, 5 ms, a cent and a gram an hour.
MATTERS = {"slo_attainment": 0.005, "latency_p95_ms": 5.0, "error_rate": 0.005, "cost_usd_per_hour": 0.01,
           "carbon_g_per_hour": 1.0}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """One command: what was predicted and what it truly changed."""

    lived: Lived
    prediction: Prediction


@dataclass(frozen=True, slots=True)
class Error:
    """How one quantity fared over the cases that were predicted at all."""

    quantity: str
    cases: int
    bias: float
    """Mean of predicted minus true."""
    mean_absolute: float
    right_direction: float
    """Share of the cases with a true change that matters in which the sign was predicted."""
    covered: float
    """Share whose true change lies in the predicted 90 % interval."""
    width: float
    """Median width of the intervals."""


def measure(
    seeds: Iterable[int], names: Sequence[str] = (), *, world: WorldKind = "foreign", twin: Rehearsal | None = None
) -> list[Case]:
    """Predict and live through the commands of every fault that agents are to answer (or of `names`)."""
    wanted = names or [f.name for f in faults.FAULTS if f.domain == "sre"]
    asked = twin or Twin()
    return [
        Case(one, asked.rehearse(one.pack, one.proposal, horizon_s=HORIZON_S))
        for seed in seeds for name in wanted for one in lived(name, seed, world)
    ]  # fmt: skip


def errors(cases: Sequence[Case]) -> list[Error]:
    """Bias, mean absolute error, direction, coverage and width per quantity over what was predicted."""
    found: list[Error] = []
    for name in QUANTITIES:
        pairs = [(q, c.lived.true[name]) for c in cases if (q := _quantity(c.prediction, name)) is not None]
        if not pairs:
            continue
        gaps = np.array([q.value - true for q, true in pairs])
        moved = [(q, true) for q, true in pairs if abs(true) > MATTERS[name]]
        found.append(
            Error(
                quantity=name, cases=len(pairs), bias=float(gaps.mean()), mean_absolute=float(np.abs(gaps).mean()),
                right_direction=float(np.mean([q.value * true > 0.0 for q, true in moved])) if moved else 1.0,
                covered=float(np.mean([covers(q, true, MATTERS[name]) for q, true in pairs])),
                width=float(np.median([q.high - q.low for q, _ in pairs])),
            )
        )  # fmt: skip
    return found


def covers(predicted: Quantity, true: float, matters: float) -> bool:
    """Tell whether the interval contains the truth, to within a change that matters to nobody."""
    return predicted.low - matters <= true <= predicted.high + matters


def _quantity(prediction: Prediction, name: str) -> Quantity | None:
    return getattr(prediction, name) if prediction.known else None


def main() -> None:
    """Print one line per case and one per quantity."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds")
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--world", choices=get_args(WorldKind), default="foreign")
    parser.add_argument("faults", nargs="*", help="only these")
    asked = parser.parse_args()
    cases = measure(range(asked.first, asked.first + asked.seeds), asked.faults, world=asked.world)
    for case in cases:
        print(told(case))
    for title, right in (("right commands", True), ("decoys", False)):
        report(title, [c for c in cases if c.lived.right == right])


def report(title: str, cases: Sequence[Case]) -> None:
    """Print what `errors` found, and how many cases the twin knew."""
    print(f"{title}: known {sum(c.prediction.known for c in cases)} of {len(cases)}")
    for error in errors(cases):
        print(
            f"  {error.quantity:18} bias {error.bias:+.3g}  mean |error| {error.mean_absolute:.3g}"
            f"  direction {error.right_direction:.0%}  covered {error.covered:.0%}  width {error.width:.3g}"
        )


def told(case: Case) -> str:
    """One case in one line."""
    one, prediction = case.lived, case.prediction
    mark = "" if one.right else "decoy "
    start = f"{one.fault:18} {one.seed:3} {mark + one.proposal.kind:27} fit {prediction.fit or 0.0:.2f}"
    if not prediction.known:
        return f"{start}  unknown: {prediction.note}"
    rows = [
        f"{name[:5]} {q.value:+.3g} [{q.low:+.3g}, {q.high:+.3g}] true {one.true[name]:+.3g}"
        for name in QUANTITIES if (q := _quantity(prediction, name)) is not None
    ]  # fmt: skip
    return "  ".join([start, *rows])


if __name__ == "__main__":
    main()
