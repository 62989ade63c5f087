"""Limits that others set: a CPU limit below the request, a provider that grants no more, a region that is gone."""

from agents.sre import claims
from agents.sre.case import Case, Suspect
from agents.sre.moves import Move
from agents.sre.rules_load import BUSY, demand_grew
from domain.evidence import ChangeRecord, Claim

# Half of all scheduler periods cut short: from there on waiting for the next period dominates the response.
THROTTLED = 0.5
# Fewer than nine tenths of what is wanted running is more than a rollout in passing.
PENDING = 0.9
REFUSED = "refused_replicas"


def throttling(case: Case) -> list[Suspect]:
    """Return services that are stopped at their CPU limit while they use less than they request.

    Whoever is throttled at its full request is short of CPU: that is load, and not the limit.
    """
    found: list[Suspect] = []
    for entity in sorted(case.moves.by_entity):
        throttled, cpu = case.moves.rose(entity, "throttled"), case.moves.of(entity, "cpu")
        if throttled is None or cpu is None or throttled.latest < THROTTLED or max(cpu.now, cpu.extreme) >= BUSY:
            continue
        grew = demand_grew(case, entity)
        traffic = case.moves.of(entity, "traffic")
        against = (claims.moved(traffic, weight=-0.5),) if grew and traffic is not None and traffic.rose else ()
        suffers = [m for role in ("latency", "errors") if (m := case.moves.rose(entity, role)) is not None]
        support = (claims.moved(throttled), claims.level(cpu), *(claims.moved(m) for m in suffers))
        strength = 0.75 + 0.2 * bool(suffers) + 0.1 * case.lead(entity)
        statement = f"{entity} is held at {cpu.latest:.0%} of the CPU it requests"
        found.append(Suspect(entity, "cpu_throttle", strength, statement, support, against))
    return found


def quotas(case: Case) -> list[Suspect]:
    """Return node pools whose provider refused more, while what runs on them waits for replicas."""
    refusals: dict[str, ChangeRecord] = {}
    for change in case.pack.changes:
        if change.kind == "scaling" and isinstance(change.after, dict) and change.after.get(REFUSED):
            refusals[change.entity] = change
    found: list[Suspect] = []
    for pool, change in sorted(refusals.items()):
        services = sorted(e.source for e in case.pack.topology.edges if e.kind == "runs_on" and e.target == pool)
        short = [m for service in services if (m := pending(case, service)) is not None]
        support: tuple[Claim, ...] = (claims.changed(change), *(claims.moved(m) for m in short[:3]))
        # a refusal is a fact; that more was asked for has a cause of its own, which more room would serve
        strength = 0.95 + 0.3 * bool(short)
        statement = f"the provider grants {pool} no more machines, and {len(short)} services wait for replicas"
        found.append(Suspect(pool, "quota_hit", strength, statement, support))
    return found


def pending(case: Case, service: str) -> Move | None:
    """Return how the wanted replicas rose where those that run did not follow."""
    wanted, ready = case.moves.rose(service, "desired"), case.moves.of(service, "ready")
    if wanted is None or ready is None or ready.latest >= PENDING * wanted.latest:
        return None
    return wanted
