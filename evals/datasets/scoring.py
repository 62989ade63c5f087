"""Predictions as JSON lines, hit rates with intervals, and the rows a report prints: ours, floor, record."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import NamedTuple

from pydantic import Field, TypeAdapter, ValidationError

from domain.base import Frozen
from domain.errors import Invalid


class Prediction(Frozen):
    """One line: the case, entities best first (none when nobody is to blame), seconds taken."""

    case: str
    ranked: tuple[tuple[str, float], ...]
    seconds: float = Field(default=0.0, ge=0)


_LINE = TypeAdapter(Prediction)


def read_predictions(path: Path) -> dict[str, Prediction]:
    """Read JSON lines. A malformed line or a case given twice is Invalid."""
    found: dict[str, Prediction] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            one = _LINE.validate_json(line)
        except ValidationError as error:
            raise Invalid(
                f"{path.name} line {number}: {error.error_count()} errors, {error.errors()[0]['msg']}"
            ) from error
        if one.case in found:
            raise Invalid(f"{path.name} line {number}: case {one.case} is given twice")
        found[one.case] = one
    return found


def prediction_lines(predictions: Iterable[Prediction]) -> str:
    """Return predictions as JSON lines."""
    return "".join(
        json.dumps({"case": one.case, "ranked": [list(pair) for pair in one.ranked], "seconds": one.seconds}) + "\n"
        for one in predictions
    )


def require_all(predictions: Mapping[str, Prediction], cases: Sequence[str]) -> None:
    """Raise Invalid when a case has no prediction: silence must be said, not left out."""
    missing = [case for case in cases if case not in predictions]
    if missing:
        raise Invalid(
            f"{len(missing)} of {len(cases)} cases have no prediction, first: {missing[0]}", reason="missing_case"
        )


class Interval(NamedTuple):
    """Lower and upper bound of a share."""

    low: float
    high: float


def wilson(hits: int, total: int, z: float = 1.959964) -> Interval:
    """Return the Wilson score interval of a share, 95 % by default (Wilson 1927)."""
    if total == 0:
        return Interval(0.0, 1.0)
    share = hits / total
    width = z * sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    middle = share + z * z / (2 * total)
    scale = 1 + z * z / total
    return Interval((middle - width) / scale, (middle + width) / scale)


class Row(Frozen):
    """One figure of one part: value in [0, 1] with its interval when it was counted here, without when published."""

    metric: str
    part: str
    who: str
    value: float
    hits: int | None = None
    total: int | None = None
    low: float | None = None
    high: float | None = None


def counted(metric: str, part: str, who: str, outcomes: Sequence[bool]) -> Row:
    """Return the row of a share counted over cases."""
    hits, total = sum(outcomes), len(outcomes)
    low, high = wilson(hits, total)
    value = hits / total if total else 0.0
    return Row(metric=metric, part=part, who=who, value=value, hits=hits, total=total, low=low, high=high)


def published(metric: str, part: str, value: float) -> Row:
    """Return the row of a published figure."""
    return Row(metric=metric, part=part, who="record", value=value)


def hit_at(prediction: Prediction, truth: str, k: int) -> bool:
    """Tell whether the truth is among the first k."""
    return truth in [entity for entity, _ in prediction.ranked[:k]]


class DatasetReport(Frozen):
    """All rows of one data set, what they were counted on, and the predictions behind them."""

    dataset: str
    source: str
    cases: int
    seconds_total: float
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    predictions: tuple[Prediction, ...] = ()

    def to_json(self) -> str:
        """Return the report without the predictions as JSON."""
        return self.model_dump_json(exclude={"predictions"}, indent=2)

    def prediction_lines(self) -> str:
        """Return the predictions as JSON lines."""
        return prediction_lines(self.predictions)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: `done` of `total` cases (total 0 when unknown yet)."""

    done: int
    total: int
    case: str
