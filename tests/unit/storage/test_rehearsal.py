"""A rehearsal does all the work of a write and keeps nothing; what runs beside it is not touched."""

import asyncio

import pytest
from sqlalchemy import select

from storage.engine import Database
from storage.tables.governance import counters


@pytest.fixture
def database(tmp_path):
    made = Database(f"sqlite:///{tmp_path / 'one.db'}")
    made.create()
    yield made
    made.close()


def count(database, name):
    with database.begin() as connection:
        connection.execute(counters.insert().values(name=name, value=1))
        return len(connection.execute(select(counters.c.name)).all())


def names(database):
    with database.read() as connection:
        return set(connection.execute(select(counters.c.name)).scalars())


def test_what_a_rehearsal_writes_is_seen_inside_and_gone_after(database):
    with database.rehearsal():
        assert (database.rehearsing, count(database, "tried")) == (True, 1)
    assert not database.rehearsing
    count(database, "meant")
    assert names(database) == {"meant"}


def test_another_store_is_not_rehearsed(database, tmp_path):
    other = Database(f"sqlite:///{tmp_path / 'two.db'}")
    other.create()
    with database.rehearsal():
        count(other, "meant")
    assert names(other) == {"meant"}
    other.close()


async def test_a_task_beside_it_keeps_what_it_writes(database):
    begun, beside = asyncio.Event(), asyncio.Event()

    async def rehearses():
        with database.rehearsal():
            begun.set()
            await beside.wait()
            await asyncio.to_thread(count, database, "tried")

    async def works():
        await begun.wait()
        count(database, "meant")
        beside.set()

    await asyncio.gather(rehearses(), works())
    assert names(database) == {"meant"}
