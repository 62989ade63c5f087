"""The whole card: every data set below one folder, scored in two processes, each promise beside floor and record.

A set that is not there is said, and so is one that cannot be read; neither is left out.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Literal

from pydantic import computed_field

from domain.base import Frozen
from domain.errors import Invalid, OpsmeshError
from evals.datasets import DATASETS, DatasetReport, dataset, report
from evals.datasets.scoring import Dataset, Progress, Row, figures, unheard

WORKERS = 2
"""The machine the time limit is stated for has two cores."""


class Promise(Frozen):
    """One figure of ours that has a target, and its company."""

    ours: Row
    floors: tuple[Row, ...]
    records: tuple[Row, ...]


class Entry(Frozen):
    """One data set at one place."""

    dataset: str
    place: str
    status: Literal["scored", "missing", "failed"]
    why: str = ""
    cases: int = 0
    seconds: float = 0.0
    promises: tuple[Promise, ...] = ()
    notes: tuple[str, ...] = ()

    @computed_field
    @property
    def met(self) -> bool:
        """Tell whether the set was scored and every target is met."""
        return self.status == "scored" and all(promise.ours.met for promise in self.promises)


class ScoreCard(Frozen):
    """All data sets that were asked for."""

    entries: tuple[Entry, ...]
    wall_s: float

    @computed_field
    @property
    def met(self) -> bool:
        """Tell whether every set was scored and every target is met."""
        return all(entry.met for entry in self.entries)


def score_card(root: Path, only: Sequence[str] = (), *, told: Callable[[Progress], None] = unheard) -> ScoreCard:
    """Score the named data sets, or all, wherever they lie below `root`. Raises Invalid, NotFound."""
    if not root.is_dir():
        raise Invalid(f"{root} is no folder")
    began = perf_counter()
    wanted = [dataset(name) for name in dict.fromkeys(only)] or list(DATASETS)
    found = {(one.name, place): place.relative_to(root).as_posix() for one in wanted for place in _places(one, root)}
    scored: dict[tuple[str, Path], Entry] = {}
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
        waiting = {pool.submit(entry_of, *key, shown): key for key, shown in found.items()}
        for future in as_completed(waiting):
            name, _ = waiting[future]
            scored[waiting[future]] = future.result()
            told(Progress(len(scored), len(found), name))
    entries = [entry for one in wanted for entry in _entries(one, scored)]
    return ScoreCard(entries=tuple(entries), wall_s=round(perf_counter() - began, 1))


def entry_of(name: str, place: Path, shown: str) -> Entry:
    """Score one data set at one place; what it refuses becomes a failed entry."""
    try:
        return _scored(report(dataset(name), place), shown)
    except OpsmeshError as error:
        return Entry(dataset=name, place=shown, status="failed", why=str(error))


def _scored(one: DatasetReport, shown: str) -> Entry:
    promises = [
        Promise(ours=row, floors=figure.floors, records=figure.records)
        for figure in figures(one.rows)
        for row in figure.ours
        if row.target is not None
    ]
    return Entry(
        dataset=one.dataset, place=shown, status="scored", cases=one.cases, seconds=one.seconds_total,
        promises=tuple(promises), notes=one.notes,
    )  # fmt: skip


def _entries(one: Dataset, scored: dict[tuple[str, Path], Entry]) -> list[Entry]:
    mine = [scored[key] for key in sorted(key for key in scored if key[0] == one.name)]
    return mine or [Entry(dataset=one.name, place=one.places, status="missing", why="nothing there")]


def _places(one: Dataset, root: Path) -> list[Path]:
    return sorted(root.glob(one.places))
