"""Public data sets: one file each, one line in the table below. Floor and record stand beside every figure."""

from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from domain.errors import NotFound
from evals.datasets.cases import Case, Dataset, Diagnoser, predict
from evals.datasets.diagnosing import agent_diagnosis
from evals.datasets.floors import zscore_ranking
from evals.datasets.nezha import Nezha
from evals.datasets.petshop import PetShop
from evals.datasets.scoring import DatasetReport, Prediction, Progress, read_predictions, require_all

DATASETS: tuple[Dataset, ...] = (PetShop(), Nezha())

__all__ = ["DATASETS", "Case", "DatasetReport", "Diagnoser", "Progress", "dataset", "run"]


def dataset(name: str) -> Dataset:
    """Return the data set of that name; NotFound lists the known ones."""
    for one in DATASETS:
        if one.name == name:
            return one
    raise NotFound(f"no data set {name!r}; known: {', '.join(one.name for one in DATASETS)}")


def run(
    name: str,
    path: Path,
    predictions: Path | None = None,
    *,
    diagnoser: Diagnoser = agent_diagnosis,
    progress: Callable[[Progress], None] | None = None,
) -> DatasetReport:
    """Score a data set under `path`: with given predictions (JSON lines), else with the diagnoser's own.

    Raises Invalid when a case has no prediction or the layout is not the data set's.
    """
    began = perf_counter()
    chosen = dataset(name)
    ids = chosen.case_ids(path)
    given = read_predictions(predictions) if predictions is not None else {}
    if predictions is not None:
        require_all(given, ids)
    ours: dict[str, Prediction] = {}
    floor: dict[str, Prediction] = {}
    for done, case in enumerate(chosen.cases(path), start=1):
        packs = case.packs()
        ours[case.case_id] = given[case.case_id] if predictions is not None else predict(case, packs, diagnoser)
        floor[case.case_id] = Prediction(case=case.case_id, ranked=case.named(zscore_ranking(packs[0])))
        if progress is not None:
            progress(Progress(done, len(ids), case.case_id))
    return DatasetReport(
        dataset=name,
        source="predictions file" if predictions is not None else "own diagnosis",
        cases=len(ids),
        seconds_total=round(perf_counter() - began, 3),
        rows=chosen.score(path, ours, floor),
        predictions=tuple(ours.values()),
    )
