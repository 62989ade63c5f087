"""Restore points: one cut that fits together, where it may lie, how long it is kept, and whether it is any good."""

import pytest

from domain.errors import NotFound, Refused
from domain.ids import PLATFORM
from runtime import state
from runtime.services.backup.operators import operators
from runtime.services.backup.vault import Vault, digest_of_bytes
from runtime.simulator import faults
from runtime.stores.ports import Key
from tests.support.backup_place import ACME, BOREALIS, CINDER, PROD, backup_place


@pytest.fixture
async def place(tmp_path):
    return await backup_place(tmp_path)


async def test_copies_at_the_heads_do_not_fit_together_and_those_at_the_cut_do(place):
    torn = 0
    for _ in range(80):
        place.live(seconds=10)
        for tenant in (ACME, BOREALIS, CINDER):
            heads = {
                s.id: await place.plane.content(s.id, tenant, (await place.plane.commit_head(s.id)).seq)
                for s in await place.plane.stores(tenant)
            }
            torn += bool(await place.plane.misfits(tenant, heads))
            assert await place.plane.misfits(tenant, await place.contents(tenant)) == ()
    assert torn > 0


async def test_a_point_holds_only_its_tenants_rows_and_is_sealed(place):
    point = await place.point()
    assert set(point.asked) == {"orders-db", "accounts-db"}
    assert point.complete
    assert point.region == "northeurope"
    for store in point.asked:
        sealed = place.archive(point, store).read_bytes()
        assert b"SQLite format" not in sealed
        assert b"example.net" not in sealed
    secret = await place.plane.open_key(point.stores[1].key)
    plain = place.points.vault.content(point, point.stores[1], secret, place.folder / "copy.db")
    assert plain == await place.plane.content("accounts-db", ACME, point.cut_seq)
    assert plain != await place.plane.content("accounts-db", BOREALIS, point.cut_seq)


async def test_writes_while_it_is_taken_are_not_in_it(place):
    record = await place.step(await place.accepted("restore_point.create", tenant=ACME))
    place.live(hours=1)
    record = await place.done(record)
    point = place.points.find(PROD, ACME, record.id)
    assert point.status == "kept"
    _, tried = await place.drill(point)
    assert tried.proof.status == "proven"


async def test_a_point_that_does_not_fit_together_is_no_point(place, monkeypatch):
    """A cut per store instead of one for all: what a backup job does that knows of no barrier."""
    plane = type(place.plane)
    honest = plane.content

    async def torn(self, store, tenant, seq):
        return await honest(self, store, tenant, seq if store == "orders-db" else seq - 60)

    monkeypatch.setattr(plane, "content", torn)
    record = await place.done(await place.accepted("restore_point.create", tenant=ACME))
    assert record.progress.status == "failed"
    assert "sum to" in record.progress.detail


def flipped(place, point):
    path = place.archive(point, "orders-db")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def gone(place, point):
    place.archive(point, "accounts-db").unlink()


def digests_flipped(place, point):
    path = place.archive(point, "orders-db", "rows")
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


@pytest.mark.parametrize(
    ("damage", "said"),
    [(flipped, "digest differs"), (gone, "is gone"), (digests_flipped, "seal is broken")],
)
async def test_damage_is_found_by_the_trial(place, damage, said):
    point = await place.point()
    damage(place, point)
    record, tried = await place.drill(point)
    assert tried.proof.status == "unproven"
    assert said in tried.proof.differences[0]
    assert record.progress.result["proven"] is False


async def test_a_row_that_the_job_left_out_or_changed_is_named(place, monkeypatch):
    honest = Vault.store

    def careless(self, point, store, content, index, key):
        rows = dict(content["transfers"])
        rows.pop(min(rows))
        rows[max(rows)] = rows[max(rows)].replace("]", "1]")
        return honest(self, point, store, {**content, "transfers": rows}, index, key)

    monkeypatch.setattr(Vault, "store", careless)
    point = await place.point()
    monkeypatch.undo()
    _, tried = await place.drill(point)
    assert tried.proof.status == "unproven"
    told = " ".join(tried.proof.differences)
    transfers = (await place.contents(ACME, point.cut_seq))["orders-db"]["transfers"]
    assert f"orders-db: transfers: 1 rows missing: {min(transfers)}" in told
    assert f"orders-db: transfers: 1 rows different: {max(transfers)}" in told


async def test_an_archive_sealed_for_another_point_does_not_pass(place):
    one, other = await place.point(), await place.point()
    stolen = place.archive(one, "orders-db").read_bytes()
    place.archive(other, "orders-db").write_bytes(stolen)
    cut = other.stores[0].model_copy(update={"archive": digest_of_bytes(stolen)})
    place.points.keep(other.model_copy(update={"stores": (cut, *other.stores[1:])}))
    _, tried = await place.drill(place.points.find(PROD, ACME, other.id))
    assert "seal is broken" in tried.proof.differences[0]


