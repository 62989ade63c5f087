"""One Database per URL: SQLite in WAL mode with immediate write transactions, or PostgreSQL by psycopg.

A write transaction takes the writer's lock when it begins, so that a read-then-write inside it cannot be raced;
acknowledged means durable (synchronous=FULL).
"""

from collections.abc import Generator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from domain.errors import Unavailable
from storage.tables import metadata

BUSY_TIMEOUT_MS = 15_000
"""How long a SQLite writer waits for another: longer than any of our transactions, shorter than a tool's limit."""


class Database:
    """Connections to one store. `begin()` writes, `read()` reads; both raise Unavailable when the store is gone."""

    def __init__(self, url: str, *, read_only: bool = False) -> None:
        self.url = url
        self._engine = (
            _sqlite(url, read_only=read_only) if url.startswith("sqlite") else create_engine(url, pool_pre_ping=True)
        )

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
        """Yield a connection in one write transaction: committed at the end, rolled back on any error."""
        try:
            with self._engine.execution_options(opsmesh_write=True).begin() as connection:
                yield connection
        except OperationalError as error:
            raise _unavailable(error) from error

    @contextmanager
    def read(self) -> Generator[Connection]:
        """Yield a connection for reading one consistent snapshot."""
        try:
            with self._engine.connect() as connection:
                yield connection
        except OperationalError as error:
            raise _unavailable(error) from error

    def create(self) -> None:
        """Create every table that is missing (tests and embedded use; servers run migrations)."""
        metadata.create_all(self._engine)

    def close(self) -> None:
        """Close every pooled connection."""
        self._engine.dispose()


def _unavailable(error: DBAPIError) -> Unavailable:
    return Unavailable(f"the store did not answer: {error.orig}", reason="store_unavailable")


def _sqlite(url: str, *, read_only: bool) -> Engine:
    engine = create_engine(url, poolclass=NullPool if ":memory:" not in url else None)

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
