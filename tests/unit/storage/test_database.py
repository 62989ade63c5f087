"""What every room relies on: all or nothing, one snapshot, and errors that say what to do."""

import sqlite3
import stat
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError, StatementError

from domain.errors import Broken, Unavailable
from storage.engine import Database
from storage.inserts import insert_once
from storage.tables.governance import consumed, counters


def test_a_rolled_back_transaction_leaves_nothing(database: Database) -> None:
    with pytest.raises(KeyError), database.begin() as connection:  # noqa: PT012  # the raise is the point
        connection.execute(counters.insert().values(name="x", value=1))
        raise KeyError
    with database.read() as connection:
        assert connection.execute(select(counters)).all() == []


def test_a_reader_sees_one_snapshot_while_others_write(database: Database) -> None:
    with database.read() as reader:
        before = reader.execute(select(counters)).all()
        with database.begin() as writer:
            writer.execute(counters.insert().values(name="x", value=1))
        assert reader.execute(select(counters)).all() == before == []
    with database.read() as reader:
        assert len(reader.execute(select(counters)).all()) == 1


def test_an_insert_once_tells_whether_it_was_first(database: Database) -> None:
    with database.begin() as connection:
        assert insert_once(connection, counters, {"name": "x", "value": 1})
        assert not insert_once(connection, counters, {"name": "x", "value": 2})
        assert connection.execute(select(counters.c.value)).scalar_one() == 1


def test_instants_come_back_in_utc_and_naive_ones_are_refused(database: Database) -> None:
    east = datetime(2026, 11, 23, 14, 0, 0, 123456, tzinfo=timezone(timedelta(hours=2)))
    with database.begin() as connection:
        connection.execute(consumed.insert().values(consumer="c", event="e", at=east))
        at = connection.execute(select(consumed.c.at)).scalar_one()
    assert (at, at.tzinfo) == (east, UTC)
    with pytest.raises(StatementError, match="naive"), database.begin() as connection:
        connection.execute(consumed.insert().values(consumer="c", event="f", at=datetime(2026, 1, 1)))  # noqa: DTZ001


def test_a_broken_constraint_stays_ours_to_handle(database: Database) -> None:
    with pytest.raises(IntegrityError), database.begin() as connection:
        connection.execute(counters.insert().values(name="x", value=None))


def test_the_probe_writes_and_leaves_nothing(database: Database) -> None:
    assert database.probe() > 0
    with database.read() as connection:
        assert connection.execute(select(counters)).all() == []


def test_a_read_only_store_answers_reads_and_fails_the_probe(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    Database(url).create()
    store = Database(url, read_only=True)
    with store.read() as connection:
        assert connection.execute(select(counters)).all() == []
    with pytest.raises(Unavailable):
        store.probe()


def test_a_store_that_is_gone_is_unavailable(tmp_path: Path) -> None:
    for url in (f"sqlite:///{tmp_path}/no/such/folder/x.db", f"postgresql://nobody@/none?host={tmp_path}"):
        with pytest.raises(Unavailable):
            Database(url).probe()


def test_a_damaged_store_is_broken_not_merely_busy(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    file.write_bytes(b"this is no database, however long the wait " * 100)
    with pytest.raises(Broken):
        Database(f"sqlite:///{file}").probe()


def test_acknowledged_is_on_disk_before_the_transaction_returns(tmp_path: Path) -> None:
    """A second process's view, without the first having closed anything."""
    store = Database(f"sqlite:///{tmp_path}/store.db")
    store.create()
    with store.begin() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2, "FULL"
        connection.execute(counters.insert().values(name="x", value=1))
    copy = tmp_path / "copy"
    copy.mkdir(mode=stat.S_IRWXU)
    for name in ("store.db", "store.db-wal"):
        (copy / name).write_bytes((tmp_path / name).read_bytes())
    rows = sqlite3.connect(copy / "store.db").execute("SELECT name, value FROM counters").fetchall()
    assert rows == [("x", 1)]
