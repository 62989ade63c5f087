"""Claims in a closed grammar: code writes them, and code can check them against the evidence they cite.

`check` recomputes every number from the pack. A claim that cites nothing, cites something else, or is worded
otherwise is not supported, whoever wrote it.
"""

import re
from collections.abc import Callable
from math import isclose
from statistics import median

from agents.sre.moves import Move, move_of
from analysis.observing import observations_of
from domain.evidence import ChangeRecord, Claim, EvidencePack, LogPattern, SpanStats
from domain.ids import EvidenceId
from domain.topology import Certificate

# Numbers in claims carry four digits; half a percent covers their rounding.
TOLERANCE = 0.005
# Round trips within a region take under a millisecond and between neighbouring ones a few: ten is a detour.
LONG_WAY_MS, LONGER = 10.0, 3.0
_NUMBER = r"(-?[0-9.]+(?:e[-+]?[0-9]+)?)"
_MOVED = re.compile(rf"(\S+) (\S+) \((\S*)\) (rose|fell) from {_NUMBER} to {_NUMBER}")
_STEADY = re.compile(rf"(\S+) (\S+) \((\S*)\) stayed near {_NUMBER}")
_LEVEL = re.compile(rf"(\S+) (\S+) \((\S*)\) is at {_NUMBER}, usually {_NUMBER}")
_REACHED = re.compile(
    r"(\d+) of (\d+) calls of (\S+) to (\S+) in (\S+) were long on the way, (\d+) of (\d+) before; (\d+) had no answer"
)
_CHANGED = re.compile(r"(\w+) of (\S+) at (\S+)")
_LOGGED = re.compile(r"(\S+) logged a pattern (\d+) times, (\d+) before")
_DEPENDS = re.compile(r"(\S+) (calls|runs_on|stores_in|secured_by|member_of) (\S+)")
_ENDS = re.compile(r"certificate/(\S+) ends at (\S+)")
_TOLD = re.compile(r"symptom of (\S+)")


def moved(move: Move, *, weight: float = 1.0) -> Claim:
    """State that a series rose or fell."""
    verb = "rose" if move.up >= move.down else "fell"
    text = f"{_name(move)} {verb} from {move.before:.4g} to {move.extreme:.4g}"
    return Claim(text=text, evidence=(EvidenceId(move.ref),), weight=weight)


def steady(move: Move, *, weight: float = -1.0) -> Claim:
    """State that a series did not move."""
    text = f"{_name(move)} stayed near {move.before:.4g}"
    return Claim(text=text, evidence=(EvidenceId(move.ref),), weight=weight)


def level(move: Move, *, weight: float = 0.5) -> Claim:
    """State where a series stands now and stood before, however little it moved."""
    text = f"{_name(move)} is at {move.now:.4g}, usually {move.before:.4g}"
    return Claim(text=text, evidence=(EvidenceId(move.ref),), weight=weight)


def reached(span: SpanStats, *, weight: float = 1.0) -> Claim:
    """State how many calls were long on the way to a callee, now and before, and how many had no answer."""
    now, usual = long_ways(span)
    text = f"{now} of {len(span.current_self_ms)} calls of {span.entity} to {span.peer} in {span.peer_region or 'any'}"
    text += f" were long on the way, {usual} of {len(span.baseline_self_ms)} before"
    return Claim(text=f"{text}; {span.current_errors} had no answer", evidence=(span.evidence,), weight=weight)


def long_ways(span: SpanStats) -> tuple[int, int]:
    """Return how many calls were long on the way to the callee, now and before."""
    limit = max(LONG_WAY_MS, LONGER * median(span.baseline_self_ms)) if span.baseline_self_ms else LONG_WAY_MS
    return sum(t >= limit for t in span.current_self_ms), sum(t >= limit for t in span.baseline_self_ms)


def changed(change: ChangeRecord, *, weight: float = 1.0) -> Claim:
    """State that something was changed, and when."""
    text = f"{change.kind} of {change.entity} at {change.at.isoformat()}"
    return Claim(text=text, evidence=(change.evidence,), weight=weight)


def logged(pattern: LogPattern, *, weight: float = 0.3) -> Claim:
    """State how often a pattern was logged; its text stays in the evidence, it is not ours."""
    text = f"{pattern.entity} logged a pattern {pattern.current_count} times, {pattern.baseline_count} before"
    return Claim(text=text, evidence=(pattern.evidence,), weight=weight)


def told(pack: EvidencePack, entity: str) -> Claim:
    """State that symptoms of an entity were reported."""
    cited = tuple(item.id for item in pack.items if item.kind == "symptom" and entity.partition("/")[2] in item.text)
    return Claim(text=f"symptom of {entity}", evidence=cited[:5], weight=0.5)


