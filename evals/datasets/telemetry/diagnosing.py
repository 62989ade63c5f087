"""Scores the SRE agent's own diagnosis on recorded telemetry, from the same evidence pack: no copy, no shortcut."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from agents.sre.diagnose import diagnose
from domain.evidence import Diagnosis, EvidencePack
from evals.datasets.lines import read_lines
from evals.datasets.scoring import Progress, Scored, Told, unheard
from evals.datasets.telemetry.cases import Case, Prediction, Telemetry
from evals.datasets.telemetry.floors import zscore_ranking

Diagnoser = Callable[[EvidencePack], Diagnosis]


@dataclass(frozen=True, slots=True)
class Diagnosed:
    """A data set of recorded telemetry, each case judged by a diagnoser; another one can be injected (sabotage)."""

    telemetry: Telemetry
    diagnoser: Diagnoser = diagnose

    @property
    def name(self) -> str:
        """Return the telemetry's name."""
        return self.telemetry.name

    @property
    def places(self) -> str:
        """Return where the telemetry lies below a data folder."""
        return self.telemetry.places

    def run(self, path: Path, *, rescore: Path | None = None, progress: Told = unheard) -> Scored:
        """Diagnose every case, or take the given predictions; the floor sees the same packs."""
        ids = self.telemetry.case_ids(path)
        given: Mapping[str, Prediction] = {}
        if rescore is not None:
            given = read_lines(rescore, Prediction, lambda line: line.case, ids)
        ours: dict[str, Prediction] = {}
        floor: dict[str, Prediction] = {}
        for done, case in enumerate(self.telemetry.cases(path), start=1):
            packs = case.packs()
            ours[case.case_id] = given.get(case.case_id) or predict(case, packs, self.diagnoser)
            floor[case.case_id] = Prediction(case=case.case_id, ranked=case.named(zscore_ranking(packs[0])))
            progress(Progress(done, len(ids), case.case_id))
        return Scored(len(ids), self.telemetry.score(path, ours, floor), tuple(ours.values()))


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
