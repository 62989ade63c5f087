"""One Database per URL: SQLite in WAL mode with immediate write transactions, or PostgreSQL by psycopg.

A write transaction takes the writer's lock when it begins, so that a read-then-write inside it cannot be raced;
acknowledged means durable (synchronous=FULL).
"""

import time
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DatabaseError, DataError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from domain.errors import Broken, Invalid, Unavailable
from storage.tables import metadata
from storage.tables.governance import counters

BUSY_TIMEOUT_MS = 15_000
"""How long a SQLite writer waits for another: longer than any of our transactions, shorter than a tool's limit."""

HEAD = "0001"
"""The newest migration; a test holds it to `storage/migrations`."""
_MARK = (
    "CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)",
    f"INSERT INTO alembic_version SELECT '{HEAD}' WHERE NOT EXISTS (SELECT 1 FROM alembic_version)",  # noqa: S608  # a constant
)
_REHEARSED: ContextVar[tuple["Database", ...]] = ContextVar("rehearsed", default=())


class Database:
    """Connections to one store. `begin()` writes, `read()` reads; both raise Unavailable when the store is gone."""

    def __init__(self, url: str, *, read_only: bool = False) -> None:
        self.url = url
        self._engine = (
            _sqlite(url, read_only=read_only) if url.startswith("sqlite") else create_engine(url, pool_pre_ping=True)
        )
        snapshot = {} if url.startswith("sqlite") else {"isolation_level": "REPEATABLE READ"}
        self._reader = self._engine.execution_options(**snapshot)

    @property
    def engine(self) -> Engine:
        """The SQLAlchemy engine, for migrations."""
        return self._engine

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._engine.dialect.name

    @contextmanager
    def begin(self) -> Generator[Connection]:
        """Yield a connection in one write transaction: committed at the end, rolled back on any error.

        In a rehearsal it is rolled back always.
        """
        try:
            with self._engine.execution_options(opsmesh_write=True).begin() as connection:
                yield connection
                if self.rehearsing:
                    connection.rollback()
        except DatabaseError as error:
            raise _translated(error) from error

    @contextmanager
    def read(self) -> Generator[Connection]:
        """Yield a connection for reading one consistent snapshot."""
        try:
            with self._reader.connect() as connection:
                yield connection
        except DatabaseError as error:
            raise _translated(error) from error

    @property
    def rehearsing(self) -> bool:
        """Whether what the current task writes here is taken back."""
        return any(one is self for one in _REHEARSED.get())

    @contextmanager
    def rehearsal(self) -> Generator[None]:
        """Let every write transaction of this task, and of threads it calls, do all its work and keep nothing.

        Each is taken back at its own end, so that no lock is held while the task waits for something else: what one
        writes, the next does not see.
        """
        mark = _REHEARSED.set((*_REHEARSED.get(), self))
        try:
            yield
        finally:
            _REHEARSED.reset(mark)

    def probe(self) -> float:
        """Write and take back one row, as a command would; return how long it took in ms. Raises Unavailable.

        A store that answers reads but is full, locked or read-only does not pass.
        """
        begun = time.perf_counter()
        with self.begin() as connection:
            savepoint = connection.begin_nested()
            connection.execute(counters.insert().values(name="probe", value=1))
            savepoint.rollback()
        return (time.perf_counter() - begun) * 1000

    def create(self) -> None:
        """Create every table that is missing (tests and embedded use; servers run migrations).

        A store made whole is marked as being at the newest migration, so that later ones find their place.
        """
        metadata.create_all(self._engine)
        with self.begin() as connection:
            for statement in _MARK:
                connection.exec_driver_sql(statement)

    def close(self) -> None:
        """Close every pooled connection."""
        self._engine.dispose()


def _translated(error: DatabaseError) -> Exception:
    """Say what a database error means to the caller. Broken constraints stay what they are: ours to handle."""
    if isinstance(error, OperationalError) or error.connection_invalidated:
        return Unavailable(f"the store did not answer: {error.orig}", reason="store_unavailable")
    if isinstance(error, DataError):
        return Invalid(f"a value does not fit its column: {error.orig}", reason="value_unfit")
    if type(error) is DatabaseError:  # SQLite: malformed image, or not a database at all
        return Broken(f"the store is damaged: {error.orig}", reason="store_damaged")
    return error


def _sqlite(url: str, *, read_only: bool) -> Engine:
    # Kept connections: closing the last one of a WAL database checkpoints it, 8 ms a transaction became 44.
    engine = create_engine(url)

    def on_connect(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # we begin transactions ourselves, see on_begin
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"query_only={int(read_only)}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    def on_begin(connection: Connection) -> None:
        write = bool(connection.get_execution_options().get("opsmesh_write"))
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    event.listen(engine, "connect", on_connect)
    event.listen(engine, "begin", on_begin)
    return engine
