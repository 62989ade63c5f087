"""Load that keeps itself up: users give up waiting and ask again, and their repeats are what nobody is waiting for."""

import re

from agents.sre import claims
from agents.sre.case import Case, Suspect
from agents.sre.rules_calls import loud
from agents.sre.rules_load import SURGE
from domain.evidence import LogPattern

# How gateways and clients word it: attempt counters, idempotency keys seen before.
REPEATED = re.compile(
    r"came again|\battempt\b|\bretr(?:y|ies|ied|ying)\b|duplicate request|already seen", re.IGNORECASE
)
# A fifth of the load: below that repeats follow failures and do not carry them.
CARRIES = 0.2


def retry_storms(case: Case) -> list[Suspect]:
    """Return entries that fail or are slow under a load of which repeats are a large part."""
    called = {e.target for e in case.pack.topology.edges if e.kind == "calls"}
    found: list[Suspect] = []
    for pattern in case.pack.logs:
        traffic = case.moves.rose(pattern.entity, "traffic")
        if pattern.entity in called or traffic is None or not REPEATED.search(pattern.template) or not loud(pattern):
            continue
        share = _share(case, pattern)
        harmed = [m for role in ("errors", "latency") if (m := case.moves.rose(pattern.entity, role)) is not None]
        if traffic.extreme < SURGE * traffic.lately or share < CARRIES or not harmed:
            continue
        # without the repeats there would be hardly more demand than usual: then the storm feeds itself
        alone = (1.0 - share) * traffic.latest < SURGE * traffic.lately
        strength = 0.65 + 0.4 * share + 0.1 * alone
        support = (claims.logged(pattern, weight=1.0), claims.moved(traffic), *(claims.moved(m) for m in harmed))
        against = () if alone else (claims.moved(traffic, weight=-0.3),)
        statement = f"{share:.0%} of what {pattern.entity} gets are repeats of requests it did not answer in time"
        found.append(Suspect(pattern.entity, "retry_storm", strength, statement, support, against))
    return found


def _share(case: Case, pattern: LogPattern) -> float:
    """Repeats per request since it began, at most 1."""
    requests = 0.0
    for row in case.pack.series:
        if row.entity == pattern.entity and row.kind == "traffic":
            first = max(round((case.onset - row.start).total_seconds() / row.step_s), 0)
            requests += sum(value * row.step_s for value in row.values[first:] if value is not None)
    return min(pattern.current_count / requests, 1.0) if requests > 0.0 else 0.0
