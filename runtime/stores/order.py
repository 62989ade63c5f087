"""The global order of commits, and what must outlive any one store: where stores are placed, holds, fences, erasures.

One SQLite file stands for the applications' own books. Nothing restored or promoted reads data out of it.
"""

import json
import sqlite3
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from runtime.stores.commits import Commit, legs_json, made_good
from runtime.stores.load import Draft
from runtime.stores.ports import Erasure

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS commits (seq INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT, at_s REAL, legs TEXT)",
    "CREATE TABLE IF NOT EXISTS upto (one INTEGER PRIMARY KEY CHECK (one = 1), at_s REAL)",
    "INSERT OR IGNORE INTO upto VALUES (1, 0.0)",
    "CREATE TABLE IF NOT EXISTS holds (tenant TEXT, key TEXT, PRIMARY KEY (tenant, key))",
    "CREATE TABLE IF NOT EXISTS marks (key TEXT PRIMARY KEY, seq INTEGER)",
    "CREATE TABLE IF NOT EXISTS erasures (tenant TEXT, subject TEXT, seq INTEGER, PRIMARY KEY (tenant, subject))",
    "CREATE TABLE IF NOT EXISTS fences (store TEXT, region TEXT, at_s REAL, PRIMARY KEY (store, region))",
    """CREATE TABLE IF NOT EXISTS places (store TEXT PRIMARY KEY, region TEXT, past INTEGER, turns INTEGER,
    lost INTEGER)""",
    "CREATE TABLE IF NOT EXISTS copies (store TEXT, region TEXT, turns INTEGER, PRIMARY KEY (store, region))",
    "CREATE TABLE IF NOT EXISTS gaps (store TEXT, after INTEGER, until INTEGER)",
)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a store's primary is, and since when."""

    region: str
    past: int = 0
    """Commits up to here are not its to apply any more: a standby that was promoted begins behind them."""
    turns: int = 0
    """Promotions so far; a copy made before the last one is seeded anew."""
    lost: int = 0


