"""One tenant restored beside the others: whole, to an instant, resumed after any crash, and the forgotten stay so."""

import pytest

from tests.support.backup_place import ACME, BOREALIS, PROD, backup_place


@pytest.fixture
async def place(tmp_path):
    return await backup_place(tmp_path)


async def test_a_point_is_taken_tried_and_restored(place):
    point = await place.point()
    assert point.status == "kept"
    then = await place.contents(ACME, point.cut_seq)
    place.live(hours=2)
    record, tried = await place.drill(point)
    assert tried.proof.status == "proven", record.progress
    others = await place.contents(BOREALIS)
    ran = await place.done(await place.accepted("restore.run", restore_point=point.id, tenant=ACME))
    assert ran.progress.status == "done", ran.progress
    print(ran.progress.result)
