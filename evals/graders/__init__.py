"""Graders: one file each, one line in the table below; each value comes with its reason."""

from evals.episodes.played import Played
from evals.episodes.record import Grade
from evals.graders.base import Grader
from evals.graders.diagnosis import diagnosis
from evals.graders.effort import effort
from evals.graders.evidence import evidence
from evals.graders.findings import findings
from evals.graders.honesty import honesty
from evals.graders.outcome import ending, outcome
from evals.graders.safety import safety
from evals.graders.undo import undo

GRADERS: tuple[Grader, ...] = (outcome, ending, diagnosis, findings, evidence, safety, honesty, undo, effort)

__all__ = ["GRADERS", "grade"]


def grade(played: Played) -> dict[str, Grade]:
    """Return every grader's values."""
    grades: dict[str, Grade] = {}
    for grader in GRADERS:
        grades |= grader(played)
    return grades
