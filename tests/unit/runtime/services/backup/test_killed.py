"""Processes killed (SIGKILL) in the middle of a restore point and of a restore, over real files, and who comes next."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from domain.ids import TenantId
from runtime import operations
from runtime.services.backup.vault import Vault
from tests.support import backup_killed
from tests.support.backup_killed import on_files
from tests.support.runtime_bench import PROD

ACME, BOREALIS = TenantId("acme-retail"), TenantId("borealis-media")
ROOT = Path(__file__).parents[5]


async def killed(folder, kind, kill):
    """Run a process that is killed there; return the place of whoever comes next, an hour later."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", backup_killed.__name__, str(folder), kind, kill, cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)}, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, said = await process.communicate()
    assert process.returncode == -signal.SIGKILL, said.decode()
    place = await on_files(folder, 6.5)
    place.bench.commands = place.bench.issuer.issued = 100  # keys and grants of its own
    return place


async def the_one(place):
    """The operation that was not ended."""
    with place.parts.database.read() as connection:
        (record,) = operations.open_ones(connection)
    return record.id


async def goes_on(place):
    before = await place.memory.barrier(ACME)
    place.live(hours=1)
    now = await place.memory.barrier(ACME)
    wrote = [await place.memory.log(s.id, ACME, before.seq, now.seq) for s in await place.memory.stores(ACME)]
    assert await place.memory.misfits(ACME, await place.contents(ACME)) == ()
    return any(wrote)


@pytest.mark.parametrize(
    "kill", ["point begun", "archive half written", "archive sealed, manifest not", "manifest of one store of two"]
)
async def test_a_point_killed_in_the_middle_is_gone_on_with_at_its_cut(tmp_path, kill):
    place = await killed(tmp_path, "restore_point.create", kill)
    operation = await the_one(place)
    assert (await place.ended(operation, ACME))["status"] == "done"
    point = place.points.find(PROD, ACME, operation)
    drill = await place.granted("restore.drill", ACME, restore_point=point.id)
    assert (await place.ended(drill, ACME))["result"]["proven"] is True
    assert place.points.find(PROD, ACME, operation).cut_seq == point.cut_seq
    await place.close()


@pytest.mark.parametrize(
    "kill",
    [
        "held", "what stood there half kept", "within the transaction", "one store of two replaced",
        "both replaced, nobody forgotten", "forgotten, still held",
    ],
)  # fmt: skip
async def test_a_restore_killed_in_the_middle_is_finished_by_whoever_comes_next(tmp_path, kill):
    place = await killed(tmp_path, "restore.run", kill)
    operation = await the_one(place)
    others = {BOREALIS: await place.contents(BOREALIS)}
    cut = (await place.memory.barrier(BOREALIS)).seq
    erased = {e.subject for e in await place.memory.erasures(ACME, 0)}
    progress = await place.ended(operation, ACME)
    assert progress["status"] == "done", progress
    assert progress["result"]["erased_again"] >= 1
    for content in (await place.contents(ACME)).values():
        assert not erased & content["profiles"].keys()
    assert await place.contents(BOREALIS, cut) == others[BOREALIS]
    assert await goes_on(place)
    await place.close()


async def test_a_killed_restore_that_cannot_be_finished_is_put_back(tmp_path):
    place = await killed(tmp_path, "restore.run", "one store of two replaced")
    operation = await the_one(place)
    before = place.points.find(PROD, ACME, f"{operation}-before")
    stood = await place.contents(ACME, before.cut_seq)
    for sealed in (place.parts.home / "vault").rglob("*.sealed"):
        if sealed.parent.name != before.id:
            sealed.unlink()
    progress = await place.ended(operation, ACME)
    assert progress["status"] == "failed"
    assert "everything stands as it stood before" in progress["detail"]
    assert "is gone from" in progress["detail"]
    assert await place.contents(ACME) == stood
    assert await goes_on(place)
    await place.close()


async def test_files_of_a_point_that_was_dropped_halfway_are_swept(tmp_path, monkeypatch):
    place = await on_files(tmp_path, 5)
    kept, dropped = await place.point(ACME), await place.point(ACME)
    copies = place.parts.home / "restores" / "of-nobody"
    copies.mkdir(parents=True)
    monkeypatch.setattr(Vault, "drop", lambda *_: None)  # killed between the manifest and the files
    place.points.drop(dropped)
    monkeypatch.undo()
    assert {f.name for f in place.points.vault.held()} == {kept.id, dropped.id}
    await place.schedule.turn()
    assert dropped.id not in {f.name for f in place.points.vault.held()}
    assert kept.id in {f.name for f in place.points.vault.held()}
    assert not copies.exists()
    await place.close()