@dataclass(frozen=True, slots=True)
class CommitOrder:
    """The books at one path."""

    path: Path

    @contextmanager
    def open(self) -> Generator[sqlite3.Connection]:
        """Yield a connection in one write transaction."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = not self.path.exists()
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            for statement in _SCHEMA if fresh else ():
                connection.execute(statement)
            yield connection
            connection.execute("COMMIT")

    def upto_s(self) -> float:
        """Return how far the applications' commits have been taken."""
        with self.open() as connection:
            return float(cast("float", connection.execute("SELECT at_s FROM upto").fetchone()[0]))

    def extend(self, drafts: Iterable[Draft], upto_s: float) -> None:
        """Take commits in order of time; a tenant on hold commits nothing."""
        with self.open() as connection:
            held = {str(row[0]) for row in connection.execute("SELECT tenant FROM holds")}
            for draft in sorted(drafts, key=lambda d: (d.at_s, d.tenant)):
                if draft.tenant not in held:
                    _add(connection, draft)
            connection.execute("UPDATE upto SET at_s = max(at_s, ?)", (upto_s,))

    def add(self, draft: Draft) -> int:
        """Take one commit now."""
        with self.open() as connection:
            return _add(connection, draft)

    def mark(self, key: str, tenant: str, at_s: float) -> int:
        """Return the place in the order that a key has; it takes the next one the first time."""
        with self.open() as connection:
            found = connection.execute("SELECT seq FROM marks WHERE key = ?", (key,)).fetchone()
            if found is not None:
                return int(found[0])
            seq = _add(connection, Draft(tenant, at_s, ()))
            connection.execute("INSERT INTO marks VALUES (?, ?)", (key, seq))
            return seq

    def after(self, seq: int, until_s: float) -> tuple[Commit, ...]:
        """Return commits after one, made no later than `until_s`."""
        query = "SELECT seq, tenant, at_s, legs FROM commits WHERE seq > ? AND at_s <= ? ORDER BY seq"
        with self.open() as connection:
            rows = cast("list[tuple[int, str, float, str]]", connection.execute(query, (seq, until_s)).fetchall())
        return tuple(_commit(row) for row in rows)

    def newest(self, *, seq: int | None = None, until_s: float | None = None) -> tuple[int, float]:
        """Return (seq, at_s) of the newest commit within the bounds; (0, 0.0) before the first."""
        query = "SELECT seq, at_s FROM commits WHERE seq <= ? AND at_s <= ? ORDER BY seq DESC LIMIT 1"
        bounds = (2**62 if seq is None else seq, 1e300 if until_s is None else until_s)
        with self.open() as connection:
            row = cast("tuple[int, float] | None", connection.execute(query, bounds).fetchone())
        return row or (0, 0.0)

    def hold(self, tenant: str, key: str) -> None:
        """Put a tenant on hold."""
        with self.open() as connection:
            connection.execute("INSERT OR IGNORE INTO holds VALUES (?, ?)", (tenant, key))

    def release(self, tenant: str, key: str) -> None:
        """End one hold."""
        with self.open() as connection:
            connection.execute("DELETE FROM holds WHERE tenant = ? AND key = ?", (tenant, key))

    def erasures(self, tenant: str, after: int) -> tuple[Erasure, ...]:
        """Return whom a tenant has forgotten since a commit."""
        query = "SELECT subject, seq FROM erasures WHERE tenant = ? AND seq > ? ORDER BY seq, subject"
        with self.open() as connection:
            rows = cast("list[tuple[str, int]]", connection.execute(query, (tenant, after)).fetchall())
        return tuple(Erasure(*row) for row in rows)

    def fence(self, store: str, region: str, at_s: float) -> None:
        """Keep a copy from taking writes."""
        with self.open() as connection:
            connection.execute("INSERT OR IGNORE INTO fences VALUES (?, ?, ?)", (store, region, at_s))

    def fenced_s(self, store: str, region: str) -> float | None:
        """Return since when a copy takes no writes."""
        query = "SELECT at_s FROM fences WHERE store = ? AND region = ?"
        with self.open() as connection:
            row = cast("tuple[float] | None", connection.execute(query, (store, region)).fetchone())
        return None if row is None else row[0]

    def placement(self, store: str, home: str) -> Placement:
        """Return where a store's primary is; `home` where nobody has moved it."""
        query = "SELECT region, past, turns, lost FROM places WHERE store = ?"
        with self.open() as connection:
            row = cast("tuple[str, int, int, int] | None", connection.execute(query, (store,)).fetchone())
        return Placement(home) if row is None else Placement(*row)

    def seeded(self, store: str, region: str) -> int:
        """Return the promotion after which a copy was made; 0 for the first one."""
        query = "SELECT turns FROM copies WHERE store = ? AND region = ?"
        with self.open() as connection:
            row = cast("tuple[int] | None", connection.execute(query, (store, region)).fetchone())
        return 0 if row is None else row[0]

    def seed(self, store: str, region: str, turns: int) -> None:
        """Note that a copy was made anew; as a standby it is fenced no more."""
        with self.open() as connection:
            connection.execute("INSERT OR REPLACE INTO copies VALUES (?, ?, ?)", (store, region, turns))
            connection.execute("DELETE FROM fences WHERE store = ? AND region = ?", (store, region))

    def promoted(self, store: str, region: str, held: Placement, lost: Sequence[int], since: int, at_s: float) -> None:
        """Place a store's primary elsewhere, and make good what is half lost by commits of their own.

        `since` is the newest commit the promoted copy holds; all later ones are not in it.
        """
        query = "SELECT seq, tenant, at_s, legs FROM commits WHERE seq > ? ORDER BY seq"
        with self.open() as connection:
            rows = cast("list[tuple[int, str, float, str]]", connection.execute(query, (since,)).fetchall())
            newest = cast("int", connection.execute("SELECT coalesce(max(seq), 0) FROM commits").fetchone()[0])
            connection.execute("INSERT INTO gaps VALUES (?, ?, ?)", (store, since, newest))
            gaps = cast("list[tuple[str, int, int]]", connection.execute("SELECT * FROM gaps").fetchall())
            for n, row in enumerate(rows):
                if good := made_good(_commit(row), store, lambda s, seq: _held(gaps, s, seq), f"{held.turns}-{n}"):
                    _add(connection, Draft(row[1], at_s, good))
            turns = held.turns + 1
            connection.execute(
                "INSERT OR REPLACE INTO places VALUES (?, ?, ?, ?, ?)",
                (store, region, newest, turns, held.lost + len(lost)),
            )
            connection.execute("INSERT OR REPLACE INTO copies VALUES (?, ?, ?)", (store, region, turns))
            connection.execute("DELETE FROM fences WHERE store = ? AND region = ?", (store, region))


def _commit(row: tuple[int, str, float, str]) -> Commit:
    return Commit.model_validate({"seq": row[0], "tenant": row[1], "at_s": row[2], "legs": json.loads(row[3])})


def _held(gaps: Sequence[tuple[str, int, int]], store: str, seq: int) -> bool:
    return not any(lost == store and after < seq <= until for lost, after, until in gaps)


def _add(connection: sqlite3.Connection, draft: Draft) -> int:
    legs = json.dumps(legs_json(draft.legs), separators=(",", ":"))
    seq = connection.execute(
        "INSERT INTO commits (tenant, at_s, legs) VALUES (?, ?, ?)", (draft.tenant, draft.at_s, legs)
    ).lastrowid
    for leg in draft.legs:
        if leg.verb == "erase":
            connection.execute("INSERT OR REPLACE INTO erasures VALUES (?, ?, ?)", (draft.tenant, leg.subject, seq))
    return int(seq or 0)
