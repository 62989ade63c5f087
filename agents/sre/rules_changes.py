"""Faults that somebody's change brought: a release that is slow, failing, leaking or does not stay up, a feature
switched on, a wrong configuration value.
"""

from datetime import datetime

from agents.sre import claims
from agents.sre.case import SLOW_SUSPECT, SUSPECT, Case, Suspect
from agents.sre.moves import Move
from agents.sre.rules_load import demand_grew
from domain.evidence import ChangeRecord, Claim

# Strengths are odds stated as shares: a change right before the onset on the one blamed entity is nearly certain.
BASE, BY_BLAME, BY_CLOSENESS = 0.45, 0.35, 0.2
# An error share under two percent is within retries' reach; above it users notice (the platform's own gate).
ERROR_GATE = 0.02
# Latency must rise by half to be the main thing wrong beside errors.
SLOWER = 1.5
# A leak fills memory for minutes before anything else moves; in-flight requests raise it together with latency.
LEAK_LEAD_S = 180.0
LEAK_RISE = 1.15
RESTART = "restart"
# How flag services and configuration files write the two sides of a switch; a flag that was not set yet was off.
SWITCHED = frozenset({"true", "false", "on", "off", "enabled", "disabled", "none"})


def releases(case: Case) -> list[Suspect]:
    """Return a suspect per release before the onset on an entity that moved."""
    found: list[Suspect] = []
    for change in case.suspects("deployment", SLOW_SUSPECT):
        if change.after == RESTART or change.before is None:
            continue
        known = _leak(case, change) or _crash_loop(case, change)
        if known is not None:
            found.append(known)
        elif case.began(change.entity) - change.at <= SUSPECT and case.lead(change.entity) > 0:
            found += _release(case, change)
    return _newest_per_entity(found)


def configurations(case: Case) -> list[Suspect]:
    """Return a suspect per configuration change before the onset whose entity, or what it calls, moved."""
    found: list[Suspect] = []
    for change in case.suspects("config", SUSPECT):
        moved = _moved_since(case, change)
        blame = max([case.lead(change.entity), *(0.8 * case.lead(callee) for callee in _callees(case, change.entity))])
        if not moved or blame <= 0:
            continue
        supporting = (claims.changed(change), *(claims.moved(m) for m in moved[:3]))
        kind, word = (
            ("feature_flag", "feature switch") if _is_switch(change) else ("config_regression", "configuration")
        )
        statement = f"a {word} change of {change.entity} made it worse"
        strength = _strength(case, change, blame)
        found.append(Suspect(change.entity, kind, strength, statement, supporting, _against(case, change)))
    return _newest_per_entity(found)


def _is_switch(change: ChangeRecord) -> bool:
    """Tell whether the change turned something on or off: a feature flag, where other values are sizes and limits."""
    if not isinstance(change.before, dict) or not isinstance(change.after, dict):
        return False
    return all(str(side.get("value")).lower() in SWITCHED for side in (change.before, change.after))


def _leak(case: Case, change: ChangeRecord) -> Suspect | None:
    memory = case.moves.rose(change.entity, "memory")
    if memory is None or memory.extreme < LEAK_RISE * memory.before or not _after(memory, change.at):
        return None
    others = [m for role in ("latency", "errors") if (m := case.moves.rose(change.entity, role)) is not None]
    first = min([m.since_s for m in others], default=case.pack.incident.opened_at.timestamp())
    if first - memory.since_s < LEAK_LEAD_S:
        return None
    supporting = (claims.changed(change), claims.moved(memory), *(claims.moved(m) for m in others))
    strength = BASE + BY_BLAME * max(case.lead(change.entity), 0.5) + 0.1
    statement = f"the release of {change.entity} leaks memory"
    return Suspect(change.entity, "deploy_leak", strength, statement, supporting, _against(case, change))


def _crash_loop(case: Case, change: ChangeRecord) -> Suspect | None:
    """A version whose processes exit again and again takes its replicas away; memory does that without a release."""
    if case.onset - change.at > SUSPECT:
        return None
    exits, fewer = case.moves.rose(change.entity, "restarts"), case.moves.fell(change.entity, "ready")
    if exits is None or fewer is None or not (_after(exits, change.at) and _after(fewer, change.at)):
        return None
    harmed = [m for role in ("errors", "latency") if (m := case.moves.rose(change.entity, role)) is not None]
    full = case.moves.rose(change.entity, "memory")
    supporting = (claims.changed(change), claims.moved(exits), claims.moved(fewer), *(claims.moved(m) for m in harmed))
    against = (*_against(case, change), *((claims.moved(full, weight=-0.5),) if full is not None else ()))
    strength = _strength(case, change, case.lead(change.entity)) + 0.1 - 0.3 * (full is not None)
    statement = f"the release of {change.entity} does not stay up"
    return Suspect(change.entity, "deploy_crash_loop", strength, statement, supporting, against)


def _release(case: Case, change: ChangeRecord) -> list[Suspect]:
    latency, errors = case.moves.rose(change.entity, "latency"), case.moves.rose(change.entity, "errors")
    if latency is None and errors is None:
        return []
    failing = errors is not None and errors.extreme >= ERROR_GATE
    slower = latency is not None and latency.extreme >= SLOWER * latency.before
    kind, word = ("deploy_errors", "failing") if failing and not slower else ("deploy_latency", "slower")
    if failing and slower and case.pack.symptom_kind == "errors" and case.pack.symptom == change.entity:
        kind, word = "deploy_errors", "failing"
    supporting = (claims.changed(change), *(claims.moved(m) for m in (latency, errors) if m is not None))
    strength = _strength(case, change, case.lead(change.entity))
    statement = f"the release of {change.entity} is {word}"
    return [Suspect(change.entity, kind, strength, statement, supporting, _against(case, change))]


def _strength(case: Case, change: ChangeRecord, blame: float) -> float:
    away_s = max((case.began(change.entity) - change.at).total_seconds(), 0.0)
    return BASE + BY_BLAME * blame + BY_CLOSENESS * (1.0 - away_s / SUSPECT.total_seconds())


def _against(case: Case, change: ChangeRecord) -> tuple[Claim, ...]:
    """More demand from outside speaks against a change; steady demand is no excuse, and retries raise inner traffic."""
    traffic = case.moves.rose(change.entity, "traffic")
    if traffic is None or not demand_grew(case, change.entity):
        return ()
    return (claims.moved(traffic, weight=-0.5),)


def _moved_since(case: Case, change: ChangeRecord) -> list[Move]:
    roles = ("latency", "errors", "cpu", "pool")
    rose = [m for role in roles if (m := case.moves.rose(change.entity, role)) is not None]
    fell = [m for m in [case.moves.fell(change.entity, "cache")] if m is not None]
    return [m for m in (*rose, *fell) if _after(m, change.at)]


def _after(move: Move, at: datetime) -> bool:
    return move.since_s >= at.timestamp() - LEAK_LEAD_S


def _callees(case: Case, entity: str) -> list[str]:
    return [e.target for e in case.pack.topology.edges if e.kind == "calls" and e.source == entity]


def _newest_per_entity(found: list[Suspect]) -> list[Suspect]:
    kept: dict[str, Suspect] = {}
    for suspect in found:
        kept.setdefault(suspect.entity, suspect)
    return list(kept.values())