async def test_the_fault_that_only_a_drill_tells_is_told_and_a_point_by_hand_covers(place):
    drawn = faults.draw(place.world, "backup_not_restorable", 1)
    store = drawn.names["store"]
    tenant = next(s.tenant for s in place.world.spec.services if s.id == store)
    faults.inject(place.world, drawn)
    await place.scheduled()
    bad = next(p for p in place.points.listed(PROD, [tenant]) if store in p.asked)
    assert bad.proof.status == "unproven"
    assert "no key" in bad.proof.differences[0]
    assert any(
        "restore drill" in str(e) and "no key" in str(e) for e in place.world.journal.drain(place.world.elapsed_s)
    )
    with pytest.raises(Refused):
        await place.accepted("restore.run", restore_point=bad.id, tenant=tenant)
    by_hand = await place.point(tenant)
    _, tried = await place.drill(by_hand)
    assert tried.proof.status == "proven"


async def test_residency_says_where_a_point_may_lie(tmp_path):
    place = await backup_place(tmp_path, residency={ACME: ("westeurope",)})
    assert (await place.point()).region == "westeurope"
    with pytest.raises(Refused) as refused:
        await place.accepted("restore_point.create", tenant=ACME, region="northeurope")
    assert refused.value.reason == "residency"
    assert "northeurope" in str(refused.value)


async def test_a_store_without_backups_is_told_and_left_out_by_the_schedule(place):
    place.parts.clock.move_to(place.world.now)
    with place.parts.database.begin() as connection:
        desired = state.current(connection, PROD)
        stores = desired.base.data_stores
        off = {**stores, "orders-db": stores["orders-db"].model_copy(update={"backup_retention_days": 0})}
        base = desired.base.model_copy(update={"data_stores": off})
        newer = desired.model_copy(update={"base": base, "version": desired.version + 1})
        state.append(connection, newer, actor="ana", key=None, at=place.parts.clock.now())
    with pytest.raises(Refused) as refused:
        await place.accepted("restore_point.create", tenant=ACME, data_stores=("orders-db",))
    assert refused.value.reason == "backups_off"
    await place.scheduled()
    assert place.points.listed(PROD, [ACME])[0].asked == ("accounts-db",)


async def test_a_point_a_day_each_tried_once_and_none_kept_too_long(place):
    schedule = place.schedule
    for _ in range(9):
        assert await place.scheduled(schedule) > 10  # a store a turn, not all at once
        place.live(hours=24)
    held = place.points.listed(PROD, [ACME])
    assert len(held) == 7  # retention is seven days
    assert all(p.proof.status == "proven" for p in held)
    folders = list((place.parts.home / "vault" / "northeurope" / ACME).iterdir())
    assert {f.name for f in folders} == {p.id for p in held}
    assert {p.tenant for p in place.points.listed(PROD, None)} == {b.tenant for b in place.world.spec.tenants}


async def test_a_point_begun_before_a_crash_is_finished_at_its_cut(place):
    record = await place.step(await place.accepted("restore_point.create", tenant=ACME))
    cut = place.points.find(PROD, ACME, record.id).cut_seq
    place.live(hours=3)
    ended = await place.restarted().done(record)
    point = place.points.find(PROD, ACME, record.id)
    assert (ended.progress.status, point.cut_seq) == ("done", cut)


async def test_a_cancelled_point_leaves_nothing(place):
    record = await place.step(await place.accepted("restore_point.create", tenant=ACME))
    assert (await operators(place.parts)["restore_point.create"].cancel(record)).status == "cancelled"
    assert place.points.known(PROD, ACME, record.id) is None
    assert not list((place.parts.home / "vault").rglob("*.sealed"))


async def test_a_stranger_is_told_what_a_missing_point_is_told(place):
    point = await place.point()
    told = set()
    for tenant, by, name in ((ACME, BOREALIS, point.id), (ACME, BOREALIS, "no-such"), (BOREALIS, BOREALIS, "no-such")):
        with pytest.raises(NotFound) as missing:
            await place.accepted("restore.drill", by=by, restore_point=name, tenant=tenant)
        told.add((str(missing.value), missing.value.reason))
    for name in (point.id, "no-such"):
        with pytest.raises(NotFound) as missing:
            place.points.seen(PROD, BOREALIS, name)
        told.add((str(missing.value), missing.value.reason))
    assert len(told) == 1
    assert place.points.seen(PROD, ACME, point.id) == place.points.seen(PROD, PLATFORM, point.id) == point


async def test_a_changed_key_opens_nothing(place):
    point = await place.point()
    cut = point.stores[0]
    wrong = Key(cut.key, bytes(32))
    with pytest.raises(Exception, match="seal is broken"):
        place.points.vault.content(point, cut, wrong.secret, place.folder / "x.db")
