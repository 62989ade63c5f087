"""One tenant restored beside the others: whole, to an instant, resumed after any crash, and the forgotten stay so."""

import json

import pytest

from domain.errors import Invalid, Refused, Unavailable
from runtime.services.backup.operators import operators
from runtime.stores.simulated import SimulatedStores
from tests.support.backup_place import ACME, BOREALIS, PROD, backup_place


@pytest.fixture
async def place(tmp_path):
    return await backup_place(tmp_path)


def everything_of_others(place):
    """The bytes of every row that is not acme's, store by store, read past the service."""
    import sqlite3

    found = {}
    for path in sorted((place.folder / "stores").glob("*@westeurope.db")):
        with sqlite3.connect(path) as connection:
            for table in ("accounts", "profiles", "transfers"):
                query = f"SELECT * FROM {table} WHERE tenant <> ? ORDER BY 1, 2"  # noqa: S608  # named above
                rows = connection.execute(query, (ACME,)).fetchall()
                found[path.name, table] = json.dumps(rows)
    return found


async def test_a_tenant_comes_back_and_nobody_else_is_touched(place):
    point = await place.point()
    then = await place.contents(ACME, point.cut_seq)
    place.live(hours=2)
    assert await place.contents(ACME) != then
    agreed = await place.accepted("restore.run", restore_point=point.id, tenant=ACME)
    while not agreed.progress.result.get("agreed"):
        agreed = await place.step(agreed)
    await place.plane.hold(ACME, "look")  # its stores have caught up: what is written now is the restore's
    before = everything_of_others(place)
    ended = agreed.model_copy(update={"progress": await operators(place.parts)["restore.run"].step(agreed)})
    assert ended.progress.status == "done", ended.progress
    assert everything_of_others(place) == before
    result = ended.progress.result
    back = await place.contents(ACME)
    forgotten = {e.subject for e in await place.plane.erasures(ACME, point.cut_seq)}
    assert {k for k in then["orders-db"]["profiles"] if k not in forgotten} == set(back["orders-db"]["profiles"])
    assert await place.plane.misfits(ACME, back) == ()
    # Two hours of commits and two steps of the operation itself lie between the cut and the hold.
    assert 7_200 <= result["rpo_s"] <= 7_200 + 240
    assert result["rto_s"] == 60.0
    assert result["commits_taken_back"] >= 100


async def test_writes_go_on_after_a_restore_and_still_add_up(place):
    point = await place.point()
    place.live(hours=1)
    await place.done(await place.accepted("restore.run", restore_point=point.id, tenant=ACME))
    place.live(hours=3)
    assert await place.plane.misfits(ACME, await place.contents(ACME)) == ()
    again = await place.point()
    record, tried = await place.drill(again)
    assert tried.proof.status == "proven", record.progress


async def test_what_stood_there_before_is_a_point_of_its_own(place):
    point = await place.point()
    place.live(hours=1)
    ended = await place.done(await place.accepted("restore.run", restore_point=point.id, tenant=ACME))
    kept = place.points.find(PROD, ACME, ended.progress.result["kept_before"])
    assert (kept.status, kept.trigger) == ("kept", "restore")
    assert kept.cut_seq > point.cut_seq
    _, tried = await place.drill(kept)
    assert tried.proof.status == "proven"


async def test_a_tenant_is_restored_to_an_instant_between_two_points(place):
    point = await place.point()
    place.live(hours=1)
    wanted = await place.plane.barrier(ACME)
    at_that_time = await place.contents(ACME, wanted.seq)
    place.live(hours=1)
    record = await place.accepted("restore.run", restore_point=point.id, tenant=ACME, to=wanted.at.isoformat())
    ended = await place.done(record)
    assert ended.progress.status == "done", ended.progress
    assert ended.progress.result["target_seq"] == wanted.seq > point.cut_seq
    assert 3_600 <= ended.progress.result["rpo_s"] <= 3_900
    forgotten = {e.subject for e in await place.plane.erasures(ACME, wanted.seq)}
    profiles = (await place.contents(ACME))["orders-db"]["profiles"]
    kept = {k for k in at_that_time["orders-db"]["profiles"] if k not in forgotten}
    assert kept <= set(profiles)


async def test_an_instant_outside_the_log_is_refused(place):
    point = await place.point()
    for to, reason in (("2026-03-10T09:30:00Z", "before_cut"), ("2027-01-01T00:00:00Z", "after_now")):
        with pytest.raises(Invalid) as refused:
            await place.accepted("restore.drill", restore_point=point.id, tenant=ACME, to=to)
        assert refused.value.reason == reason


