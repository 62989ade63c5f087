"""How wrong the digital twin is, by quantity: bias, direction, and how often its 90 % intervals hold.

Run `python -P -m evals.twin_error --seeds 3`: one row per case (see `twin_cases`), then one per quantity, for right
commands and decoys apart.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

from domain.commands import Prediction, Quantity
from domain.errors import Invalid
from domain.ports import Rehearsal
from evals.twin_cases import HORIZON_S, Lived, WorldKind, lived
from runtime.simulator import faults
from runtime.simulator.twin import FIT_BOUND, Drawn, Twin
from runtime.simulator.twin_intervals import MATTERS, NAMES, Group, Name, Reach, group_of, learned, scale


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
    asked = twin or Twin()
    return [
        Case(one, asked.rehearse(one.pack, one.proposal, horizon_s=HORIZON_S))
        for one in situations(seeds, names, world)
    ]


def errors(cases: Sequence[Case]) -> list[Error]:
    """Bias, mean absolute error, direction, coverage and width per quantity over what was predicted."""
    found: list[Error] = []
    for name in NAMES:
        pairs = [(q, c.lived.true[name]) for c in cases if (q := _quantity(c.prediction, name)) is not None]
        if not pairs:
            continue
        gaps = np.array([q.value - true for q, true in pairs])
        moved = [(q, true) for q, true in pairs if abs(true) > MATTERS[name]]
        found.append(
            Error(
                quantity=name, cases=len(pairs), bias=float(gaps.mean()), mean_absolute=float(np.abs(gaps).mean()),
                right_direction=float(np.mean([q.value * true > 0.0 for q, true in moved])) if moved else 1.0,
                covered=float(np.mean([q.low <= true <= q.high for q, true in pairs])),
                width=float(np.median([q.high - q.low for q, _ in pairs])),
            )
        )  # fmt: skip
    return found


def situations(seeds: Iterable[int], names: Sequence[str] = (), world: WorldKind = "foreign") -> Iterator[Lived]:
    """Every command of every fault that the SRE agent is to answer (or of `names`), lived through."""
    wanted = names or [f.name for f in faults.FAULTS if f.domain == "sre"]
    return (one for seed in seeds for name in wanted for one in lived(name, seed, world))


def calibrate(cases: Iterable[Lived]) -> dict[tuple[Group, Name], Reach]:
    """The reach of the twin's intervals, learned from how wrong its draws were where its fit is good enough."""
    scores: dict[tuple[Group, Name], list[float]] = {}
    for one in cases:
        try:
            drawn = Twin().draw(one.pack, one.proposal, horizon_s=HORIZON_S)
        except Invalid:
            continue
        if drawn.quality >= FIT_BOUND:
            for name in NAMES:
                group, score = _score(drawn, name, one.true[name])
                scores.setdefault((group, name), []).append(score)
    return {key: learned(np.array(values)) for key, values in sorted(scores.items())}


def _score(drawn: Drawn, name: Name, true: float) -> tuple[Group, float]:
    """How many scales the truth is off, to within what matters."""
    change, without = getattr(drawn.change, name), getattr(drawn.without, name)
    gap = true - float(np.median(change))
    beyond = np.sign(gap) * max(0.0, abs(gap) - MATTERS[name])
    return group_of(drawn.basis, name, change), float(beyond / scale(name, change, without))


def _quantity(prediction: Prediction, name: str) -> Quantity | None:
    return getattr(prediction, name) if prediction.known else None


def main() -> None:
    """Print one line per case and one per quantity."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds")
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--world", choices=get_args(WorldKind), default="foreign")
    parser.add_argument("--calibrate", action="store_true", help="print the table of twin_intervals instead")
    parser.add_argument("faults", nargs="*", help="only these")
    asked = parser.parse_args()
    seeds = range(asked.first, asked.first + asked.seeds)
    if asked.calibrate:
        for (group, name), reach in calibrate(situations(seeds, asked.faults, asked.world)).items():
            print(f'    ("{group}", "{name}"): Reach({reach.below:.2f}, {reach.above:.2f}),')
        return
    cases = measure(seeds, asked.faults, world=asked.world)
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
        for name in NAMES if (q := _quantity(prediction, name)) is not None
    ]  # fmt: skip
    return "  ".join([start, *rows])


if __name__ == "__main__":
    main()