def depends(pack: EvidencePack, source: str, kind: str, target: str, *, weight: float = 0.2) -> Claim:
    """State a dependency."""
    cited = tuple(item.id for item in pack.items if item.kind == "topology")
    return Claim(text=f"{source} {kind} {target}", evidence=cited, weight=weight)


def ends(pack: EvidencePack, certificate: Certificate) -> Claim:
    """State when a certificate ends."""
    cited = tuple(item.id for item in pack.items if item.kind == "topology")
    text = f"certificate/{certificate.id} ends at {certificate.not_after.isoformat()}"
    return Claim(text=text, evidence=cited, weight=1.0)


def check(claim: Claim, pack: EvidencePack) -> bool:
    """Tell whether the cited evidence supports the claim, by recomputing it from the pack."""
    if not claim.evidence or any(pack.item(cited) is None for cited in claim.evidence):
        return False
    for pattern, verify in _CHECKS:
        match = pattern.fullmatch(claim.text)
        if match is not None:
            return verify(claim, pack, match)
    return False


def _check_moved(claim: Claim, pack: EvidencePack, match: re.Match[str]) -> bool:
    move = _recomputed(claim, pack, match)
    if move is None:
        return False
    verb = "rose" if move.up >= move.down else "fell"
    return verb == match[4] and _near(match[5], move.before) and _near(match[6], move.extreme)


def _check_steady(claim: Claim, pack: EvidencePack, match: re.Match[str]) -> bool:
    move = _recomputed(claim, pack, match)
    return move is not None and not move.rose and not move.fell and _near(match[4], move.before)


def _check_level(claim: Claim, pack: EvidencePack, match: re.Match[str]) -> bool:
    move = _recomputed(claim, pack, match)
    return move is not None and _near(match[4], move.now) and _near(match[5], move.before)


def _check_reached(claim: Claim, pack: EvidencePack, _match: re.Match[str]) -> bool:
    cited = [span for span in pack.spans if span.evidence in claim.evidence]
    return any(span.peer and reached(span).text == claim.text for span in cited)


def _check_changed(claim: Claim, pack: EvidencePack, match: re.Match[str]) -> bool:
    stated = (match[1], match[2], match[3])
    return any(c.evidence in claim.evidence and (c.kind, c.entity, c.at.isoformat()) == stated for c in pack.changes)


def _check_logged(claim: Claim, pack: EvidencePack, match: re.Match[str]) -> bool:
    counts = (match[1], int(match[2]), int(match[3]))
    return any(
        row.evidence in claim.evidence and (row.entity, row.current_count, row.baseline_count) == counts
        for row in pack.logs
    )


def _check_depends(claim: Claim, pack: EvidencePack, match: re.Match[str]) -> bool:
    cited = {item.kind for item in pack.items if item.id in claim.evidence}
    return cited == {"topology"} and any(
        (e.source, e.kind, e.target) == (match[1], match[2], match[3]) for e in pack.topology.edges
    )


def _check_ends(claim: Claim, pack: EvidencePack, match: re.Match[str]) -> bool:
    cited = {item.kind for item in pack.items if item.id in claim.evidence}
    stated = (match[1], match[2])
    return cited == {"topology"} and any((c.id, c.not_after.isoformat()) == stated for c in pack.topology.certificates)


def _check_told(claim: Claim, pack: EvidencePack, match: re.Match[str]) -> bool:
    name = match[1].partition("/")[2]
    cited = [item for item in pack.items if item.id in claim.evidence]
    return all(item.kind == "symptom" and name in item.text for item in cited)


_CHECKS: tuple[tuple[re.Pattern[str], Callable[[Claim, EvidencePack, re.Match[str]], bool]], ...] = (
    (_MOVED, _check_moved),
    (_STEADY, _check_steady),
    (_LEVEL, _check_level),
    (_REACHED, _check_reached),
    (_CHANGED, _check_changed),
    (_LOGGED, _check_logged),
    (_DEPENDS, _check_depends),
    (_ENDS, _check_ends),
    (_TOLD, _check_told),
)


def _recomputed(claim: Claim, pack: EvidencePack, match: re.Match[str]) -> Move | None:
    named = (match[1], match[2], match[3])
    rows = [r for r in pack.series if r.evidence in claim.evidence and (r.entity, r.metric, r.statistic) == named]
    small = pack.model_copy(update={"series": tuple(rows), "spans": (), "logs": (), "changes": ()})
    return next((move for one in observations_of(small).series if (move := move_of(one)) is not None), None)


def _near(stated: str, value: float) -> bool:
    return isclose(float(stated), value, rel_tol=TOLERANCE, abs_tol=1e-9)


def _name(move: Move) -> str:
    return f"{move.entity} {move.metric} ({move.statistic})"
