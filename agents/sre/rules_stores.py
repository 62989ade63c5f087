"""Faults of databases, as their exporters show them: a lock everybody waits for, a replica behind, a full disk."""

from agents.sre import claims
from agents.sre.case import Case, Suspect
from agents.sre.moves import Move
from agents.sre.rules_changes import ERROR_GATE
from agents.sre.rules_load import BUSY
from domain.evidence import Claim

# A handful of sessions waiting is everyday; more than that at once is a queue.
WAITERS = 3.0
# Transactions of request handlers end within seconds; one that is open for a minute was left open.
LEFT_OPEN_S = 60.0
# Session guarantees and read-your-writes checks give up within about half a minute.
STALE_S = 30.0
# File systems keep up to five percent for root: from there on writes of everybody else fail.
DISK_FULL = 0.95


def locks(case: Case) -> list[Suspect]:
    """Return stores whose sessions queue for a lock while their CPU has nothing to do."""
    found: list[Suspect] = []
    for store in sorted(case.moves.by_entity):
        waiting = case.moves.rose(store, "locks")
        if waiting is None or waiting.extreme < WAITERS:
            continue
        cpu, holders = case.moves.of(store, "cpu"), left_open(case, store)
        busy = cpu is not None and cpu.now >= BUSY
        against = (claims.moved(cpu, weight=-0.5),) if cpu is not None and busy else ()
        idle = (claims.level(cpu),) if cpu is not None and not busy else ()
        slow = case.moves.rose(store, "latency")
        support = (claims.moved(waiting), *idle, *(claims.moved(m) for m in holders[:2]))
        support += (claims.moved(slow),) if slow is not None else ()
        # a queue at a lock with an idle CPU is a fact; a release that coincides did not make it
        strength = 0.75 - 0.3 * busy + 0.2 * bool(holders) + 0.1 * (slow is not None)
        statement = f"the work of {store} queues for a lock"
        statement += f" that {holders[0].entity} holds since {_minutes(holders[0])}" if holders else ""
        found.append(Suspect(store, "lock_contention", strength, statement, support, against))
    return found


def left_open(case: Case, store: str) -> list[Move]:
    """Callers of a store that left a transaction open, the oldest first."""
    callers = sorted(e.source for e in case.pack.topology.edges if e.kind == "calls" and e.target == store)
    ages = [m for caller in callers if (m := case.moves.rose(caller, "transaction")) is not None]
    return sorted((m for m in ages if m.latest >= LEFT_OPEN_S), key=lambda m: -m.latest)


def _minutes(age: Move) -> str:
    return f"{age.latest / 60.0:.0f} minutes"


def replicas(case: Case) -> list[Suspect]:
    """Return stores whose replica is too far behind for readers that need fresh data."""
    found: list[Suspect] = []
    for store in sorted(case.moves.by_entity):
        lag = case.moves.rose(store, "lag")
        if lag is None or lag.latest < STALE_S:
            continue
        failing = _failing(case, store)
        strength = 0.6 + 0.4 * bool(failing) + 0.05 * (lag.latest >= 2.0 * STALE_S)
        support = (claims.moved(lag), *(claims.moved(m) for m in failing[:3]))
        statement = f"the replica of {store} is {lag.latest:.0f} s behind"
        found.append(Suspect(store, "replication_lag", strength, statement, support))
    return found


def disks(case: Case) -> list[Suspect]:
    """Return stores whose disk has filled up."""
    found: list[Suspect] = []
    for store in sorted(case.moves.by_entity):
        used = case.moves.rose(store, "disk")
        if used is None or used.latest < DISK_FULL:
            continue
        failing = _failing(case, store)
        strength = 0.7 + 0.4 * bool(failing)
        support: tuple[Claim, ...] = (claims.moved(used), *(claims.moved(m) for m in failing[:3]))
        found.append(Suspect(store, "disk_full", strength, f"the disk of {store} is full", support))
    return found


def _failing(case: Case, store: str) -> list[Move]:
    """Failures of the store and of those who call it."""
    callers = sorted(e.source for e in case.pack.topology.edges if e.kind == "calls" and e.target == store)
    rose = [case.moves.rose(entity, "errors") for entity in (store, *callers)]
    return [m for m in rose if m is not None and m.extreme >= ERROR_GATE]
