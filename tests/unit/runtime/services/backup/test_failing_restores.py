"""Restores in place that fail: at whatever call of whatever kind, the tenant's writes go on and its rows are whole.

Each call that a restore makes to the stores is made to fail once. Until a row may have moved the failure is the end and
nothing is different; from then on it is finished, or what stood there is put back.
"""

import pytest

from domain.errors import Broken, Unavailable
from runtime.services.backup.in_place import InPlace
from runtime.services.backup.journal import JOURNALS
from runtime.stores.ports import DataPlane
from tests.support.backup_bench import ACME, GLOBEX, OWN, PROD, backup_bench
from tests.support.runtime_bench import EXECUTOR


class Failing:
    """A plane of which one call fails, by its number or its name, once or however often."""

    def __init__(self, plane: DataPlane):
        self.plane, self.calls, self.armed = plane, [], False
        self.fails = lambda _number, _name: None

    def __getattr__(self, name):
        call = getattr(self.plane, name)

        async def called(*args, **kwargs):
            if self.armed:
                self.calls.append(name)
                error = self.fails(len(self.calls), name)
                if error is not None:
                    raise error
            return await call(*args, **kwargs)

        return called


@pytest.fixture
async def place(tmp_path):
    place = await backup_bench(tmp_path, Failing)
    yield place
    await place.close()


@pytest.fixture
def plane(place):
    return place.parts.planes.stores


async def agreed(place):
    """A restore whose copies are sound, just before it goes in place; somebody was forgotten since the point."""
    point = await place.point()
    place.live(hours=1)
    subject = min((await place.contents(ACME))[OWN]["profiles"])
    await place.memory.erase(ACME, subject)
    operation = await place.granted("restore.run", restore_point=point.id)
    while not (await place.seen(operation))["progress"]["result"].get("agreed"):
        await place.bench.services.convergence.reconcile()
    return operation, subject


async def goes_on(place):
    """Tell whether the tenant's writes are taken, and whether they add up."""
    before = await place.memory.barrier(ACME)
    place.live(minutes=20)
    now = await place.memory.barrier(ACME)
    wrote = [await place.memory.log(s.id, ACME, before.seq, now.seq) for s in await place.memory.stores(ACME)]
    if any(wrote):  # while it is held it may be half of each
        assert await place.memory.misfits(ACME, await place.contents(ACME)) == ()
    return any(wrote)


def journals(place):
    with place.parts.database.read() as connection:
        return [d.body for d in JOURNALS.list(connection, PROD)]


async def calls_of_a_restore(place, plane):
    operation, _ = await agreed(place)
    plane.armed = True
    await place.bench.services.convergence.reconcile()
    plane.armed = False
    assert (await place.seen(operation))["progress"]["status"] == "done"
    return list(plane.calls)


async def test_a_call_that_breaks_ends_it_before_and_undoes_it_after_rows_moved(place, plane):
    calls = await calls_of_a_restore(place, plane)
    first, last = calls.index("replace"), max(n for n, name in enumerate(calls) if name == "erase")
    assert calls[0] == "hold"
    assert calls[-2:] == ["release", "barrier"] or calls[-1] == "release"
    ends = []
    for number in range(1, last + 2):
        operation, subject = await agreed(place)
        await place.memory.hold(ACME, "look")
        stood = await place.contents(ACME)
        await place.memory.release(ACME, "look")
        plane.calls, plane.armed = [], True
        plane.fails = lambda n, _, at=number: Broken("it broke here", reason="broke") if n == at else None
        await place.bench.services.convergence.reconcile()
        plane.armed = False
        progress = (await place.seen(operation))["progress"]
        assert progress["status"] == "failed", (number, calls[number - 1], progress)
        assert "it broke here" in progress["detail"]
        assert await place.contents(ACME) == stood, (number, calls[number - 1])
        assert subject not in stood[OWN]["profiles"]
        ends.append("stands as it stood before" in progress["detail"])
        assert await goes_on(place), (number, calls[number - 1])
    assert ends == [n >= first for n in range(last + 1)]
    kept = {j.phase for j in journals(place)}
    assert kept == {"done", "undone"}  # of those that ended before anything moved there is none


