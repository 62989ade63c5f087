"""Rehearsals that have been wrong here before say so: intervals widened by the tenant's own prediction errors.

Every verified outcome keeps what was predicted, with its interval, and what was measured. How many half-widths the
measurements were off by, at the conformal 90 % quantile, widens the next prediction. It never narrows one: what went
well on a few outcomes promises nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from domain.commands import Prediction, Proposal, Quantity
from domain.evidence import EvidencePack
from domain.outcomes import Outcome, PredictionError
from domain.ports import Rehearsal

COVERAGE = 0.9
# The newest outcomes: an estate and its twin change, and fifty give the 90 % quantile to within five points.
NEWEST = 50
_SHOWN_BY: dict[str, tuple[str, ...]] = {
    "latency_p95_ms": ("latency_p95_ms",),
    "error_rate": ("error_rate",),
    "slo_attainment": ("latency_p95_ms", "error_rate"),
}
"""Which measured quantities tell of a predicted one; requests miss the objective by failing or by being slow."""

# Below these nobody cares how near it was: five milliseconds, half a point.
_LEAST = {"latency_p95_ms": 5.0, "error_rate": 0.005}


@dataclass(frozen=True, slots=True)
class Experienced:
    """A Rehearsal around another, with the outcomes of the tenant it speaks to."""

    rehearsal: Rehearsal
    past: tuple[Outcome, ...]

    def rehearse(self, pack: EvidencePack, proposal: Proposal, *, horizon_s: int) -> Prediction:
        """Predict as the inner rehearsal does, with its intervals widened."""
        prediction = self.rehearsal.rehearse(pack, proposal, horizon_s=horizon_s)
        errors = [e for outcome in self.past[-NEWEST:] for e in outcome.errors]
        return prediction.model_copy(update=_wider(prediction, errors))


def inflation(errors: Sequence[PredictionError]) -> float:
    """Half-widths that hold 90 % of these errors; 1 where they held anyway, or are too few to say (under nine)."""
    scores = sorted(_score(e) for e in errors)
    rank = ceil((len(scores) + 1) * COVERAGE)
    return max(1.0, scores[rank - 1]) if 0 < rank <= len(scores) else 1.0


def _score(error: PredictionError) -> float:
    """Half-widths, of the side the measurement is on, between it and what was predicted."""
    reach = error.high - error.predicted if error.measured > error.predicted else error.predicted - error.low
    return abs(error.measured - error.predicted) / max(reach, _LEAST[error.quantity])


def _wider(prediction: Prediction, errors: Sequence[PredictionError]) -> dict[str, Quantity]:
    wider: dict[str, Quantity] = {}
    for name, shown_by in _SHOWN_BY.items():
        quantity: Quantity | None = getattr(prediction, name)
        factor = max(inflation([e for e in errors if e.quantity == told]) for told in shown_by)
        if quantity is not None and factor > 1.0:
            wider[name] = Quantity(
                value=quantity.value,
                low=quantity.value - factor * (quantity.value - quantity.low),
                high=quantity.value + factor * (quantity.high - quantity.value),
            )
    return wider
