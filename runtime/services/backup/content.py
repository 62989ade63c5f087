"""Contents and how they are told apart: digests per table, and a comparison row by row with what stood at the cut."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from domain.backup import TableCut
from domain.errors import Invalid
from runtime.stores.ports import Content, Entry, linked

Index = Mapping[str, Mapping[str, str]]
"""Digest of every row by table and key: what a restored content is compared with."""
NAMED = 10
"""Differences told by name; more are counted."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """How many rows were compared and what differs; nothing differs where `differences` is empty."""

    rows: int
    differences: tuple[str, ...]


def index_of(content: Content) -> Index:
    """Return the digest of every row."""
    return {
        table: {key: hashlib.sha256(text.encode()).hexdigest() for key, text in rows.items()}
        for table, rows in content.items()
    }


def tables_of(index: Index) -> dict[str, TableCut]:
    """Return count and digest per table, over keys and row digests in order of keys."""
    return {table: TableCut(rows=len(rows), digest=_digest(rows)) for table, rows in sorted(index.items())}


def compare(wanted: Index, found: Content) -> Comparison:
    """Compare restored rows with those at the cut, row by row."""
    held = index_of(found)
    differences: list[str] = []
    for table in sorted(wanted.keys() | held.keys()):
        there, here = wanted.get(table, {}), held.get(table, {})
        for what, keys in (
            ("missing", there.keys() - here.keys()),
            ("not in the original", here.keys() - there.keys()),
            ("different", {k for k in there.keys() & here.keys() if there[k] != here[k]}),
        ):
            if keys:
                differences.append(f"{table}: {len(keys)} rows {what}: {_named(keys)}")
    return Comparison(sum(len(rows) for rows in wanted.values()), tuple(differences))


def replayed(base: Content, chain: str, entries: Sequence[Entry], head: str) -> Content:
    """Return a content with log entries played on it. Raises Invalid where the log is broken or ends too early.

    `chain` is the log's at the base, `head` the one it must come to.
    """
    rows = {table: dict(held) for table, held in base.items()}
    for entry in entries:
        chain = linked(chain, entry.seq, entry.table, entry.key, entry.after)
        if chain != entry.chain:
            raise Invalid(f"the log is broken at commit {entry.seq}: {entry.table} {entry.key}", reason="log_broken")
        table = rows.setdefault(entry.table, {})
        if entry.after is None:
            table.pop(entry.key, None)
        else:
            table[entry.key] = entry.after
    if chain != head:
        last = entries[-1].seq if entries else "the restore point"
        raise Invalid(f"the log ends at {last}, before what was committed", reason="log_truncated")
    return rows


def _digest(rows: Mapping[str, str]) -> str:
    total = hashlib.sha256()
    for line in _lines(rows):
        total.update(line)
    return f"sha256:{total.hexdigest()}"


def _lines(rows: Mapping[str, str]) -> Iterator[bytes]:
    yield from (f"{key}\x1f{digest}\x1e".encode() for key, digest in sorted(rows.items()))


def _named(keys: set[str]) -> str:
    names = sorted(keys)
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
