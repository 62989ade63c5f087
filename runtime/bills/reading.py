"""Reads the lines of one cost export, CSV or Parquet. A bad line is quarantined with its number and reason.

One line, or row, is one charge: an open quote damages its own line and no other. Lines and files are bounded, so a
hostile file costs bounded memory.
"""

import csv
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Final

from pydantic import ValidationError

from domain.base import Frozen
from domain.errors import Invalid
from runtime.bills import parquet
from runtime.bills.exports import EXPORTS, Export, recognised
from runtime.bills.records import CostRecord

LINE_BYTES: Final = 65_536
"""A line of fifty tags of 256 letters is a quarter of this; more is not a charge."""

FILE_LINES: Final = 1_000_000
"""About a gigabyte in memory; a larger bill is split by account."""


class Line(Frozen):
    """Where a line, or a row of a table, stands; the header is line 1."""

    file: str
    number: int


class Quarantined(Frozen):
    """A line that was not counted, and why."""

    line: Line
    reason: str


def charges(stream: BinaryIO, file: str) -> Iterator[tuple[Line, CostRecord] | Quarantined]:
    """Yield every line's charge or why there is none. `stream` can be rewound.

    Raises Invalid for columns we do not know, a Parquet file that cannot be read, or too many lines.
    """
    numbered = _rows(stream, file) if parquet.is_parquet(stream) else _lines(stream)
    header, export = _header(next(numbered, (1, b""))[1], file)
    for number, raw in numbered:
        if number > FILE_LINES:
            raise Invalid(f"{file} has more than {FILE_LINES} lines; split it by account", reason="too_many_lines")
        line = Line(file=file, number=number)
        try:
            if fields := _fields(raw):
                yield line, _charge(export, header, fields)
        except Invalid as refused:
            yield Quarantined(line=line, reason=str(refused))


def _rows(stream: BinaryIO, file: str) -> Iterator[tuple[int, list[str] | None]]:
    """Yield numbered rows of a Parquet file, its column names first; None for one that is longer than a line may be."""
    wanted = sorted({name for export in EXPORTS for name in export.reads})
    try:
        for number, texts in enumerate(parquet.rows(stream, wanted, FILE_LINES), start=1):
            yield number, texts if sum(map(len, texts)) <= LINE_BYTES else None
    except Invalid as error:
        raise Invalid(f"{file}: {error}", reason=error.reason) from error


def _lines(stream: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Yield numbered lines; None for one beyond the limit, whose rest is passed over unread into memory."""
    number = 0
    while raw := stream.readline(LINE_BYTES + 1):
        number += 1
        if len(raw) <= LINE_BYTES:
            yield number, raw
            continue
        while raw and not raw.endswith(b"\n"):
            raw = stream.readline(LINE_BYTES)
        yield number, None


def _header(raw: bytes | list[str] | None, file: str) -> tuple[list[str], Export]:
    try:
        names = _fields(raw.removeprefix(b"\xef\xbb\xbf") if isinstance(raw, bytes) else raw)
        export = recognised(names)
    except Invalid as error:
        raise Invalid(f"{file}, line 1: {error}", reason=error.reason) from error
    header = [name.casefold() for name in names] if export.folded else names
    if twice := sorted({name for name in header if header.count(name) > 1}):
        raise Invalid(f"{file}, line 1: twice the column {', '.join(twice)[:200]}", reason="column_twice")
    return header, export


def _fields(raw: bytes | list[str] | None) -> list[str]:
    """Split one line, if it is not split yet; empty for an empty line."""
    if raw is None:
        raise Invalid(f"longer than {LINE_BYTES} bytes", reason="line_too_long")
    if not isinstance(raw, bytes):
        return raw
    try:
        return next(csv.reader([raw.decode().rstrip("\r\n")], strict=True), list[str]())
    except UnicodeDecodeError as error:
        raise Invalid(f"not UTF-8 at byte {error.start}", reason="not_utf8") from error
    except csv.Error as error:
        raise Invalid(f"not CSV: {error}", reason="not_csv") from error


def _charge(export: Export, header: Sequence[str], fields: Sequence[str]) -> CostRecord:
    if len(fields) != len(header):
        raise Invalid(f"{len(fields)} fields where the header names {len(header)}", reason="fields_missing")
    row = dict(zip(header, fields, strict=True))
    try:
        return CostRecord.model_validate(export.focus(row))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"][:1]) or "line"
        raise Invalid(f"{place}: {first['msg'].removeprefix('Value error, ')}", reason="not_a_charge") from error
