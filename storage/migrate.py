"""Bring a store's schema up to date. Servers call `upgrade` before they serve; embedded stores are created whole.

Every migration runs in one transaction on both databases: a failed one leaves the schema as it was.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Dialect
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from storage.engine import Database
from storage.tables import metadata
from storage.tables.events import TEXT_DDL

FOLDER = Path(__file__).parent / "migrations"
_SEPARATOR = "\n-- next\n"


def upgrade(database: Database) -> str:
    """Apply what is missing and return the revision reached."""
    config = _config()
    with database.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return head()


def revision(database: Database) -> str | None:
    """Return the revision of a store; None for one that was never set up."""
    with database.read() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def head() -> str:
    """Return the newest revision the code knows."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def statements(dialect: Dialect) -> tuple[str, ...]:
    """Return the statements that make the declared tables on a dialect."""
    made: list[str] = []
    for table in metadata.sorted_tables:
        made.append(str(CreateTable(table).compile(dialect=dialect)).strip())
        indexes = sorted(table.indexes, key=lambda index: str(index.name))
        made.extend(str(CreateIndex(index).compile(dialect=dialect)).strip() for index in indexes)
    return (*made, *TEXT_DDL[dialect.name])


def write_initial() -> None:
    """Write the first revision's statements from the declared tables; only until the first release."""
    for dialect in (sqlite.dialect(), postgresql.dialect()):
        file = FOLDER / "versions" / f"0001_initial.{dialect.name}.sql"
        file.write_text(_SEPARATOR.join(statements(dialect)) + "\n")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.set_main_option("path_separator", "os")
    return config
