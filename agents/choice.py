"""The last choice of a run: by predicted benefit, then reversibility, then blast radius; never against a prediction.

Experience shifts the order of candidates and nothing else; a rehearsal that says harm or no effect removes one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from agents.spec import Candidate, Ending, Rehearsed, Remedies
from domain.command_kinds import CATALOGUE, CommandKind, Reversibility
from domain.commands import Prediction, Proposal
from domain.evidence import Diagnosis, PastOutcome

# Attainment below this change is within the twin's own noise between two runs under common random numbers.
NO_EFFECT = 0.002
# Gains within two points are the same: the twin's intervals are several points wide.
GAIN_STEP = 0.02
TURNS_AWAY: frozenset[CommandKind] = frozenset({"tenant.throttle"})
# A predicted loss of attainment beyond one point is harm, whatever else improves: it spends budgets in hours.
HARM = 0.01
# Verified experience moves a preference by at most this: it breaks ties, it does not overrule the fault class.
EXPERIENCE = 0.3
_ORDER: dict[Reversibility, int] = {"harmless": 0, "inverse": 0, "one_way": 1}


@dataclass(frozen=True, slots=True)
class Choice:
    """How the run ends."""

    ending: Ending
    proposals: tuple[Proposal, ...] = ()
    wait_s: int | None = None
    reason: str = ""


def promising(candidates: Sequence[Candidate], past: Sequence[PastOutcome]) -> tuple[Candidate, ...]:
    """Order candidates by preference, shifted by what verified outcomes of similar incidents say about their kind."""

    def liking(candidate: Candidate) -> float:
        votes = [(p.similarity * p.weight, p.worked) for p in past if p.command_kind == candidate.proposal.kind]
        total = sum(weight for weight, _ in votes)
        if total <= 0:
            return candidate.preference
        lean = sum(weight if worked else -weight for weight, worked in votes) / total
        return candidate.preference + EXPERIENCE * lean * min(total, 1.0)

    return tuple(sorted(candidates, key=lambda c: (-liking(c), c.blast_radius, c.proposal.kind)))


def choose(diagnosis: Diagnosis, remedies: Remedies, rehearsed: Sequence[Rehearsed]) -> Choice:
    """Return the one proposal, the ticket, the wait, or nothing."""
    if diagnosis.verdict == "healthy":
        return Choice("nothing", reason="nothing is significantly out of its usual range")
    if remedies.wait_s is not None:
        return Choice("wait", wait_s=remedies.wait_s, reason=remedies.reason)
    kept = [r for r in rehearsed if not _rejected(r.prediction)]
    if kept:
        best = min(enumerate(kept), key=lambda pair: _rank(pair[1], pair[0]))[1]
        return Choice("act", (_with_prediction(best),), reason=best.candidate.reason)
    if remedies.fallback is not None:
        told = "no legal command fixes this" if not rehearsed else "rehearsal predicts harm or no effect"
        return Choice("ticket", (remedies.fallback.proposal,), reason=f"{told}: {remedies.fallback.reason}")
    return Choice("nothing", reason=remedies.reason or "no cause found that a command could address")


def _rejected(prediction: Prediction | None) -> bool:
    if prediction is None or not prediction.known or prediction.slo_attainment is None:
        return False
    return prediction.slo_attainment.value < -HARM or without_effect(prediction)


def without_effect(prediction: Prediction) -> bool:
    """Tell whether the twin knows, and sees nothing get better or worse."""
    gain = prediction.slo_attainment
    return prediction.known and gain is not None and -HARM <= gain.value < NO_EFFECT and not _faster(prediction)


def _faster(prediction: Prediction) -> bool:
    """Attainment can already be spent or saturated; a clear fall of latency or errors is an effect, too."""
    gains = (prediction.latency_p95_ms, prediction.error_rate)
    return any(q is not None and q.high < 0 for q in gains)


def _rank(row: Rehearsed, place: int) -> tuple[int, int, int, int]:
    """Lower is better: what can be taken back and serves everybody first, then the predicted gain in coarse steps.

    Attainment counts served requests only, so a throttle always looks good: it comes after what turns nobody away.
    """
    kind = row.candidate.proposal.kind
    tier = 2 * _ORDER[CATALOGUE[kind].reversibility] + (kind in TURNS_AWAY)
    gain = row.prediction.slo_attainment if row.prediction is not None and row.prediction.known else None
    steps = 0 if gain is None else round(gain.value / GAIN_STEP)
    return tier, -steps, place, row.candidate.blast_radius


def _with_prediction(row: Rehearsed) -> Proposal:
    return row.candidate.proposal.model_copy(update={"prediction": row.prediction})
