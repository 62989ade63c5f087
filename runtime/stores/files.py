"""One copy of one data store: a SQLite file with the rows of every tenant in it and the log of their changes.

Rows, log and the newest commit applied change in one transaction. The log holds each row before and after, so that the
content at an earlier commit can be told, and a chain per tenant, so that a gap in it shows.
"""

import hashlib
import sqlite3
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import cast

from domain.errors import Broken, Unavailable
from runtime.stores.commits import TABLES, Commit, Row, carry_out, row_of, text_of
from runtime.stores.ports import Content, Entry, Replaced, linked

_SQL = {str: "TEXT", int: "INTEGER"}
_SCHEMA = (
    *(
        f"CREATE TABLE IF NOT EXISTS {table} (tenant TEXT, {', '.join(f'{n} {_SQL[t]}' for n, t in columns)}, "
        f"PRIMARY KEY (tenant, {columns[0][0]})) WITHOUT ROWID"
        for table, columns in TABLES.items()
    ),
    "CREATE INDEX IF NOT EXISTS transfers_of ON transfers (tenant, account)",
    """CREATE TABLE IF NOT EXISTS log (n INTEGER PRIMARY KEY, seq INTEGER, tenant TEXT, tab TEXT, key TEXT,
    before TEXT, after TEXT, chain TEXT)""",
    "CREATE INDEX IF NOT EXISTS log_of ON log (tenant, seq, n)",
    "CREATE TABLE IF NOT EXISTS chains (tenant TEXT PRIMARY KEY, chain TEXT)",
    "CREATE TABLE IF NOT EXISTS restored (key TEXT PRIMARY KEY, seq INTEGER, others_before TEXT, others_after TEXT)",
    "CREATE TABLE IF NOT EXISTS head (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER)",
    "INSERT OR IGNORE INTO head VALUES (1, 0)",
)
Change = tuple[int, str, str, str, str | None, str | None]
"""(seq, tenant, table, key, before, after)."""


