"""Where a raw log line's message begins, learned from the lines themselves: one rule for every format.

A header is a run of leading columns. It ends with the level or, where lines have none, with the last instant and the
numbers around it, if nearly every line has them in that column; then follow a source (`name:` or a dotted name), a
bracketed context, or a dash. Lines that begin with no instant have no header: their numbers are the message's.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

SHARE = 0.95
"""Part of the lines that must agree: a log has a few continuation lines, and messages agree far less."""
COLUMNS = 10
"""Columns looked at: syslog with a collector's prefix has nine."""
SAMPLE = 500
"""Lines that are learned from: enough for 95 % to be told from 90 %."""

_COLUMN = re.compile(r"[^\s|]+")
_NUMBER = r"[\[(]?[-+]?\d[\d:.,/\-TZ+]*[\])]?,?"
_WORDS = "trace|debug|info|notice|warn|warning|error|severe|fatal|critical|failure|alert|emerg|v|d|i|w|e|f"
"""Levels; the single letters are logcat's."""
_LEVEL = re.compile(rf"\W*(?i:{_WORDS})\W*")
_INSTANT = re.compile(r"\S*\d:\d\d:\d\d\S*|\d{10}(?:\.\d+|\d{3})?")
"""A time of day, perhaps with its date, or seconds or milliseconds since 1970."""
_FIXED = re.compile(f"{_NUMBER}|{_LEVEL.pattern}")
_GAP = 2
"""A number belongs to the header if at most one other column stands between it and the instant."""
_FOLLOWING = tuple(
    re.compile(rf"[\s|]*{form}(?=\s|$)")
    for form in (
        r"[^\s:]\S*:",  # source:
        r"\S+\s+[^\s:]\S*:",  # host source:
        r"[\w$]+(?:\.[\w$]+)+",  # dotted.source
        r"\[.*?\]",  # [context]
        r"(?:\S+\s+){0,2}-",  # dash, or: source -
    )
)
_BLANK = " \t|"


@dataclass(frozen=True, slots=True)
class Header:
    """How the lines of one log begin: number of leading columns, then forms in order."""

    columns: int = 0
    forms: tuple[re.Pattern[str], ...] = ()

    def message(self, line: str) -> str:
        """Return what follows the header; the whole line when it has another beginning."""
        rest = _after_columns(line, self.columns)
        if rest is None:
            return line
        for form in self.forms:
            found = form.match(rest)
            rest = rest if found is None else rest[found.end() :]
        return rest.strip(_BLANK)


def learn_header(lines: Sequence[str]) -> Header:
    """Return the header of the first lines of one log; an empty one when they share none."""
    sample = [line for line in lines[:SAMPLE] if line.strip()]
    columns = _leading_columns(sample)
    rests = [rest for line in sample if (rest := _after_columns(line, columns)) is not None]
    forms: list[re.Pattern[str]] = []
    while columns and (form := _shared_form(rests, forms)) is not None:
        forms.append(form)
        rests = [rest if (found := form.match(rest)) is None else rest[found.end() :] for rest in rests]
    return Header(columns, tuple(forms))


def _leading_columns(sample: Sequence[str]) -> int:
    """Return how many columns the header has before its source."""
    rows = [_COLUMN.findall(line, 0, 1000)[:COLUMNS] for line in sample]
    fixed, levels, instants = (_places(rows, form) for form in (_FIXED, _LEVEL, _INSTANT))
    numbers = [place for place in fixed if place not in levels]
    for level in levels[:1]:
        before = [place for place in numbers if place < level]
        if len(before) > 1 or any(place < level for place in instants):
            return level + 1
    if not instants:
        return 0
    last = instants[-1]
    for place in numbers:
        last = place if last < place <= last + _GAP else last
    return last + 1


def _places(rows: Sequence[Sequence[str]], form: re.Pattern[str]) -> list[int]:
    """Return the columns that have the form in nearly all rows."""
    hits = [
        sum(len(row) > place and form.fullmatch(row[place]) is not None for row in rows) for place in range(COLUMNS)
    ]
    return [place for place, count in enumerate(hits) if rows and count >= SHARE * len(rows)]


def _after_columns(line: str, columns: int) -> str | None:
    """Return what follows the columns; None when the last of them is none of a header in this line."""
    if not columns:
        return line
    for place, column in enumerate(_COLUMN.finditer(line), start=1):
        if place == columns:
            return line[column.end() :] if _FIXED.fullmatch(column.group()) else None
    return None


def _shared_form(rests: Sequence[str], used: Sequence[re.Pattern[str]]) -> re.Pattern[str] | None:
    """Return the first form, not used before, that nearly all lines go on with."""
    for form in _FOLLOWING:
        if form not in used and sum(form.match(rest) is not None for rest in rests) >= SHARE * max(1, len(rests)):
            return form
    return None
