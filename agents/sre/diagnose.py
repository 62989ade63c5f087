"""From an evidence pack to competing hypotheses with evidence for and against, or to saying that there is none.

The ranking says who, the rules say what; every claim is checked against the pack before it leaves.
"""

from collections.abc import Callable

from agents.sre.case import Case, Suspect, open_case
from agents.sre.claims import check
from agents.sre.rules_calls import logins, names
from agents.sre.rules_changes import configurations, releases
from agents.sre.rules_ground import quotas, throttling
from agents.sre.rules_load import lost_ground, neighbours, surges
from agents.sre.rules_network import networks
from agents.sre.rules_state import caches, certificates, dependencies, memory, pools, saturation
from agents.sre.rules_stores import disks, locks, replicas
from agents.sre.rules_storms import retry_storms
from domain.evidence import Diagnosis, EvidencePack, Hypothesis

RULES: tuple[Callable[[Case], list[Suspect]], ...] = (
    certificates,
    names,
    logins,
    lost_ground,
    releases,
    configurations,
    surges,
    retry_storms,
    neighbours,
    pools,
    memory,
    caches,
    dependencies,
    saturation,
    locks,
    replicas,
    disks,
    throttling,
    quotas,
    networks,
)
# Below even odds a hypothesis is a guess: nothing is done on it.
CAUSE = 0.5
MAX_HYPOTHESES = 6
# Nobody is certain from telemetry alone.
MOST = 0.99
# What the rules reason out is too timid at both ends. Slope of the log odds on random worlds, seeds 0 to 4: 0.9 over
# first hypotheses before the rules were mended, 1.4 after, 1.9 and more over all; the middle.
SHARPER = 1.3


def diagnose(pack: EvidencePack) -> Diagnosis:
    """Return ranked hypotheses; `healthy` when nothing is out of range, `unresolved` when none convinces."""
    case = open_case(pack)
    suspects = sorted((s for rule in RULES for s in rule(case)), key=lambda s: (-s.strength, s.entity, s.fault_class))
    told = [_hypothesis(s, suspects, pack) for s in _one_per_cause(suspects)[:MAX_HYPOTHESES]]
    hypotheses = tuple(sorted((h for h in told if h.supporting), key=lambda h: -h.confidence))
    ranked = case.ranking.ranked
    if not hypotheses and not ranked:
        return Diagnosis(verdict="healthy", summary="nothing is significantly out of its usual range", gaps=pack.gaps)
    if not hypotheses or hypotheses[0].confidence < CAUSE:
        blamed = ", ".join(entity for entity, _ in ranked[:3]) or "nobody"
        summary = f"no explanation convinces; blamed most: {blamed}"
        return Diagnosis(verdict="unresolved", hypotheses=hypotheses, ranked=ranked, summary=summary, gaps=pack.gaps)
    return Diagnosis(
        verdict="cause_found",
        hypotheses=hypotheses,
        ranked=ranked,
        summary=f"{hypotheses[0].statement} ({hypotheses[0].confidence:.0%})",
        gaps=pack.gaps,
    )


def _one_per_cause(suspects: list[Suspect]) -> list[Suspect]:
    kept: dict[tuple[str, str], Suspect] = {}
    for suspect in suspects:
        kept.setdefault((suspect.entity, suspect.fault_class), suspect)
    return list(kept.values())


def _hypothesis(suspect: Suspect, rivals: list[Suspect], pack: EvidencePack) -> Hypothesis:
    """Confidence is the strength, less the better a rival about another entity or class explains the same."""
    other = [r.strength for r in rivals if (r.entity, r.fault_class) != (suspect.entity, suspect.fault_class)]
    rival = max(other, default=0.0)
    doubt = 0.25 * rival if rival < suspect.strength else 0.25 + 0.5 * (rival - suspect.strength)
    against = 0.1 * len(suspect.contradicting)
    missing = 0.1 if pack.gaps else 0.0
    reasoned = min(max(suspect.strength * (1.0 - doubt) - against - missing, 0.0), MOST)
    return Hypothesis(
        entity=suspect.entity,
        fault_class=suspect.fault_class,
        statement=suspect.statement,
        confidence=_calibrated(reasoned),
        score=suspect.strength,
        supporting=tuple(c for c in suspect.supporting if check(c, pack)),
        contradicting=tuple(c for c in suspect.contradicting if check(c, pack)),
    )


def _calibrated(reasoned: float) -> float:
    """Return the odds to the power that makes them come true (Platt scaling without an offset: even stays even)."""
    true, false = reasoned**SHARPER, (1.0 - reasoned) ** SHARPER
    return min(true / (true + false), MOST)
