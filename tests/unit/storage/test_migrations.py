"""Migrations and declared tables agree on both databases, so a server and a fresh store are the same."""

from sqlalchemy import inspect, text

from storage import migrate
from storage.engine import HEAD, Database
from storage.tables import metadata


def shape(store: Database) -> dict[str, object]:
    """Everything a schema is made of, in a form that compares."""
    seen = inspect(store.engine)
    tables = sorted(name for name in seen.get_table_names() if name != "alembic_version")
    return {
        name: {
            "columns": {c["name"]: (str(c["type"]), c["nullable"], c.get("default")) for c in seen.get_columns(name)},
            "primary": seen.get_pk_constraint(name),
            "unique": sorted(seen.get_unique_constraints(name), key=lambda u: str(u["name"])),
            "foreign": sorted(seen.get_foreign_keys(name), key=lambda f: str(f["name"])),
            "checks": sorted(seen.get_check_constraints(name), key=lambda c: str(c["name"])),
            "indexes": sorted(
                ((i["name"], i["column_names"], i["unique"]) for i in seen.get_indexes(name)), key=lambda i: str(i[0])
            ),
        }
        for name in tables
    }


def triggers(store: Database) -> list[str]:
    if store.dialect != "sqlite":
        return []
    with store.read() as connection:
        return sorted(connection.execute(text("SELECT sql FROM sqlite_master WHERE type = 'trigger'")).scalars())


def test_a_migrated_store_is_the_declared_one(empty_url: str) -> None:
    store = Database(empty_url)
    assert migrate.revision(store) is None
    assert migrate.upgrade(store) == HEAD == migrate.revision(store)
    migrated = shape(store), triggers(store)
    metadata.drop_all(store.engine)
    assert shape(store) == {}
    store.create()
    assert (shape(store), triggers(store)) == migrated
    assert len(migrated[0]) >= len(metadata.tables)
    store.close()


def test_upgrading_twice_changes_nothing_and_a_created_store_is_at_the_head(empty_url: str) -> None:
    store = Database(empty_url)
    store.create()
    assert migrate.revision(store) == HEAD == migrate.head()
    before = shape(store)
    migrate.upgrade(store)
    store.create()
    assert shape(store) == before
    assert migrate.revision(store) == HEAD
    store.close()
