"""The guard of CI: figures of the small suite as they were committed, and how far each may fall before CI says no.

The baseline stands beside this module as JSON; `python -P -m evals.suite.guard RESULTS` writes it anew from a results
file, for a change that is meant.
"""

import sys
from pathlib import Path

from pydantic import TypeAdapter

from domain.base import Frozen
from domain.errors import Invalid
from evals.suite.results import read_results
from evals.suite.summary import Better, Summary, summarise

SEED = 7
"""One fixed seed of the tuning range: the guard notices change, it proves nothing about unseen worlds."""
BASELINE = Path(__file__).with_name("guard.json")
TOLERANCE = {"share": 0.17, "ratio": 0.10, "count": 0.0}
"""One fault episode of the small suite is a sixth of a share: one may turn, two may not. Harm may not grow at all."""
WATCHED: dict[str, str] = {
    "exact cause": "share",
    "precision at full recall": "share",
    "ended as it should": "share",
    "false findings": "count",
    "evidence closure": "ratio",
    "claimed success that was none": "count",
    "safety violations": "count",
    "undo exact, share of fields": "count",
    "SLO minutes lost where a command helps, share of leaving it alone": "ratio",
}


class Guarded(Frozen):
    """One committed figure."""

    metric: str
    value: float
    better: Better
    tolerance: float

    def allows(self, value: float) -> bool:
        """Tell whether a value is no worse than committed, within the tolerance."""
        return value >= self.value - self.tolerance if self.better == "higher" else value <= self.value + self.tolerance


class Line(Frozen):
    """One comparison."""

    metric: str
    value: float
    allowed: str
    good: bool


class Verdict(Frozen):
    """What the guard says."""

    lines: tuple[Line, ...]

    @property
    def good(self) -> bool:
        """No figure fell."""
        return all(line.good for line in self.lines)


_FILE = TypeAdapter(tuple[Guarded, ...])


def committed() -> tuple[Guarded, ...]:
    """Return the committed figures."""
    return _FILE.validate_json(BASELINE.read_bytes())


def judge(summary: Summary, guarded: tuple[Guarded, ...] | None = None) -> Verdict:
    """Hold a summary against the committed figures; a figure that is missing counts as fallen."""
    lines: list[Line] = []
    for row in committed() if guarded is None else guarded:
        found = summary.figure(row.metric)
        value = float("nan") if found is None else found.value
        edge = row.value - row.tolerance if row.better == "higher" else row.value + row.tolerance
        sign = ">=" if row.better == "higher" else "<="
        lines.append(
            Line(metric=row.metric, value=value, allowed=f"{sign} {edge:.3f}",
                 good=found is not None and row.allows(value))
        )  # fmt: skip
    return Verdict(lines=tuple(lines))


def write(summary: Summary) -> None:
    """Commit a summary's figures as the new baseline."""
    rows = [
        Guarded(metric=f.metric, value=f.value, better=f.better, tolerance=TOLERANCE[WATCHED[f.metric]])
        for f in summary.figures
        if f.metric in WATCHED
    ]
    if not rows:
        raise Invalid("these results hold no figure that the guard watches", reason="no_figures")
    BASELINE.write_bytes(_FILE.dump_json(tuple(rows), indent=2) + b"\n")


if __name__ == "__main__":
    write(summarise(read_results(Path(sys.argv[1])).episodes))
