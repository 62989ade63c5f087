"""Streaming log templates: mask what is surely variable, then group lines of equal shape and merge near-equal ones.

One setting serves every system. Lines of the same number of tokens that agree in their constant words share a
template (after Drain, He et al. 2017, without its fixed-depth prefix tree: a word that varies may stand first).
"""

import re
from collections.abc import Iterable

from analysis import constants as c

WILDCARD = "<*>"

_MASKS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), WILDCARD)
    for pattern in (
        r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}",  # UUID
        r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b",  # e-mail
        r"\b[a-zA-Z][a-zA-Z0-9+.-]*://[^\s,;\"'\])>]+",  # URL
        r"(?<![\w.])/?(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?(?![\w.])",  # IPv4, with port
        r"(?<![\w:])(?:[0-9a-fA-F]{1,4}:){4,7}[0-9a-fA-F]{1,4}(?![\w:])",  # IPv6, MAC-like
        r"(?<![\w/])(?:/[\w.@%+:$-]+){2,}/?",  # path
        r"\b0[xX][0-9a-fA-F]+\b",  # hexadecimal
        r"(?<![A-Za-z0-9])(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-fA-F]{8,}(?![A-Za-z0-9])",  # bare hash
        r"\b\w*\d\w*(?:[.:,/-]\w*\d\w*)+\b",  # dates, times, versions, host names with numbers
        r"(?<![A-Za-z])[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?:%|[kKMGT]?i?[bB]|ms|us|ns|s)?(?![A-Za-z])",  # number, size
        r"(?<=[A-Za-z_#-])\d+\b",  # number at the end of a word
    )
)
_REPEATED = re.compile(r"<\*>(?:[\s,;:|/&.]*<\*>)+")
_SPLIT = re.compile(r"[\s]+|(?<=[=:,(\[{])(?=\S)|(?=[)\]},])")


def mask(line: str) -> str:
    """Return the line with ids, addresses, paths, hashes and numbers as wildcards, runs of them as one."""
    for pattern, replacement in _MASKS:
        line = pattern.sub(replacement, line)
    return _REPEATED.sub(WILDCARD, line)


def tokens(masked: str) -> tuple[str, ...]:
    """Split at blanks and after separators; what holds a wildcard is a wildcard."""
    return tuple(WILDCARD if WILDCARD in part else part for part in _SPLIT.split(masked) if part)


class Templater:
    """Assigns each line a template number; templates only ever become more general."""

    def __init__(self) -> None:
        self._templates: list[tuple[str, ...]] = []
        self._by_shape: dict[tuple[int, str], list[int]] = {}
        self._exact: dict[tuple[str, ...], int] = {}

    def add(self, line: str) -> int:
        """Return the number of the line's template, learning from the line."""
        parts = tokens(mask(line))
        known = self._exact.get(parts)
        if known is not None:
            return known
        shape = (len(parts), next((part for part in parts if part != WILDCARD), ""))
        candidates = self._by_shape.setdefault(shape, [])
        best, score = -1, 0.0
        for number in candidates:
            likeness = _likeness(self._templates[number], parts)
            if likeness > score:
                best, score = number, likeness
        if best >= 0 and score >= c.TEMPLATE_SIMILARITY:
            held = self._templates[best]
            self._templates[best] = tuple(a if a == b else WILDCARD for a, b in zip(held, parts, strict=True))
        else:
            best = len(self._templates)
            self._templates.append(parts)
            candidates.append(best)
        self._exact[parts] = best
        return best

    def text(self, number: int) -> str:
        """Return the template as one line."""
        return " ".join(self._templates[number])


def _likeness(template: tuple[str, ...], parts: tuple[str, ...]) -> float:
    """Return the share of constant words that agree; wildcards say nothing."""
    constant = agree = 0
    for a, b in zip(template, parts, strict=True):
        if a == WILDCARD and b == WILDCARD:
            continue
        constant += 1
        agree += a == b
    return agree / constant if constant else 1.0


def group(lines: Iterable[str]) -> list[int]:
    """Return a template number per line."""
    templater = Templater()
    return [templater.add(line) for line in lines]
