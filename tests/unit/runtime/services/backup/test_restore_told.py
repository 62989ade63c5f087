"""What is kept of a restore's outcome says what it did: rows, point, stores, RPO and RTO, or why it did nothing."""

from types import SimpleNamespace

import pytest

from domain.commands import CommandRecord, State
from mesh.journal import Watch
from mesh.submission import ActionTable
from mesh.watching import Watching
from tests.support.backup_bench import backup_bench


@pytest.fixture
async def place(tmp_path):
    place = await backup_bench(tmp_path)
    yield place
    await place.close()


async def told(place, tool, command):
    """The stored verdict on the command, once it is ended."""
    now = place.bench.clock.now()
    watch = Watch(
        command=command.id, tenant=command.tenant, environment=command.environment, incident=None, started_at=now,
        hold_until=now, entities=(), before={},
    )  # fmt: skip
    kept = []
    journal = SimpleNamespace(
        verification=lambda *_: None, open_watches=lambda: (watch,), close_watch=lambda _, said: kept.append(said)
    )
    crash = SimpleNamespace(reach=lambda *_, **__: None)
    actions = ActionTable({"restore": tool})
    watching = Watching(place.parts.database, journal, SimpleNamespace(), actions, place.bench.clock, crash)
    record = CommandRecord(command=command, digest=command.digest, state=State.VERIFYING, version=1, updated_at=now)
    assert await watching.verdict(record, None) is kept[0]
    return kept[0]


@pytest.mark.parametrize("kind", ["restore.run", "restore.drill"])
async def test_a_finished_restore_tells_what_it_did(place, kind):
    point = await place.point()
    place.live(hours=1)
    tool, command, operation = await place.commanded(kind, restore_point=point.id)
    ended = await place.ended(operation)
    said = await told(place, tool, command)
    figures = ended["result"]
    assert (said.verdict, ended["status"]) == ("recovered", "done")
    assert point.id in said.reason
    for name in ("rows_compared", "rpo_s", "rto_s"):
        assert f"{name} {figures[name]:g}" in said.reason
    assert figures["rows_compared"] > 0
    if kind == "restore.run":
        stores = ", ".join(cut.store for cut in point.stores)
        assert f"restored {figures['rows_compared']:g} rows of {stores} from {point.id} as of" in said.reason


async def test_a_cancelled_restore_does_not_tell_that_it_was_done(place):
    point = await place.point()
    tool, command, operation = await place.commanded("restore.run", restore_point=point.id)
    await place.granted("operation.cancel", operation=operation)
    ended = await place.ended(operation)
    said = await told(place, tool, command)
    assert (said.verdict, ended["status"]) == ("unchanged", "cancelled")
    assert said.reason.startswith("restore.run cancelled")
