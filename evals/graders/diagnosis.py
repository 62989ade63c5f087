"""Diagnosis: was the exact cause named, and how much else was named with it.

An answer is the first hypothesis of a run that found a cause; each incident's last such answer counts, the one that
led to commands before others. Entity and fault class must both be right.
"""

from collections.abc import Mapping

from domain.ids import IncidentId
from evals.episodes.played import Played
from evals.episodes.record import Grade
from evals.graders.base import none
from mesh.journal import Run
from runtime.simulator.faults import Truth

Named = tuple[str, str]
"""Entity and fault class."""


def diagnosis(played: Played) -> Mapping[str, Grade]:
    """Return whether every cause was named, at last and at first, and precision at full recall (else 0)."""
    causes = [truth for _, truth in played.director.causes()]
    if not causes:
        return {"exact_cause": none("nothing is wrong"), "precision": none("nothing is wrong")}
    answers = final_answers(played)
    found = [any(_names(answer, truth) for answer in answers) for truth in causes]
    right = sum(any(_names(answer, truth) for truth in causes) for answer in answers)
    first = _first_answer(played)
    told = "; ".join(f"{entity} {fault_class}" for entity, fault_class in answers) or "no cause named"
    truth = "; ".join(f"{t.entity} {t.fault_class}" for t in causes)
    precision = right / len(answers) if answers and all(found) else 0.0
    entity = all(any(answer[0] in {t.entity, *t.also} for answer in answers) for t in causes)
    return {
        "exact_cause": Grade(value=float(all(found)), reason=f"said {told}; true {truth}"),
        "right_entity": Grade(value=float(entity), reason=f"said {told}; true {truth}"),
        "first_answer": Grade(
            value=float(first is not None and any(_names(first, truth) for truth in causes)),
            reason=f"said first {' '.join(first) if first else 'nothing'}",
        ),
        "precision": Grade(
            value=precision, reason=f"{right} of {len(answers)} answers right, full recall {all(found)}"
        ),
    }


def final_answers(played: Played) -> tuple[Named, ...]:
    """Return each incident's final answer, without repetition: several incidents may tell of one cause."""
    latest: dict[IncidentId, tuple[bool, Run]] = {}
    for _, run in played.runs():
        if run.diagnosis is None or run.diagnosis.verdict != "cause_found":
            continue
        proposing = bool(run.proposals)
        if proposing or not latest.get(run.incident, (False, run))[0]:
            latest[run.incident] = (proposing, run)
    found: dict[Named, None] = {}
    for _, run in latest.values():
        if run.diagnosis is not None and run.diagnosis.hypotheses:
            first = run.diagnosis.hypotheses[0]
            found[first.entity, first.fault_class] = None
    return tuple(found)


def _first_answer(played: Played) -> Named | None:
    """Return what was said before anything was tried: a cause found by trial and error is not in it."""
    for _, run in played.runs():
        if run.diagnosis is not None and run.diagnosis.verdict == "cause_found" and run.diagnosis.hypotheses:
            return run.diagnosis.hypotheses[0].entity, run.diagnosis.hypotheses[0].fault_class
    return None


def _names(answer: Named, truth: Truth) -> bool:
    return answer[0] in {truth.entity, *truth.also} and answer[1] == truth.fault_class
