"""The way between two services: slow, losing packets, or cut, while the service at its end is well.

Traces keep the time on the way apart from the work at either end. Lost packets show as packets sent again.
"""

from dataclasses import dataclass
from statistics import median

from agents.sre import claims
from agents.sre.case import Case, Suspect
from agents.sre.moves import Move
from domain.evidence import Claim, SpanStats

# Round trips within a region take under a millisecond and between neighbouring ones a few: ten times that is a detour.
SLOW_WAY_MS, SLOWER = 10.0, 3.0
# TCP itself rides out one packet in a hundred; beyond that every few calls wait for one to be sent again.
RESENT = 0.01
# Half of the calls without any answer is no congestion.
CUT = 0.5


@dataclass(frozen=True, slots=True)
class Way:
    """The calls to one service in one region, over all callers in view."""

    callee: str
    region: str
    spans: tuple[SpanStats, ...]

    @property
    def lost(self) -> float:
        """Share of calls without an answer."""
        return sum(s.current_errors for s in self.spans) / max(sum(len(s.current_self_ms) for s in self.spans), 1)


def ways(case: Case) -> list[Way]:
    """Ways that take much longer than they did, or on which calls go without answer."""
    held: dict[tuple[str, str], list[SpanStats]] = {}
    for span in case.pack.spans:
        if span.peer and span.current_self_ms and span.baseline_self_ms and _bad(span):
            held.setdefault((span.peer, span.peer_region), []).append(span)
    return [Way(callee, region, tuple(spans)) for (callee, region), spans in sorted(held.items())]


def _bad(span: SpanStats) -> bool:
    now, usual = _upper(span.current_self_ms), _upper(span.baseline_self_ms)
    more_lost = span.current_errors / len(span.current_self_ms) > 2.0 * span.baseline_errors / len(
        span.baseline_self_ms
    )
    return now >= max(SLOW_WAY_MS, SLOWER * usual) or (more_lost and span.current_errors > 1)


def _upper(times: tuple[float, ...]) -> float:
    """The upper quarter's median: a way that turned bad half a window ago shows there."""
    ordered = sorted(times)
    return median(ordered[len(ordered) // 2 :])


def networks(case: Case) -> list[Suspect]:
    """Return services that are reached badly though they themselves are as well as ever."""
    found: list[Suspect] = []
    for way in ways(case):
        resent = [m for s in way.spans if (m := case.moves.rose(s.entity, "resent")) is not None and m.extreme > RESENT]
        kind = "network_partition" if way.lost >= CUT else "network_loss" if resent else "network_delay"
        suffering = _suffering(case, way)
        unwell = [m for role in ("latency", "errors") if (m := case.moves.rose(way.callee, role)) is not None]
        support: tuple[Claim, ...] = tuple(claims.reached(span) for span in way.spans[:3])
        support += tuple(claims.moved(m) for m in (*resent[:1], *suffering[:2]))
        against = tuple(claims.moved(m, weight=-0.3) for m in unwell if case.slowed(way.callee))
        strength = 0.75 + 0.1 * (not unwell) + 0.1 * bool(suffering) + 0.05 * (len(way.spans) > 1)
        where = f" in {way.region}" if way.region else ""
        word = {"network_partition": "cut off", "network_loss": "losing packets", "network_delay": "slow"}[kind]
        statement = f"the way to {way.callee}{where} is {word}"
        found.append(Suspect(way.callee, kind, strength, statement, support, against))
    return found


def _suffering(case: Case, way: Way) -> list[Move]:
    callers = dict.fromkeys(span.entity for span in way.spans)
    rose = [case.moves.rose(caller, role) for caller in callers for role in ("latency", "errors")]
    return [m for m in rose if m is not None]