@dataclass(frozen=True, slots=True)
class StoreFile:
    """The file at one path; it is made when it is first written. Raises Broken for a file that SQLite cannot read."""

    path: Path

    @contextmanager
    def open(self) -> Generator[sqlite3.Connection]:
        """Yield a connection in one write transaction."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            fresh = not self.path.exists()
            with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                for statement in _SCHEMA if fresh or not _fetch(connection, "SELECT name FROM sqlite_master") else ():
                    connection.execute(statement)
                yield connection
                connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise Unavailable(f"{self.path.name} did not answer: {error}", reason="store_unavailable") from error
        except sqlite3.DatabaseError as error:
            raise Broken(f"{self.path.name} is damaged: {error}", reason="store_damaged") from error

    def head(self) -> int:
        """Return the newest commit applied."""
        with self.open() as connection:
            return _head(connection)

    def apply(self, store: str, commits: Iterable[Commit]) -> None:
        """Apply commits in order; those it has already are passed over."""
        with self.open() as connection:
            head, chains = _head(connection), _Chains(connection)
            for commit in commits:
                if commit.seq > head:
                    rows = _TenantRows(connection, commit.tenant, commit.seq, chains)
                    for leg in commit.legs:
                        if leg.store == store:
                            carry_out(leg, rows, commit.at_s)
                    head = commit.seq
            chains.keep()
            connection.execute("UPDATE head SET seq = ?", (head,))

    def content(self, tenant: str, seq: int) -> Content:
        """Return a tenant's rows as they were at a commit: the rows now, with later changes taken back."""
        with self.open() as connection:
            found = _content(connection, "tenant = ?", tenant)
            later = _fetch(
                connection, "SELECT tab, key, before FROM log WHERE tenant = ? AND seq > ? ORDER BY seq DESC, n DESC",
                tenant, seq,
            )  # fmt: skip
        for table, key, before in cast("list[tuple[str, str, str | None]]", later):
            if before is None:
                found[table].pop(key, None)
            else:
                found[table][key] = before
        return found

    def chain(self, tenant: str, seq: int | None = None) -> str:
        """Return the chain at a commit; without one the chain kept beside the log, which a cut log does not change."""
        with self.open() as connection:
            if seq is None:
                rows = _fetch(connection, "SELECT chain FROM chains WHERE tenant = ?", tenant)
            else:
                rows = _fetch(
                    connection, "SELECT chain FROM log WHERE tenant = ? AND seq <= ? ORDER BY seq DESC, n DESC LIMIT 1",
                    tenant, seq,
                )  # fmt: skip
        return str(rows[0][0]) if rows else ""

    def log(self, tenant: str, after: int, until: int) -> tuple[Entry, ...]:
        """Return a tenant's entries in (after, until]."""
        with self.open() as connection:
            rows = _fetch(
                connection, "SELECT seq, tab, key, after, chain FROM log WHERE tenant = ? AND seq > ? AND seq <= ? "
                "ORDER BY seq, n", tenant, after, until,
            )  # fmt: skip
        return tuple(Entry(*row) for row in cast("list[tuple[int, str, str, str | None, str]]", rows))

    def acknowledged(self, after: int) -> list[int]:
        """Return the commits after one that changed anything here."""
        with self.open() as connection:
            rows = _fetch(connection, "SELECT DISTINCT seq FROM log WHERE seq > ? ORDER BY seq", after)
        return [int(row[0]) for row in cast("list[tuple[int]]", rows)]

    def entries(self) -> int:
        """Return how many log entries there are; a standby's are the first of its primary's."""
        with self.open() as connection:
            return int(cast("int", _fetch(connection, "SELECT coalesce(max(n), 0) FROM log")[0][0]))

    def changes(self, known: int, until: int) -> list[Change]:
        """Return every tenant's changes behind the entries a standby knows, up to the first one after `until`."""
        query = "SELECT seq, tenant, tab, key, before, after FROM log WHERE n > ? ORDER BY n"
        with self.open() as connection:
            rows = cast("list[Change]", _fetch(connection, query, known))
        return list(takewhile(lambda change: change[0] <= until, rows))

    def receive(self, changes: Sequence[Change], until: int) -> None:
        """Apply a primary's changes as they came; afterwards everything up to `until` is here."""
        with self.open() as connection:
            chains = _Chains(connection)
            for seq, tenant, table, key, _before, after in changes:
                rows = _TenantRows(connection, tenant, seq, chains)
                rows.put(table, key, None if after is None else row_of(after))
            chains.keep()
            connection.execute("UPDATE head SET seq = max(seq, ?)", (until,))

    def replace(self, tenant: str, content: Content, seq: int, *, key: str) -> Replaced:
        """Make a tenant's rows these, once per key. Raises Broken, and changes nothing, where another's row moved."""
        with self.open() as connection:
            done = _fetch(connection, "SELECT seq, others_before, others_after FROM restored WHERE key = ?", key)
            if done:
                return Replaced(*cast("tuple[int, str, str]", done[0]))
            before = digest_of_rows(_content(connection, "tenant <> ?", tenant))
            chains = _Chains(connection)
            rows = _TenantRows(connection, tenant, seq, chains)
            held = _content(connection, "tenant = ?", tenant)
            for table in TABLES:
                wanted = content.get(table, {})
                for gone in sorted(held[table].keys() - wanted.keys()):
                    rows.put(table, gone, None)
                for name in sorted(wanted):
                    if held[table].get(name) != wanted[name]:
                        rows.put(table, name, row_of(wanted[name]))
            after = digest_of_rows(_content(connection, "tenant <> ?", tenant))
            if before != after:
                raise Broken("a restore touched another tenant's rows: taken back", reason="restore_leaked")
            chains.keep()
            connection.execute("INSERT INTO restored VALUES (?, ?, ?, ?)", (key, seq, before, after))
            connection.execute("UPDATE head SET seq = max(seq, ?)", (seq,))
        return Replaced(seq, before, after)

    def copy_to(self, other: "StoreFile") -> None:
        """Make another file the same as this one: how a standby is seeded."""
        other.path.unlink(missing_ok=True)
        with (
            closing(sqlite3.connect(self.path)) as source,
            closing(sqlite3.connect(other.path)) as target,
        ):
            source.backup(target)


