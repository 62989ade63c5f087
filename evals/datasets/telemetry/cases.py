"""A case is telemetry and what was noticed; a prediction is who is to blame for it; labels stay elsewhere."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pydantic import Field

from domain.base import Frozen
from domain.evidence import EvidencePack
from evals.datasets.scoring import Row
from evals.datasets.telemetry.recorded import Recording, SymptomSeen


class Prediction(Frozen):
    """One line: the case, entities best first (none when nobody is to blame), seconds taken."""

    case: str
    ranked: tuple[tuple[str, float], ...]
    seconds: float = Field(default=0.0, ge=0)


def hit_at(prediction: Prediction, truth: str, k: int) -> bool:
    """Tell whether the truth is among the first k."""
    return truth in [entity for entity, _ in prediction.ranked[:k]]


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
        return self.recording.packs(self.symptoms)

    def named(self, ranked: Sequence[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
        """Return the ranking under the data set's own names."""
        return tuple((self.names.get(entity, entity), score) for entity, score in ranked)


class Telemetry(Protocol):
    """A public data set of recorded telemetry: its cases, its labels, and the rows that score predictions."""

    name: str
    places: str

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