async def test_a_store_that_does_not_answer_is_asked_again_and_meanwhile_writes_go_on_until_rows_moved(place, plane):
    calls = await calls_of_a_restore(place, plane)
    first = calls.index("replace")
    for number in range(1, len(calls) + 1):
        operation, subject = await agreed(place)
        plane.calls, plane.armed = [], True
        plane.fails = lambda n, _, at=number: Unavailable("not now", reason="away") if n == at else None
        await place.bench.services.convergence.reconcile()
        plane.armed = False
        taken = await goes_on(place)
        assert taken == (number <= first or calls[number - 1] == "barrier"), (number, calls[number - 1])
        progress = await place.ended(operation)
        assert progress["status"] == "done", (number, calls[number - 1], progress)
        assert subject not in (await place.contents(ACME))[OWN]["profiles"]
        assert await goes_on(place)


async def test_what_a_try_in_vain_kept_is_kept_anew_with_what_was_written_since(place, plane):
    operation, _ = await agreed(place)
    plane.armed, plane.fails = True, lambda n, name: Unavailable("not now") if n == 1 or name == "release" else None
    await place.bench.services.convergence.reconcile()
    plane.armed = False
    (journal,) = journals(place)
    assert journal.touched == ()
    await place.memory.release(ACME, journal.key)
    place.live(hours=1)
    stood = (await place.contents(ACME))[OWN]
    progress = await place.ended(operation)
    kept = place.points.find(PROD, ACME, progress["result"]["kept_before"])
    secret = await place.memory.open_key(kept.stores[0].key)
    held = place.points.vault.content(kept, kept.stores[0], secret, place.parts.home / "look.db")
    assert stood["transfers"].items() <= held["transfers"].items()


async def test_a_store_that_stays_away_in_the_middle_is_waited_for_and_then_all_is_put_back(place, plane):
    operation, _ = await agreed(place)
    await place.memory.hold(ACME, "look")
    stood = await place.contents(ACME)
    await place.memory.release(ACME, "look")
    seconds = []

    def away(_, name):
        seconds.append(name) if name == "replace" else None
        # from the second replacement on, until it is given up
        return Unavailable("gone", reason="away") if len(seconds) > 1 and away.there else None

    away.there = True
    plane.armed, plane.fails = True, away
    for minutes in range(0, 30, 10):
        await place.bench.services.convergence.reconcile()
        assert (await place.seen(operation))["progress"]["status"] == "running"
        assert not await place.memory.misfits(GLOBEX, await place.contents(GLOBEX)), minutes
        place.live(minutes=10)
    await place.bench.services.convergence.reconcile()
    (journal,) = journals(place)
    assert journal.phase == "undoing"
    away.there = False
    progress = await place.ended(operation)
    assert (progress["status"], "stands as it stood before" in progress["detail"]) == ("failed", True)
    assert "in vain: gone" in progress["detail"]
    assert await place.contents(ACME) == stood
    assert await goes_on(place)


async def test_what_can_be_neither_finished_nor_put_back_is_held_loudly_until_a_restore_succeeds(place, plane, caplog):
    operation, _ = await agreed(place)
    plane.armed = True
    plane.fails = lambda _, name: Broken("the store is broken", reason="broke") if name == "replace" else None
    await place.bench.services.convergence.reconcile()
    plane.armed = False
    progress = (await place.seen(operation))["progress"]
    assert progress["status"] == "failed"
    assert "writes stay held" in progress["detail"]
    assert progress["result"]["left"] == [OWN]
    assert "is stuck" in caplog.text
    assert not await goes_on(place)
    # nobody takes a point of what is half restored
    other = await place.granted("restore_point.create")
    assert (await place.seen(other))["progress"]["status"] == "accepted"
    again = await place.ended(await place.granted("restore.run", restore_point=progress["result"]["kept_before"]))
    assert again["status"] == "done", again
    assert await goes_on(place)
    assert (await place.ended(other))["status"] == "done"
    assert "stuck" not in {j.phase for j in journals(place)}


