"""What every data set answers with: rows of figures (ours, floors, records, targets) and the predictions behind them.

A data set is one class with a `name`, the `places` it lies at below a data folder, and `run`: read the inputs, make
predictions (or read them back from `rescore`), read the labels last, return `Scored`. `evals.datasets.run` times it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import sqrt
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, get_args

from pydantic import Field, SerializeAsAny, computed_field

from domain.base import Frozen

Who = Literal["ours", "floor", "record"]
"""A floor is a trivial rule computed here on the same cases; a record is a published figure."""


class Row(Frozen):
    """One figure of one part. The interval is given where the figure is a share that was counted here."""

    metric: str
    part: str = "all"
    who: Who = "ours"
    name: str = ""
    """Which rule (floor), or whose and on what (record)."""
    value: float
    unit: str = "share"
    better: Literal["higher", "lower"] = "higher"
    target: float | None = None
    """What we promise, on our own rows: at least (at most, where lower is better) this."""
    hits: int | None = None
    total: int | None = None
    low: float | None = None
    high: float | None = None

    @computed_field
    @property
    def met(self) -> bool | None:
        """Tell whether the target is met; None without a target."""
        if self.target is None:
            return None
        return self.value >= self.target if self.better == "higher" else self.value <= self.target

    @property
    def author(self) -> str:
        """Return who, with the rule or source in brackets."""
        return f"{self.who} ({self.name})" if self.name else self.who


class Figure(NamedTuple):
    """The rows of one metric on one part, by author."""

    metric: str
    part: str
    ours: tuple[Row, ...]
    floors: tuple[Row, ...]
    records: tuple[Row, ...]


def figures(rows: Sequence[Row]) -> tuple[Figure, ...]:
    """Return rows side by side: ours with the floors and records of the same metric and part, in order."""
    keys = dict.fromkeys((row.metric, row.part) for row in rows)
    by_who = {
        key: {
            who: tuple(row for row in rows if (row.metric, row.part, row.who) == (*key, who)) for who in get_args(Who)
        }
        for key in keys
    }
    return tuple(Figure(*key, held["ours"], held["floor"], held["record"]) for key, held in by_who.items())


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


def counted(
    metric: str, part: str, outcomes: Sequence[bool], *, who: Who = "ours", name: str = "", target: float | None = None
) -> Row:
    """Return the row of a share counted over cases."""
    hits, total = sum(outcomes), len(outcomes)
    low, high = wilson(hits, total)
    value = hits / total if total else 0.0
    return Row(
        metric=metric, part=part, who=who, name=name, value=value, target=target,
        hits=hits, total=total, low=low, high=high,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: `done` of `total` cases (total 0 when unknown yet)."""

    done: int
    total: int
    case: str


Told = Callable[[Progress], None]


def unheard(progress: Progress) -> None:
    """Take progress that nobody looks at."""


@dataclass(frozen=True, slots=True)
class Scored:
    """What a data set returns: number of cases, rows, and predictions as closed shapes, one JSON line each."""

    cases: int
    rows: tuple[Row, ...]
    lines: Sequence[Frozen] = field(repr=False)
    notes: tuple[str, ...] = ()


class Dataset(Protocol):
    """One public data set."""

    @property
    def name(self) -> str:
        """Return the name it is called by."""
        ...

    @property
    def places(self) -> str:
        """Return a glob below a data folder for what `run` takes as path (`nezha/*.tar.xz`); every match is scored."""
        ...

    def run(self, path: Path, *, rescore: Path | None = None, progress: Told = unheard) -> Scored:
        """Score our predictions, or those of the `rescore` file (JSON lines).

        Labels are read for scoring only. Raises Invalid when a case has no prediction, or the layout is another one.
        """
        ...


class DatasetReport(Frozen):
    """All rows of one data set, what they were counted on, and the predictions behind them."""

    dataset: str
    source: Literal["own", "predictions file"]
    cases: int
    seconds_total: float
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    lines: tuple[SerializeAsAny[Frozen], ...] = Field(default=(), exclude=True, repr=False)

    @property
    def missed(self) -> tuple[Row, ...]:
        """Return our rows whose target is not met."""
        return tuple(row for row in self.rows if row.met is False)

    def to_json(self) -> str:
        """Return the report without the predictions as JSON."""
        return self.model_dump_json(indent=2)

    def prediction_lines(self) -> str:
        """Return the predictions as JSON lines."""
        return "".join(line.model_dump_json() + "\n" for line in self.lines)