class _Chains:
    """The chains of a transaction, read once and written once."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        rows = cast("list[tuple[str, str]]", _fetch(connection, "SELECT tenant, chain FROM chains"))
        self._held = dict(rows)

    def fold(self, tenant: str, seq: int, table: str, key: str, after: str | None) -> str:
        """Fold one entry into a tenant's chain and return it."""
        self._held[tenant] = linked(self._held.get(tenant, ""), seq, table, key, after)
        return self._held[tenant]

    def keep(self) -> None:
        """Write them."""
        self._connection.executemany("INSERT OR REPLACE INTO chains VALUES (?, ?)", list(self._held.items()))


@dataclass(frozen=True, slots=True)
class _TenantRows:
    """One tenant's rows within a transaction; every change is logged under one commit."""

    connection: sqlite3.Connection
    tenant: str
    seq: int
    chains: _Chains

    def get(self, table: str, key: str) -> Row | None:
        names = [name for name, _ in TABLES[table]]
        query = f"SELECT {', '.join(names)} FROM {table} WHERE tenant = ? AND {names[0]} = ?"  # noqa: S608  # from TABLES
        rows = _fetch(self.connection, query, self.tenant, key)
        return cast("Row", rows[0]) if rows else None

    def keys(self, table: str, column: str, value: str) -> Sequence[str]:
        key = TABLES[table][0][0]
        query = f"SELECT {key} FROM {table} WHERE tenant = ? AND {column} = ? ORDER BY {key}"  # noqa: S608  # from TABLES
        return [str(row[0]) for row in _fetch(self.connection, query, self.tenant, value)]

    def put(self, table: str, key: str, row: Row | None) -> None:
        held = self.get(table, key)
        if row is None:
            query = f"DELETE FROM {table} WHERE tenant = ? AND {TABLES[table][0][0]} = ?"  # noqa: S608  # from TABLES
            self.connection.execute(query, (self.tenant, key))
        else:
            query = f"INSERT OR REPLACE INTO {table} VALUES (?{', ?' * len(TABLES[table])})"  # noqa: S608  # from TABLES
            self.connection.execute(query, (self.tenant, *row))
        after = None if row is None else text_of(row)
        chain = self.chains.fold(self.tenant, self.seq, table, key, after)
        self.connection.execute(
            "INSERT INTO log (seq, tenant, tab, key, before, after, chain) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (self.seq, self.tenant, table, key, None if held is None else text_of(held), after, chain),
        )


def digest_of_rows(content: Content) -> str:
    """Return the digest over all rows of a content, in order of table and key."""
    total = hashlib.sha256()
    for table in sorted(content):
        for key, text in sorted(content[table].items()):
            total.update(f"{table}\x1f{key}\x1f{text}\x1e".encode())
    return f"sha256:{total.hexdigest()}"


def _content(connection: sqlite3.Connection, where: str, tenant: str) -> dict[str, dict[str, str]]:
    """Rows by table and key; with others' rows the key is tenant and key."""
    found: dict[str, dict[str, str]] = {}
    for table, columns in TABLES.items():
        query = f"SELECT tenant, {', '.join(n for n, _ in columns)} FROM {table} WHERE {where}"  # noqa: S608  # from TABLES
        rows = cast("list[tuple[str | int, ...]]", _fetch(connection, query, tenant))
        alone = where == "tenant = ?"
        found[table] = {str(r[1]) if alone else f"{r[0]}\x1f{r[1]}": text_of(r[1:]) for r in rows}
    return found


def _head(connection: sqlite3.Connection) -> int:
    return int(cast("int", _fetch(connection, "SELECT seq FROM head")[0][0]))


def _fetch(connection: sqlite3.Connection, query: str, *values: object) -> list[tuple[object, ...]]:
    return connection.execute(query, values).fetchall()
