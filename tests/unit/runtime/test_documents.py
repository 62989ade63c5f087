"""Documents: versions only grow, a stale writer is told so, and a place is seen from that place only."""

from datetime import UTC, datetime

import pytest

from domain.base import Frozen
from domain.errors import Conflict
from domain.ids import EnvironmentId, TenantId
from runtime.documents import Documents, Place
from storage.engine import Database
from storage.tables.runtime import create_runtime_tables

NOW = datetime(2026, 3, 10, tzinfo=UTC)


class Note(Frozen):
    text: str


NOTES = Documents("note", Note)
HERE = Place(environment=EnvironmentId("prod"), tenant=TenantId("acme"))
THERE = Place(environment=EnvironmentId("prod"), tenant=TenantId("globex"))


@pytest.fixture
def connection(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'r.db'}")
    create_runtime_tables(database.engine)
    with database.begin() as connection:
        yield connection
    database.close()


def test_versions_only_grow(connection):
    assert NOTES.put(connection, HERE, "a", Note(text="one"), at=NOW, expect=0) == 1
    assert NOTES.put(connection, HERE, "a", Note(text="two"), at=NOW, expect=1) == 2
    found = NOTES.get(connection, HERE, "a")
    assert (found.body.text, found.version) == ("two", 2)


@pytest.mark.parametrize("expect", [0, 2, 7])
def test_a_stale_writer_is_told_so_and_changes_nothing(connection, expect):
    NOTES.put(connection, HERE, "a", Note(text="one"), at=NOW)
    with pytest.raises(Conflict):
        NOTES.put(connection, HERE, "a", Note(text="two"), at=NOW, expect=expect)
    assert NOTES.get(connection, HERE, "a").body.text == "one"


def test_a_document_is_seen_from_its_own_place_only(connection):
    NOTES.put(connection, HERE, "a", Note(text="one"), at=NOW)
    assert NOTES.get(connection, THERE, "a") is None
    assert NOTES.list(connection, HERE.environment, [THERE.tenant]) == ()
    assert not NOTES.delete(connection, THERE, "a")
    assert [d.place.tenant for d in NOTES.list(connection, HERE.environment)] == ["acme"]
    assert NOTES.delete(connection, HERE, "a")
    assert NOTES.list(connection, HERE.environment) == ()
