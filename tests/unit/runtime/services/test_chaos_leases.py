"""Leases on disk: there before the fault, whole lines only, free when their holder is gone."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain.errors import Conflict
from runtime.services.chaos.leases import Lease, LeaseBook
from tests.support.chaos_bench import chaos_bench

AT = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)
LEASE = Lease(
    handle="run-0", environment="prod", tenant="acme", experiment="cart", run="run", target="service/cart",
    recipe={"what": "x"}, until=AT + timedelta(seconds=60),
)  # fmt: skip


def test_a_lease_is_read_again_by_anybody_and_renewed_by_its_holder_alone(tmp_path):
    mine, other = LeaseBook(tmp_path), LeaseBook(tmp_path)
    mine.open(LEASE, AT)
    later = AT + timedelta(seconds=90)
    assert mine.renew("run-0", later, AT + timedelta(seconds=30))
    assert not other.renew("run-0", later, AT)
    assert [lease.until for lease in other.all()] == [later]
    with pytest.raises(Conflict):
        other.open(LEASE, AT)


def test_a_lease_that_ran_out_is_not_renewed(tmp_path):
    book = LeaseBook(tmp_path)
    book.open(LEASE, AT)
    assert not book.renew("run-0", AT + timedelta(seconds=300), LEASE.until)


def test_an_orphan_is_known_by_its_lock(tmp_path):
    mine, other = LeaseBook(tmp_path), LeaseBook(tmp_path)
    mine.open(LEASE, AT)
    assert not other.orphaned("run-0")
    assert not mine.orphaned("run-0")
    del mine
    assert other.orphaned("run-0")


def test_a_torn_line_is_not_counted_and_a_torn_lease_never_was(tmp_path):
    book = LeaseBook(tmp_path)
    book.open(LEASE, AT)
    with (tmp_path / "run-0.lease").open("ab") as file:
        file.write(b'{"event":"renewed","at":"2026')
    assert book.find("run-0") == LEASE
    (tmp_path / "run-1.lease").write_bytes(b'{"event":"ope')
    assert [lease.handle for lease in book.all()] == ["run-0"]
    book.open(LEASE.model_copy(update={"handle": "run-1"}), AT)
    assert [lease.handle for lease in book.all()] == ["run-0", "run-1"]


def test_what_is_stuck_is_counted_and_what_is_back_is_gone(tmp_path):
    book = LeaseBook(tmp_path)
    book.open(LEASE, AT)
    book.stuck("run-0", "no answer", AT)
    assert book.stuck("run-0", "no answer", AT).attempts == 2
    book.close("run-0", AT)
    assert book.all() == ()
    assert list(tmp_path.iterdir()) == []
    book.close("run-0", AT)


async def test_file_and_folder_are_flushed_before_the_fault_happens(tmp_path):
    bench = await chaos_bench(tmp_path)
    flushed = []

    def flush(file):
        kind = "folder" if Path(f"/proc/self/fd/{file}").is_dir() else "file"
        flushed.append((kind, bool(bench.faults.effects)))
        os.fsync(file)

    bench.operators["chaos.run"].runner.reverter.book._flush = flush
    await bench.step()
    assert flushed[:2] == [("file", False), ("folder", False)]
    assert bench.faults.effects


async def test_after_a_restart_the_fault_is_taken_back_and_the_run_is_interrupted(tmp_path):
    bench = await chaos_bench(tmp_path)
    await bench.step()
    assert bench.faults.broken
    bench.revive()
    await bench.watch.turn()
    assert bench.faults.broken == {}
    assert (await bench.round()).status == "failed"
    assert bench.journal().status == "interrupted"
