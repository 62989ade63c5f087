"""Streaming log templates: mask what is surely variable, then merge lines once a place has shown many words.

One setting serves every system. Similarity thresholds (Drain, He et al. 2017) merge `begin` with `end`; counting the
words seen in one place, as Brain (Yu et al. 2023) does per group, keeps them apart.
"""

import re
from collections.abc import Iterable

from analysis import constants as c

WILDCARD = "<*>"

LINE_LIMIT = 1000
"""Characters of a line that are looked at: a template needs no more, and a hostile line costs bounded time."""

_PATTERNS = (
    r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}",  # UUID
    r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b",  # e-mail
    r"\b[a-zA-Z][a-zA-Z0-9+.-]*://[^\s,;\"'\])>]+",  # URL
    r"(?<![\w.])/?(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?(?![\w.])",  # IPv4, with port
    r"(?<![\w:])(?:[0-9a-fA-F]{1,4}:){4,7}[0-9a-fA-F]{1,4}(?![\w:])",  # IPv6, MAC-like
    r"(?<![\w/])(?:/[\w.@%+:$?=&*~!#-]+){2,}/?",  # path, with query
    r"\b(?:[a-zA-Z_]\w*\.){2,}[a-zA-Z_$][\w$]*(?:/[\w.$]+)?",  # dotted name of a package, class or host
    r"\b0[xX][0-9a-fA-F]+\b",  # hexadecimal
    r"(?<![A-Za-z0-9])[0-9a-fA-F]{8,}(?![A-Za-z0-9])",  # bare hash
    r"\b[A-Za-z_]*\d\w*(?:[.:,/-][A-Za-z_]*\d\w*)+",  # dates, times, versions, host names with numbers
    r"(?<![A-Za-z])[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?:ms\b|us\b|ns\b|s\b)?",  # number, duration
)
_VARIABLE = re.compile("|".join(_PATTERNS))
_REST = re.compile(r"(?<=<\*>)(?:\s?[kKMGT]?i?[bB]\b|%)|\d+")
"""Units of sizes, and what is left of digits: a word that holds some is a name."""
_REPEATED = re.compile(r"<\*>(?:[\s,;:|/&.]*<\*>)+")
_SPLIT = re.compile(r"[\s]+|(?<=[=:,(\[{])(?=\S)|(?=[)\]},])")


def mask(line: str) -> str:
    """Return the line with ids, addresses, paths, hashes and numbers as wildcards, runs of them as one."""
    line = _REST.sub(WILDCARD, _VARIABLE.sub(WILDCARD, line[:LINE_LIMIT]))
    return _REPEATED.sub(WILDCARD, line)


def tokens(masked: str) -> tuple[str, ...]:
    """Split at blanks and after separators; what holds a wildcard is a wildcard, a run of them one."""
    parts = [WILDCARD if WILDCARD in part else part for part in _SPLIT.split(masked) if part]
    return tuple(part for at, part in enumerate(parts) if part != WILDCARD or at == 0 or parts[at - 1] != WILDCARD)


Pattern = tuple[str, ...]


class Templater:
    """Assigns each line a template, learning as lines come.

    A word stands for itself until more than `TEMPLATE_WORDS` different ones were seen in its place, everything else
    being equal; then the place becomes variable and the templates become one. So `started` and `stopped` stay apart
    while user names do not.
    """

    def __init__(self) -> None:
        self._numbers: dict[Pattern, int] = {}
        self._patterns: list[Pattern] = []
        self._merged: list[int] = []
        self._places: dict[tuple[int, Pattern], dict[str, int]] = {}
        self._variable: dict[int, list[int]] = {}

    def add(self, line: str) -> int:
        """Return the number of the line's template; `resolve` follows later merges."""
        return self._number(tokens(mask(line)))

    def resolve(self, number: int) -> int:
        """Return the template that the numbered one has become part of."""
        while self._merged[number] != number:
            number = self._merged[number]
        return number

    def text(self, number: int) -> str:
        """Return the template as one line."""
        return " ".join(self._patterns[self.resolve(number)])

    def _number(self, pattern: Pattern) -> int:
        known = self._numbers.get(pattern)
        if known is None:
            known = self._matching(pattern)
            if known is None:
                return self._learn(pattern)
            self._numbers[pattern] = known
        return self.resolve(known)

    def _matching(self, pattern: Pattern) -> int | None:
        """Return the most specific template with variable places that the pattern fits."""
        fitting = [
            number
            for number in self._variable.get(len(pattern), ())
            if self._merged[number] == number
            and all(a in (b, WILDCARD) for a, b in zip(self._patterns[number], pattern, strict=True))
        ]
        return min(fitting, key=lambda number: self._patterns[number].count(WILDCARD), default=None)

    def _learn(self, pattern: Pattern) -> int:
        number = len(self._patterns)
        self._patterns.append(pattern)
        self._merged.append(number)
        self._numbers[pattern] = number
        for place, word in enumerate(pattern):
            if word == WILDCARD:
                continue
            hole = (*pattern[:place], "", *pattern[place + 1 :])
            if not any(part.isalpha() for part in hole if part):
                continue  # a line of one word says what happened by that word
            words = self._places.setdefault((place, hole), {})
            words[word] = number
            if len(words) > c.TEMPLATE_WORDS:
                return self._merge(place, hole, list(words.values()))
        return number

    def _merge(self, place: int, hole: Pattern, members: list[int]) -> int:
        general = (*hole[:place], WILDCARD, *hole[place + 1 :])
        number = self._numbers.get(general)
        if number is None:
            number = self._learn(general)
        number = self.resolve(number)
        for member in members:
            root = self.resolve(member)
            if root != number:
                self._merged[root] = number
        self._variable.setdefault(len(general), []).append(number)
        return number


def group(lines: Iterable[str]) -> list[int]:
    """Return a template number per line, after all lines have been seen."""
    templater = Templater()
    numbers = [templater.add(line) for line in lines]
    return [templater.resolve(number) for number in numbers]
