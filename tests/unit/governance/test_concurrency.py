"""Many workers at once, each with its own connections: stops hold, budgets hold, one claim wins, events come once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier

import pytest

from domain.commands import State
from domain.decisions import Budget, KillSwitch
from domain.errors import Conflict, Refused
from domain.events import OutgoingEvent
from domain.ids import PrincipalId
from governance.verification import verify
from storage.engine import Database
from storage.outbox import first_time
from tests.support.governed import ACME, START, Crash, GovernedPath, governed_path

WORKERS = 4


@pytest.fixture
def workers(path: GovernedPath, database_url: str, tmp_path: Path) -> Iterator[list[GovernedPath]]:
    """Further workers on the same store with the same keys, each with its own connections."""
    stores = [Database(database_url) for _ in range(WORKERS)]
    yield [governed_path(store, tmp_path, path.clock, seed=100 + n) for n, store in enumerate(stores)]
    for store in stores:
        store.close()


def at_once(jobs) -> list:
    barrier = Barrier(len(jobs))

    def run(job):
        barrier.wait()
        try:
            return job()
        except (Conflict, Refused) as error:
            return error

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs))


def test_one_of_many_claims_wins(path: GovernedPath, workers: list[GovernedPath]) -> None:
    for _ in range(3):
        record = path.decided("allow")
        results = at_once([lambda w=w, r=record: w.claim(r) for w in workers])
        won = [r for r in results if not isinstance(r, Exception)]
        assert [r.state for r in won] == [State.EXECUTING]
        path.governed.executions.fail(ACME, record.command.id, **path.held(won[0]), reason="over")


def test_claims_on_one_resource_never_fly_together(path: GovernedPath, workers: list[GovernedPath]) -> None:
    records = [path.decided("allow", "shop") for _ in workers]
    at_once([lambda w=w, r=r: w.claim(r) for w, r in zip(workers, records, strict=True)])
    assert len(path.governed.executions.in_flight(ACME)) == 1


def test_after_a_kill_switch_answered_nothing_starts(path: GovernedPath, workers: list[GovernedPath]) -> None:
    records = [path.decided("allow", f"s{number}") for number in range(WORKERS - 1)]
    switch = KillSwitch(scope="global", engaged_by=PrincipalId("eve"), at=path.clock.now(), reason="stop")

    def start(worker, record):
        running = worker.claim(record)
        return running, worker.governed.grants.issue(ACME, record.command.id, fencing=running.fencing)

    jobs = [lambda w=w, r=r: start(w, r) for w, r in zip(workers, records, strict=False)]
    *_, flying = at_once([*jobs, lambda: workers[-1].governed.switches.engage(switch)])
    listed = {record.command.id for record in flying}
    running = {record.command.id for record in path.governed.executions.in_flight(ACME)}
    assert running == listed, "whatever runs was in the switch's answer"
    assert {path.read(r).state for r in records if r.command.id not in listed} <= {State.LAPSED}
    grants = [line for line in path.governed.audit.read(ACME) if line.record.action == "grant.issued"]
    assert {line.record.subject for line in grants} <= listed


def test_budgets_are_never_overspent(path: GovernedPath, workers: list[GovernedPath]) -> None:
    path.governed.budgets.set(Budget(tenant=ACME, resource="commands", limit=3, window_s=3600), PrincipalId("eve"))
    records = [path.proposed(f"s{number}") for number in range(2 * WORKERS)]

    def decide(worker, some):
        return [worker.governed.commands.record_decision(ACME, path.decision(record)) for record in some]

    at_once([lambda w=w, n=n: decide(w, records[n::WORKERS]) for n, w in enumerate(workers)])
    states = [path.read(record).state for record in records]
    assert states.count(State.APPROVED) == 3
    assert states.count(State.DENIED) == 2 * WORKERS - 3
    assert path.governed.budgets.levels(ACME, path.clock.now())[0].used == 3
    assert verify(path.database, path.governed.audit).ok


def event(number: int) -> OutgoingEvent:
    return OutgoingEvent(type="opsmesh.test.v1", tenant=ACME, subject=f"s{number}", data={"number": number})


def test_concurrent_drains_share_the_events(path: GovernedPath, workers: list[GovernedPath]) -> None:
    with path.database.begin() as connection:
        for number in range(40):
            path.governed.outbox.append(connection, event(number))
    seen: list[int] = []

    def drain(worker):
        while worker.governed.outbox.drain(lambda events: seen.extend(e.event.data["number"] for e in events), 5):
            pass

    at_once([lambda w=w: drain(w) for w in workers])
    assert sorted(seen) == list(range(40))
    assert path.governed.outbox.waiting() == 0


def test_a_crash_before_the_acknowledgement_delivers_again_and_the_consumer_takes_it_once(path: GovernedPath) -> None:
    with path.database.begin() as connection:
        path.governed.outbox.append(connection, event(1))
    effects: list[int] = []

    def handle(events):
        for stored in events:
            with path.database.begin() as connection:
                if first_time(connection, "test", stored.id, path.clock.now()):
                    effects.append(stored.event.data["number"])

    path.points.armed = "outbox.before_ack"
    with pytest.raises(Crash):
        path.governed.outbox.drain(handle)
    assert path.governed.outbox.drain(handle) == 0, "still leased to the dead"
    path.clock.advance(timedelta(seconds=31))
    assert path.governed.outbox.drain(handle) == 1
    assert effects == [1]
    assert path.clock.now() > START


def test_an_event_of_a_transaction_that_failed_never_leaves(path: GovernedPath) -> None:
    with pytest.raises(KeyError), path.database.begin() as connection:  # noqa: PT012  # the raise is the point
        path.governed.outbox.append(connection, event(1))
        raise KeyError
    assert path.governed.outbox.waiting() == 0
