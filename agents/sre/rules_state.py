"""Faults inside one service or of somebody else: exhausted pools, cold caches, ended certificates, dependencies."""

from datetime import timedelta

from agents.sre import claims
from agents.sre.case import SLOW_SUSPECT, Case, Suspect
from agents.sre.moves import Move
from agents.sre.rules_changes import ERROR_GATE
from agents.sre.rules_load import BUSY, demand_grew

# Erlang loss turns steep at nine tenths of the places taken.
POOL_FULL = 0.85
# Four fifths accounted for leave nothing to explain within the scatter of minute means; what has a cause is no cause.
ACCOUNTED, EFFECT = 0.8, 0.5
# A flush takes most of the hits at once; ordinary churn moves the ratio by a few points.
COLD = 0.7


def pools(case: Case) -> list[Suspect]:
    """Return services whose connections or worker slots ran out without more demand."""
    changed = {c.entity for c in case.suspects("config")}
    found: list[Suspect] = []
    for entity, _ in case.ranking.ranked:
        pool = case.moves.rose(entity, "pool")
        if pool is None or pool.extreme < POOL_FULL or demand_grew(case, entity):
            continue
        # slow requests hold their places longer: then the full pool is an effect and speaks for another cause
        slow = case.moves.rose(entity, "latency")
        held = case.slowed(entity)
        if held and any(case.slowed(name) for name in case.below(entity)):
            continue
        against = (claims.moved(slow, weight=-0.3),) if slow is not None and held else ()
        strength = (0.3 if held else 0.5) + 0.3 * case.lead(entity) + 0.1 * min(pool.extreme, 1.0)
        if entity in changed or (slow is not None and _held_longer(pool, slow)):
            strength *= EFFECT
        statement = f"{entity} has no free connections"
        found.append(Suspect(entity, "pool_exhaustion", strength, statement, (claims.moved(pool),), against))
    return found


def _held_longer(pool: Move, slow: Move) -> bool:
    """Tell whether requests that take longer account for the full pool: by Little's law places grow with time."""
    return pool.before * slow.extreme / max(slow.before, 1e-9) >= ACCOUNTED * pool.extreme


def memory(case: Case) -> list[Suspect]:
    """Return services whose working set has outgrown their memory without a release to blame."""
    released = {c.entity for c in case.suspects("deployment", SLOW_SUSPECT)}
    state = None if case.pack.desired is None else case.pack.desired.effective(case.pack.at)
    found: list[Suspect] = []
    for entity in sorted(case.moves.by_entity):
        used, wanted = case.moves.rose(entity, "memory"), state and state.services.get(entity.partition("/")[2])
        if used is None or not wanted or used.extreme < MEMORY_FULL * wanted.memory_mib:
            continue
        strength = (0.5 if entity in released else 0.7) + 0.2 * case.lead(entity)
        statement = f"{entity} has no memory left"
        found.append(Suspect(entity, "memory_pressure", strength, statement, (claims.moved(used),)))
    return found


# Collectors thrash in the last tenth of the heap, and the kernel kills at the limit.
MEMORY_FULL = 0.9


def caches(case: Case) -> list[Suspect]:
    """Return services whose cache went cold at once."""
    changed = {c.entity for c in case.suspects("config")}
    found: list[Suspect] = []
    for entity in sorted(case.moves.by_entity):
        cache = case.moves.fell(entity, "cache")
        if cache is None or cache.extreme > COLD * cache.before or entity in changed:
            continue
        warming = cache.now > cache.extreme + 0.2 * (cache.before - cache.extreme)
        # a cold cache is a fact; only a release right before it, which may have emptied it, explains it better
        strength = 0.95 + 0.04 * warming
        statement = f"the cache of {entity} went cold" + (" and is warming up" if warming else "")
        found.append(Suspect(entity, "cache_flush", strength, statement, (claims.moved(cache),)))
    return found


def certificates(case: Case) -> list[Suspect]:
    """Return certificates that have ended, or are about to, on services that fail or were reported for it."""
    found: list[Suspect] = []
    for certificate in case.pack.topology.certificates:
        entity, address = f"service/{certificate.service}", f"certificate/{certificate.id}"
        errors, reported = case.moves.rose(entity, "errors"), claims.told(case.pack, entity)
        ended = certificate.not_after <= case.pack.at
        if certificate.not_after > case.pack.at + LAST_DAY or not (errors or reported.evidence):
            continue
        held = [claims.ends(case.pack, certificate)]
        held += [claims.moved(errors)] if errors is not None else []
        held += [reported] if reported.evidence else []
        statement = f"the certificate {certificate.id} ends at {certificate.not_after:%Y-%m-%d %H:%M} UTC"
        strength = 1.1 if ended else 0.9
        found.append(Suspect(address, "certificate_expiry", strength, statement, tuple(held)))
    return found


# Rotation is due 30 days before the end (ACME clients' convention); on the last day it has failed.
LAST_DAY = timedelta(days=1)


def dependencies(case: Case) -> list[Suspect]:
    """Return blamed entities that became slow or failing by themselves, without any change or demand to explain it."""
    found: list[Suspect] = []
    for entity, _ in case.ranking.ranked[:3]:
        rose = [case.moves.rose(entity, role) for role in ("latency", "errors")]
        held = [m for m in rose if m is not None]
        if not held:
            continue
        outside = entity.startswith("external/")
        cpu = case.moves.rose(entity, "cpu")
        # what waits for it may hold more of the blame: timeouts and retries multiply a delay on its way up
        lead = 1.0 if outside and case.explains(entity) else case.lead(entity)
        # a service of our own that is slow for no reason in view is a finding, but no cause yet
        strength = (0.55 + 0.4 * lead) if outside else 0.2 + 0.28 * lead
        against = (claims.moved(cpu, weight=-0.5),) if cpu is not None else ()
        supporting = tuple(claims.moved(m) for m in held)
        kind = "dependency_slow" if held[0].role == "latency" else "dependency_failing"
        statement = f"{entity} became {'slow' if held[0].role == 'latency' else 'failing'} by itself"
        found.append(Suspect(entity, kind, strength, statement, supporting, against))
    return found


def saturation(case: Case) -> list[Suspect]:
    """Return blamed services at their CPU limit with no other explanation."""
    found: list[Suspect] = []
    for entity, _ in case.ranking.ranked[:3]:
        cpu, errors = case.moves.rose(entity, "cpu"), case.moves.of(entity, "errors")
        if cpu is None or cpu.extreme < BUSY:
            continue
        failing = (claims.moved(errors),) if errors is not None and errors.extreme > ERROR_GATE else ()
        strength = 0.3 + 0.25 * case.lead(entity)
        statement = f"{entity} has no CPU left"
        found.append(Suspect(entity, "cpu_saturation", strength, statement, (claims.moved(cpu), *failing)))
    return found
