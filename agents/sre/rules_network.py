"""The way between two services: slow, losing packets, or cut, while the service at its end is well.

Traces keep the time on the way apart from the work at either end. Lost packets show as packets sent again.
"""

from dataclasses import dataclass

from agents.sre import claims
from agents.sre.case import Case, Suspect
from agents.sre.moves import Move
from domain.evidence import Claim, SpanStats

# A few long calls are chance; one in twenty is not, where there were next to none.
FEWEST, SHARE = 3, 0.05
# TCP itself rides out one packet in a hundred; beyond that every few calls wait for one to be sent again.
RESENT = 0.01
# Half of the calls that fared badly without any answer is no congestion.
CUT = 0.5


@dataclass(frozen=True, slots=True)
class Way:
    """The calls to one service in one region, over all callers in view."""

    callee: str
    region: str
    spans: tuple[SpanStats, ...]

    @property
    def lost(self) -> float:
        """Share of the calls that fared badly which had no answer at all."""
        long = sum(claims.long_ways(s)[0] for s in self.spans)
        return sum(s.current_errors for s in self.spans) / max(long, 1)


def ways(case: Case) -> list[Way]:
    """Ways on which many more calls take long, or find no answer, than did before."""
    held: dict[tuple[str, str], list[SpanStats]] = {}
    for span in case.pack.spans:
        if span.peer and span.current_self_ms and span.baseline_self_ms and _bad(span):
            held.setdefault((span.peer, span.peer_region), []).append(span)
    return [Way(callee, region, tuple(spans)) for (callee, region), spans in sorted(held.items())]


def _bad(span: SpanStats) -> bool:
    """Whether clearly more calls are long than were: the window holds quiet minutes before the onset as well."""
    now, usual = claims.long_ways(span)
    share, before = now / len(span.current_self_ms), usual / len(span.baseline_self_ms)
    return now >= FEWEST and share - before >= max(SHARE, before)


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
