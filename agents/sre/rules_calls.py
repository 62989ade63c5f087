"""Calls that never get through though both ends are well: names that do not resolve, logins that are refused.

Callers say so in their logs, in the words of common resolvers and drivers. A log line is believed as far as the
topology has that call and the caller's own failures bear it out; it can lead to a ticket, never to a command.
"""

import re
from dataclasses import dataclass

from agents.sre import claims
from agents.sre.case import Case, Suspect
from agents.sre.moves import Move
from analysis import constants as c
from analysis.circumstances import rise
from analysis.signals import TemplateCount
from domain.evidence import Claim, LogPattern

# Words of glibc, Go, Java and Node resolvers; of database drivers and HTTP 401 answers.
UNRESOLVED = re.compile(
    r"could not (?:be )?resolve|no such host|name resolution|name or service not known|enotfound|unknownhost|nxdomain"
    r"|servfail",
    re.IGNORECASE,
)
UNAUTHORISED = re.compile(
    r"authentication failed|login .*(?:refused|failed)|invalid credentials?|access denied for user|\b401\b"
    r"|unauthori[sz]ed",
    re.IGNORECASE,
)
# Callers that fail alike count up to this many: from then on it is not theirs (three make a pattern).
ENOUGH_CALLERS = 3


@dataclass(frozen=True, slots=True)
class _Heard:
    """A caller's line about one of its calls, and how the caller fares."""

    caller: str
    callee: str
    pattern: LogPattern
    failing: Move | None


def names(case: Case) -> list[Suspect]:
    """Return callees whose name their callers cannot resolve."""
    heard: dict[str, list[_Heard]] = {}
    for one in _heard(case, UNRESOLVED):
        heard.setdefault(one.callee, []).append(one)
    found: list[Suspect] = []
    for callee, held in sorted(heard.items()):
        strength = _strength(case, held, callee) + 0.05 * min(len(held) - 1, ENOUGH_CALLERS - 1)
        less = case.moves.fell(callee, "traffic")
        support = [claims.logged(one.pattern, weight=1.0) for one in held]
        support += [claims.moved(one.failing) for one in held if one.failing is not None]
        support += [claims.moved(less)] if less is not None else []
        statement = f"the name of {callee} does not resolve for {len(held)} of its callers"
        found.append(Suspect(callee, "dns_failure", strength, statement, tuple(support), _unwell(case, callee)))
    return found


def logins(case: Case) -> list[Suspect]:
    """Return credentials that what they open refuses; several refused holders speak for the refuser itself."""
    refused = list(_heard(case, UNAUTHORISED))
    found: list[Suspect] = []
    for one in refused:
        others = [other for other in refused if other.callee == one.callee and other.caller != one.caller]
        secret = _secret(case, one)
        entity = secret or one.caller
        support = [claims.logged(one.pattern, weight=1.0)]
        support += [claims.moved(one.failing)] if one.failing is not None else []
        support += [claims.depends(case.pack, one.caller, "secured_by", secret)] if secret else []
        against = (*(claims.logged(other.pattern, weight=-0.5) for other in others), *_unwell(case, one.callee))
        statement = f"{one.callee} refuses the login of {one.caller}"
        strength = _strength(case, [one], one.callee) + (0.05 if secret else 0.0)
        found.append(Suspect(entity, "secret_expired", strength, statement, tuple(support), against))
    return found


def _heard(case: Case, words: re.Pattern[str]) -> list[_Heard]:
    """Return loud lines with those words that name something their writer calls."""
    found: dict[tuple[str, str], _Heard] = {}
    for pattern in case.pack.logs:
        if not words.search(pattern.template) or not loud(pattern):
            continue
        for callee in _named(case, pattern):
            failing = case.moves.rose(pattern.entity, "errors")
            found.setdefault((pattern.entity, callee), _Heard(pattern.entity, callee, pattern, failing))
    return list(found.values())


def loud(pattern: LogPattern) -> bool:
    """Tell whether a line became frequent beyond what one failure logs by chance."""
    counted = TemplateCount(
        entity=pattern.entity, template="", severity=pattern.severity, baseline_count=pattern.baseline_count,
        baseline_s=pattern.baseline_s, current_count=pattern.current_count, current_s=pattern.current_s,
    )  # fmt: skip
    return rise(counted) > c.LOG_ALONE_Z


def _named(case: Case, pattern: LogPattern) -> list[str]:
    """Return what the writer calls and names in the line, by whole words."""
    called = [e.target for e in case.pack.topology.edges if e.kind == "calls" and e.source == pattern.entity]
    words = set(re.findall(r"[A-Za-z0-9][A-Za-z0-9_-]*", pattern.template))
    return [target for target in called if target.partition("/")[2] in words]


def _strength(case: Case, held: list[_Heard], callee: str) -> float:
    """Nearly certain where the callers fail too; the callee being well speaks for its way rather than itself."""
    failing = any(one.failing is not None for one in held)
    blamed = max(case.lead(one.caller) for one in held)
    return 0.45 + 0.25 * failing + 0.15 * blamed + 0.1 * (not _unwell(case, callee))


def _unwell(case: Case, callee: str) -> tuple[Claim, ...]:
    """What the callee suffers itself: then its own trouble may be why calls fail."""
    rose = [case.moves.rose(callee, role) for role in ("errors", "latency")]
    return tuple(claims.moved(m, weight=-0.5) for m in rose if m is not None)


def _secret(case: Case, one: _Heard) -> str | None:
    held = [s for s in case.pack.topology.secrets if f"service/{s.service}" == one.caller and s.opens == one.callee]
    return f"secret/{held[0].id}" if held else None