async def test_it_can_be_cancelled_until_rows_may_have_moved(place, plane):
    async def cancelled(at):
        operation, _ = await agreed(place)
        plane.calls, plane.armed = [], True
        # neither that call nor the letting go answers: the hold stays
        plane.fails = lambda _, name: Unavailable("not now", reason="away") if name in {at, "release"} else None
        await place.bench.services.convergence.reconcile()
        plane.armed = False
        asked = await place.granted("operation.cancel", operation=operation)
        return operation, await place.ended(asked)

    operation, told = await cancelled("seal_key")
    assert (told["status"], (await place.seen(operation))["progress"]["status"]) == ("done", "cancelled")
    assert journals(place) == []
    assert await goes_on(place)
    operation, told = await cancelled("replace")
    assert told["status"] == "failed"
    assert "half a restore" in told["detail"]
    assert (await place.ended(operation))["status"] == "done"


async def test_a_full_disk_is_waited_for_and_writes_go_on(place, monkeypatch):
    operation, _ = await agreed(place)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("runtime.services.backup.vault.write_private", full)
    lags = await place.bench.services.convergence.reconcile()
    assert "No space left" in lags[0].reason
    assert await goes_on(place)
    monkeypatch.undo()
    assert (await place.ended(operation))["status"] == "done"


async def test_an_error_that_nobody_foresaw_lets_writes_go_on_too(place, monkeypatch):
    operation, _ = await agreed(place)

    async def bug(*_):
        raise KeyError("a mistake of ours")

    monkeypatch.setattr(InPlace, "_kept_before", bug)
    with pytest.raises(KeyError):
        await place.bench.services.convergence.reconcile()
    assert await goes_on(place)
    monkeypatch.undo()
    assert (await place.ended(operation))["status"] == "done"


async def test_a_tenant_is_restored_although_what_stands_there_does_not_fit_together(place):
    point = await place.point()
    await place.memory.replace(OWN, ACME, {}, key="somebody's mistake")
    assert await place.memory.misfits(ACME, await place.contents(ACME))
    operation = await place.granted("restore.run", restore_point=point.id)
    assert (await place.ended(operation))["status"] == "done"
    assert await goes_on(place)
    kept = place.points.find(PROD, ACME, f"{operation}-before")
    assert (kept.status, "sum to" in kept.reason) == ("kept", True)


async def test_journals_of_a_month_ago_are_forgotten_and_holds_of_nobody_are_lifted(place):
    point = await place.point()
    operation = await place.granted("restore.run", restore_point=point.id)
    await place.ended(operation)
    await place.schedule.turn()
    assert [j.phase for j in journals(place)] == ["done"]
    await place.memory.hold(ACME, "lost")
    (left,) = journals(place)
    orphan = left.model_copy(update={"operation": "nobody", "key": "lost", "phase": "restoring", "touched": ()})
    with place.parts.database.begin() as connection:
        JOURNALS.put(connection, orphan.place, "nobody", orphan, at=place.parts.clock.now())
    await place.schedule.turn()
    assert [j.operation for j in journals(place)] == [operation]
    assert await goes_on(place)
    place.bench.clock.move_to(place.bench.clock.now().replace(month=6))
    await place.schedule.turn()
    assert journals(place) == []


async def test_the_operation_is_shown_to_its_tenant_alone(place):
    operation, _ = await agreed(place)
    async with place.http(EXECUTOR) as http:
        path = f"/runtime/environments/{PROD}/operations/"
        crossed, missing = [
            await http.get(path + name, headers={"Opsmesh-Tenant": GLOBEX}) for name in (operation, "no")
        ]
    assert (crossed.status_code, crossed.content) == (missing.status_code, missing.content)
    assert crossed.status_code == 404
