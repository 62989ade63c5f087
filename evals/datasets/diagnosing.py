"""The diagnosis under test. It is the agent's own; this file only names it."""

from analysis.observing import observations_of
from analysis.ranking import rank
from domain.evidence import Diagnosis, EvidencePack


def agent_diagnosis(pack: EvidencePack) -> Diagnosis:
    """Diagnose from the ranking alone."""
    ranking = rank(observations_of(pack))
    return Diagnosis(
        verdict="healthy" if ranking.abstained else "cause_found", ranked=ranking.ranked, summary=ranking.why
    )
