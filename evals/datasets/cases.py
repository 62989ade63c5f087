"""A case is telemetry and what was noticed; a diagnoser turns its pack into a diagnosis; labels stay elsewhere."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Protocol

from domain.evidence import Diagnosis, EvidencePack
from evals.datasets.recorded import Recording, SymptomSeen
from evals.datasets.scoring import Prediction, Row

Diagnoser = Callable[[EvidencePack], Diagnosis]
"""The agent's own diagnosis; injected, so that a sabotaged one can be scored as well."""


@dataclass(frozen=True, slots=True)
class Case:
    """One question: who is to blame? With several symptoms, each is diagnosed; the first that finds a cause answers."""

    case_id: str
    recording: Recording
    symptoms: tuple[SymptomSeen, ...]
    names: Mapping[str, str] = field(default_factory=dict[str, str])
    """Entity address -> the data set's own name, for the predictions."""

    def packs(self) -> tuple[EvidencePack, ...]:
        """Return one evidence pack per symptom. The case id stays out of it."""
        return tuple(self.recording.pack(one, title=f"{one.kind} of {one.entity}") for one in self.symptoms)

    def named(self, ranked: Sequence[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
        """Return the ranking under the data set's own names."""
        return tuple((self.names.get(entity, entity), score) for entity, score in ranked)


class Dataset(Protocol):
    """One public data set: its cases, its labels, and the rows that score predictions."""

    name: str

    def cases(self, path: Path) -> Iterator[Case]:
        """Yield the cases under `path`; nothing of the labels is in them."""
        ...

    def case_ids(self, path: Path) -> tuple[str, ...]:
        """Return the ids of all cases, in order."""
        ...

    def score(
        self, path: Path, predictions: Mapping[str, Prediction], floor: Mapping[str, Prediction]
    ) -> tuple[Row, ...]:
        """Read the labels and return the rows for our predictions, the floor's, and the record."""
        ...


def predict(case: Case, packs: Sequence[EvidencePack], diagnoser: Diagnoser) -> Prediction:
    """Diagnose one case; `seconds` is the diagnosis alone, without building the packs."""
    seconds = 0.0
    ranked: tuple[tuple[str, float], ...] = ()
    for pack in packs:
        began = perf_counter()
        ranked = diagnoser(pack).ranked
        seconds += perf_counter() - began
        if ranked:
            break
    return Prediction(case=case.case_id, ranked=case.named(ranked), seconds=round(seconds, 4))
