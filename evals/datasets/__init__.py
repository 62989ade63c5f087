"""Public data sets: one file each, one line in the table below. Floor and record stand beside every figure.

The interface is `Dataset` in `scoring.py`. A set of recorded telemetry gives cases and is wrapped in `Diagnosed`.
"""

from pathlib import Path
from time import perf_counter

from domain.errors import NotFound
from evals.datasets.loghub import Loghub
from evals.datasets.m4 import M4
from evals.datasets.nab import Nab
from evals.datasets.nezha import Nezha
from evals.datasets.petshop import PetShop
from evals.datasets.planetlab import PlanetLab
from evals.datasets.podsecurity import PodSecurity
from evals.datasets.scoring import Dataset, DatasetReport, Progress, Told, unheard
from evals.datasets.telemetry.cases import Case, Telemetry
from evals.datasets.telemetry.diagnosing import Diagnosed

DATASETS: tuple[Dataset, ...] = (
    Diagnosed(PetShop()),
    Diagnosed(Nezha()),
    Nab(),
    M4(),
    PlanetLab(),
    PodSecurity(),
    Loghub(),
)

__all__ = ["DATASETS", "Case", "DatasetReport", "Progress", "dataset", "recordings", "report", "run"]


def dataset(name: str) -> Dataset:
    """Return the data set of that name; NotFound lists the known ones."""
    for one in DATASETS:
        if one.name == name:
            return one
    raise NotFound(f"no data set {name!r}; known: {', '.join(one.name for one in DATASETS)}")


def recordings(name: str) -> Telemetry:
    """Return the cases of a data set of recorded telemetry; NotFound when the set holds none."""
    one = dataset(name)
    if not isinstance(one, Diagnosed):
        raise NotFound(f"{name} holds no recorded telemetry")
    return one.telemetry


def run(name: str, path: Path, *, rescore: Path | None = None, progress: Told = unheard) -> DatasetReport:
    """Score a data set under `path`: our own predictions, or those of the `rescore` file (JSON lines).

    Raises Invalid when a case has no prediction or the layout is not the data set's.
    """
    return report(dataset(name), path, rescore=rescore, progress=progress)


def report(one: Dataset, path: Path, *, rescore: Path | None = None, progress: Told = unheard) -> DatasetReport:
    """Run a data set and say what was scored and how long it took."""
    began = perf_counter()
    scored = one.run(path, rescore=rescore, progress=progress)
    return DatasetReport(
        dataset=one.name,
        source="own" if rescore is None else "predictions file",
        cases=scored.cases,
        seconds_total=round(perf_counter() - began, 3),
        rows=scored.rows,
        notes=scored.notes,
        lines=tuple(scored.lines),
    )
