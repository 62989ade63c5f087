"""What to do about a diagnosis: candidates, a wait, or a ticket that names the cause and the missing action.

A fix that did not hold is not tried again, and nothing is proposed on top of a command that is still in flight.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from math import ceil

from agents.spec import Candidate, Remedies
from agents.sre import claims
from agents.sre.case import Case, open_case
from agents.sre.drafts import Draft, owner_team
from agents.sre.fixes import FIXES, taken_back
from agents.sre.moves import Move
from agents.sre.rules_load import SURGE
from domain.base import digest_of
from domain.commands import IN_FLIGHT, State
from domain.evidence import Diagnosis, EvidencePack, Hypothesis

# Rescheduling takes the eviction delay of five minutes plus start-up (Kubernetes defaults); caches refill as fast.
WAITS_S: Mapping[str, int] = {"node_loss": 600, "cache_flush": 600, "zone_loss": 600}
# After half an hour something that should have healed by itself has not.
PATIENCE = timedelta(minutes=30)
# An unexplained symptom gets a second look before a person is bothered.
SECOND_LOOK = timedelta(minutes=10)
LOOK_AGAIN_S = 300
# What others run stumbles for a minute or two more often than it fails (our choice: one five-minute window of metrics).
OUTSIDE = frozenset({"dependency_slow", "dependency_failing"})
STUMBLES = timedelta(minutes=6)
# Adding capacity takes minutes and stays. Flash crowds that pass mostly do so within two of the five-minute windows
# an autoscaler itself waits before it believes a change; a surge is given that long.
SURGE_PASSES = timedelta(minutes=10)
# Within a fifth of the usual level, or half a percent of errors, counts as usual (spread of one-minute medians).
LEVEL_USUAL = 1.2
ERRORS_USUAL = 0.005
MISSING: Mapping[str, str] = {
    "certificate_expiry": "issue and serve a new certificate; rotation belongs to the certificate owner",
    "dependency_slow": "the owner of the dependency has to make it fast again; no command of ours reaches inside it",
    "dependency_failing": "the owner of the dependency has to repair it; no command of ours reaches inside it",
    "node_loss": "bring the node back or add one: replicas did not find a place elsewhere",
    "zone_loss": "the zone's provider has to bring it back; traffic cannot be moved further",
    "secret_expired": "issue a new credential and hand it to its holder; rotation belongs to the owner of the secret",
    "dns_failure": "make the name resolve again: its records, or the resolvers its callers ask",
    "cpu_throttle": "raise the CPU limit, which stands below the request",
    "lock_contention": "end the transaction that holds the lock, and find out why it stays open",
    "replication_lag": "find out why the replica applies less than is written; reads were led to the primary if legal",
    "disk_full": "stop what fills the disk and remove its files; a larger volume alone would fill as well",
    "quota_hit": "raise the quota at the provider, or free what it is spent on: replicas wait for machines",
    "region_loss": "the provider has to bring the region back; failing over to the paired region needs a person",
    "network_delay": "the network's owner has to find the detour or the full link on the way to it",
    "network_loss": "the network's owner has to find where packets are lost on the way to it",
    "network_partition": "the network's owner has to bring back the way to it",
    "cache_flush": "find out why the cache does not warm up",
}
ASK_A_PERSON = "a person has to look: the candidate commands are exhausted or predicted not to help"
_NEVER_RAN = frozenset({State.CANCELLED, State.SUPERSEDED, State.LAPSED})
_WAITING = IN_FLIGHT | {State.PROPOSED, State.AWAITING_APPROVAL, State.APPROVED}


def remedies(pack: EvidencePack, diagnosis: Diagnosis, attempt: int) -> Remedies:
    """Return what code considers for a diagnosis; attempt 1 is the first try."""
    if diagnosis.verdict == "healthy":
        return Remedies(reason="nothing to do")
    if diagnosis.verdict == "unresolved" or not diagnosis.hypotheses:
        return _unresolved(pack, diagnosis, attempt)
    best = diagnosis.hypotheses[0]
    pending = [c for c in pack.open_commands if c.state in _WAITING and not c.kind.startswith("ticket")]
    if pending:
        reason = f"{pending[0].kind} on {pending[0].target} is {pending[0].state}: wait for its outcome"
        return Remedies(wait_s=LOOK_AGAIN_S, reason=reason)
    case = open_case(pack)
    draft = Draft(case, best, attempt)
    wait = _heals(draft)
    if wait is not None:
        return wait
    close = [h for h in diagnosis.hypotheses[1:] if h.confidence >= RIVAL_SHARE * best.confidence]
    rivals = [h for h in close if h.entity != best.entity]
    found: dict[str, Candidate] = {}
    for h in (best, *rivals):
        for c in _fresh(pack, _candidates(Draft(case, h, attempt))):
            likely = replace(c, preference=c.preference * h.confidence / max(best.confidence, 1e-9))
            found.setdefault(digest_of([c.proposal.kind, c.proposal.target.address, c.proposal.arguments]), likely)
    return Remedies(candidates=tuple(found.values()), fallback=ticket(draft), reason=best.statement)


# The fix for another culprit is considered when it is nearly as likely; rehearsal then tells them apart. Another
# reading of the same culprit is not: more room for a greedy neighbour would harm.
RIVAL_SHARE = 0.85


def ticket(draft: Draft, *, cause: str = "", missing: str = "") -> Candidate | None:
    """Tell the owner the cause and the missing action. Texts are ours: nothing quoted from logs."""
    hypothesis = draft.hypothesis
    team = owner_team(draft.pack, hypothesis.entity)
    held = "; ".join(claim.text for claim in hypothesis.supporting[:5])
    cause = cause or f"{hypothesis.statement} ({hypothesis.confidence:.0%}). {held}"
    return draft.candidate(
        "ticket.open",
        hypothesis.entity,
        {
            "owner_team": team,
            "title": f"{hypothesis.fault_class} on {hypothesis.entity}"[:200],
            "cause": cause[:2000],
            "missing_action": (missing or MISSING.get(hypothesis.fault_class, ASK_A_PERSON))[:2000],
            "severity": draft.pack.incident.severity,
        },
        reason=f"{team} must know the cause and the missing action",
        preference=0.1,
    )


def _candidates(draft: Draft) -> list[Candidate]:
    fix = FIXES.get(draft.hypothesis.fault_class)
    return [c for c in fix(draft) if c is not None] if fix is not None else []


def _fresh(pack: EvidencePack, found: Iterable[Candidate]) -> list[Candidate]:
    """Leave out what was tried on the same target before: it did not hold, or we would not be here."""
    tried = {(c.kind, c.target) for c in pack.open_commands if c.state not in _WAITING | _NEVER_RAN}
    return [c for c in found if (c.proposal.kind, c.proposal.target.address) not in tried]


def _heals(draft: Draft) -> Remedies | None:
    """Return a wait where doing nothing is right: it is over, it reschedules, it warms up, it may pass."""
    pack, kind = draft.pack, draft.hypothesis.fault_class
    waited = pack.at - pack.incident.opened_at
    case = draft.case
    if kind != "certificate_expiry" and _over(case):
        return Remedies(wait_s=LOOK_AGAIN_S, reason="the symptoms are gone")
    if waited < PATIENCE and taken_back(draft):
        return Remedies(wait_s=LOOK_AGAIN_S, reason=f"{draft.hypothesis.statement}; it has been taken back already")
    if kind in WAITS_S and waited < PATIENCE and not _candidates(draft):
        return Remedies(wait_s=WAITS_S[kind], reason=f"{draft.hypothesis.statement}; it heals by itself")
    if kind in OUTSIDE and waited < STUMBLES:
        left_s = ceil((STUMBLES - waited).total_seconds())
        return Remedies(wait_s=left_s, reason=f"{draft.hypothesis.statement}; it may be a stumble")
    if kind == "traffic_surge":
        demand = case.moves.of(draft.hypothesis.entity, "traffic")
        if demand is not None and demand.latest < SURGE * demand.lately:
            return Remedies(wait_s=LOOK_AGAIN_S, reason="demand is back; queues drain by themselves")
        rose = case.onset if demand is None else max(case.onset, case.instant(demand.since_s))
        if (left_s := (rose + SURGE_PASSES - pack.at).total_seconds()) > 0:
            return Remedies(wait_s=ceil(left_s), reason="most surges pass within minutes: this one is still young")
    return None


def _over(case: Case) -> bool:
    """Tell whether what showed symptoms is back at its usual level; what was never seen to leave it tells nothing."""
    return _calm(case) and any(move.rose or move.fell for move in _pains(case))


def _calm(case: Case) -> bool:
    """Tell whether every entity that was reported is at its usual level now."""
    moves = _pains(case)
    return bool(moves) and all(_usual(move) for move in moves)


def _pains(case: Case) -> list[Move]:
    return [
        move
        for entity in case.pack.incident.entities
        for role in ("latency", "errors", "ready")
        if (move := case.moves.of(entity, role)) is not None
    ]


def _usual(move: Move) -> bool:
    if move.role == "errors":
        return move.latest <= max(move.before, ERRORS_USUAL)
    if move.role == "ready":
        return move.latest >= move.before / LEVEL_USUAL
    return move.latest <= LEVEL_USUAL * move.before


def _unexplained(case: Case, blamed: str) -> Hypothesis:
    """Say what is out of its range, and cite it: what nobody can explain must still be seen."""
    moved = sorted(case.moves.by_entity.get(blamed, ()), key=lambda m: -max(m.up, m.down))
    told = [claims.told(case.pack, entity) for entity in dict.fromkeys((blamed, case.pack.symptom))]
    support = (*(claims.moved(m) for m in moved[:3] if m.rose or m.fell), *told)
    return Hypothesis(
        entity=blamed,
        fault_class="unexplained",
        statement=f"{blamed} is out of its usual range",
        confidence=0.0,
        score=0.0,
        supporting=tuple(claim for claim in support if claims.check(claim, case.pack)),
    )


def _unresolved(pack: EvidencePack, diagnosis: Diagnosis, attempt: int) -> Remedies:
    if pack.at - pack.incident.opened_at < SECOND_LOOK:
        return Remedies(wait_s=LOOK_AGAIN_S, reason=diagnosis.summary)
    case = open_case(pack)
    if _calm(case):
        return Remedies(wait_s=LOOK_AGAIN_S, reason="the symptoms are gone")
    best = diagnosis.hypotheses[0] if diagnosis.hypotheses else None
    blamed = diagnosis.ranked[0][0] if diagnosis.ranked else pack.symptom
    draft = Draft(case, best or _unexplained(case, blamed), attempt)
    return Remedies(fallback=ticket(draft, cause=diagnosis.summary, missing=ASK_A_PERSON), reason=diagnosis.summary)