async def test_a_log_with_a_gap_or_an_early_end_is_found(place):
    import sqlite3

    point = await place.point()
    place.live(hours=1)
    wanted = await place.plane.barrier(ACME)
    path = place.folder / "stores" / "orders-db@westeurope.db"
    for statement in (
        "DELETE FROM log WHERE n = (SELECT max(n) - 5 FROM log WHERE tenant = 'acme-retail')",
        "DELETE FROM log WHERE tenant = 'acme-retail' AND n > (SELECT max(n) - 30 FROM log)",
    ):
        with sqlite3.connect(path) as connection:
            connection.execute(statement)
        record = await place.accepted("restore.drill", restore_point=point.id, tenant=ACME, to=wanted.at.isoformat())
        ended = await place.done(record)
        assert not ended.progress.result["proven"]
        assert "log" in ended.progress.detail or "rows" in ended.progress.detail, ended.progress.detail


async def test_the_forgotten_stay_forgotten(place):
    point = await place.point()
    subject = next(k for k in (await place.contents(ACME))["orders-db"]["profiles"])
    await place.plane.erase(ACME, subject)
    place.live(minutes=10)
    assert subject in (await place.contents(ACME, point.cut_seq))["orders-db"]["profiles"]
    ended = await place.done(await place.accepted("restore.run", restore_point=point.id, tenant=ACME))
    assert ended.progress.result["erased_again"] >= 1
    for content in (await place.contents(ACME)).values():
        assert subject not in content["profiles"]
        assert all(json.loads(row)[1] != subject for row in content["accounts"].values())
    again = await place.done(await place.accepted("restore.run", restore_point=point.id, tenant=ACME))
    assert again.progress.result["erased_again"] >= 1
    assert subject not in (await place.contents(ACME))["orders-db"]["profiles"]


class Dies(SimulatedStores):
    """Stores whose nth call of the writing hands does not come back."""

    calls = 0
    at = 0

    def _tick(self):
        Dies.calls += 1
        if Dies.calls == Dies.at:
            raise Unavailable("the process was killed here", reason="killed")

    async def hold(self, tenant, key):
        self._tick()
        found = await super().hold(tenant, key)
        self._tick()
        return found

    async def replace(self, store, tenant, content, *, key):
        self._tick()
        found = await super().replace(store, tenant, content, key=key)
        self._tick()
        return found

    async def erase(self, tenant, subject):
        self._tick()
        await super().erase(tenant, subject)
        self._tick()

    async def release(self, tenant, key):
        self._tick()
        await super().release(tenant, key)
        self._tick()


@pytest.mark.parametrize("at", range(1, 11))
async def test_a_restore_killed_anywhere_is_finished_by_whoever_comes_next(place, at, monkeypatch):
    point = await place.point()
    subject = next(k for k in (await place.contents(ACME))["orders-db"]["profiles"])
    await place.plane.erase(ACME, subject)
    place.live(minutes=30)
    Dies.calls, Dies.at = 0, at
    monkeypatch.setattr("tests.support.backup_place.SimulatedStores", Dies)
    record, killed = await place.accepted("restore.run", restore_point=point.id, tenant=ACME), 0
    while not record.ended:
        try:
            record = await place.step(record)
        except Unavailable:
            killed += 1
            place.live(seconds=30)
    assert (killed, record.progress.status) == (1, "done"), record.progress
    held = await place.contents(ACME)
    assert await place.plane.misfits(ACME, held) == ()
    assert subject not in held["orders-db"]["profiles"]
    before = await place.plane.barrier(ACME)
    place.live(hours=1)
    assert (await place.plane.barrier(ACME)).seq > before.seq + 200  # writes are taken again, everybody's
    others = await place.plane.misfits(BOREALIS, await place.contents(BOREALIS))
    assert others == ()


async def test_a_restore_can_be_cancelled_until_it_touches_anything(place):
    point = await place.point()
    record = await place.step(await place.accepted("restore.run", restore_point=point.id, tenant=ACME))
    ended = await operators(place.parts)["restore.run"].cancel(record)
    assert ended.status == "cancelled"
    assert not (place.parts.home / "restores" / record.id).exists()
    other = await place.done(await place.accepted("restore.run", restore_point=point.id, tenant=ACME))
    with pytest.raises(Refused):
        await operators(place.parts)["restore.run"].cancel(other)
