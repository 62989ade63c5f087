"""The NAB score, version 1.1 (Lavin and Ahmad 2015): early in a window is worth most, each false alarm costs a little.

An alarm is worth 2 / (1 + e^(5 p)) - 1 at relative position p: -1 at a window's left edge, 0 at its right one. Within a
window only the best alarm counts, scaled so that the first row is worth 1; a window without one costs the price of a
miss. Outside, each alarm costs that value at its distance behind the last window, in widths of that window: near
nothing right behind it, all of it three widths behind or before any window. Alarms of the first 15 % of rows (of at
most 5,000) do not count. The sum is normalised so that silence is 0 and an alarm on every first row alone is 100.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

PROBATION_SHARE: Final = 0.15
PROBATION_ROWS: Final = 750
"""15 % of at most 5,000 rows."""

_STEEP: Final = 5.0
_FAR: Final = 3.0


class Profile(NamedTuple):
    """What a found window earns, a false alarm and a missed window cost."""

    name: str
    found: float
    false_alarm: float
    missed: float


STANDARD: Final = Profile("standard", 1.0, 0.11, 1.0)
LOW_FP: Final = Profile("reward low false positives", 1.0, 0.22, 1.0)
LOW_FN: Final = Profile("reward low false negatives", 1.0, 0.11, 2.0)


class Window(NamedTuple):
    """First and last row of an anomaly window."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Tally:
    """What the alarms of one file come to; tallies add up over files."""

    windows: int = 0
    missable: int = 0
    """Windows that do not lie wholly in probation: only these can be found or missed."""
    found: int = 0
    earned: float = 0.0
    """Sum of the best alarm of every found window, 1 each at best."""
    false_alarms: int = 0
    damage: float = 0.0
    """Sum of the false alarms' values, -1 each at worst."""
    rows_outside: int = 0
    """Rows behind probation and outside every window."""

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.windows + other.windows, self.missable + other.missable, self.found + other.found,
            self.earned + other.earned, self.false_alarms + other.false_alarms, self.damage + other.damage,
            self.rows_outside + other.rows_outside,
        )  # fmt: skip

    def score(self, profile: Profile = STANDARD) -> float:
        """Return the score between 0 for silence and 100 for perfection; below 0 when worse than silence.

        Raises ZeroDivisionError when there is no window: then there is nothing to normalise by.
        """
        missed = profile.missed * (self.missable - self.found)
        raw = profile.found * self.earned + profile.false_alarm * self.damage - missed
        silence = -profile.missed * self.missable
        return 100.0 * (raw - silence) / (profile.found * self.windows - silence)


def probation(rows: int) -> int:
    """Return how many first rows are not scored."""
    return min(int(PROBATION_SHARE * rows), PROBATION_ROWS)


def tally(alarms: NDArray[np.bool_], windows: Sequence[Window]) -> Tally:
    """Score one file: an alarm or not for every row, and its windows in order, none overlapping."""
    rows = len(alarms)
    start = probation(rows)
    inside = np.zeros(rows, dtype=np.bool_)
    for window in windows:
        inside[window.first : window.last + 1] = True
    counted = alarms & (np.arange(rows) >= start)
    hits = [_best(counted, window) for window in windows]
    false = np.flatnonzero(counted & ~inside)
    return Tally(
        windows=len(windows),
        missable=sum(window.last >= start for window in windows),
        found=sum(hit is not None for hit in hits),
        earned=sum(hit for hit in hits if hit is not None),
        false_alarms=len(false),
        damage=float(sum(_cost(int(row), windows) for row in false)),
        rows_outside=int(np.count_nonzero(~inside[start:])),
    )


def total(tallies: Iterable[Tally]) -> Tally:
    """Return the sum."""
    return sum(tallies, Tally())


def _best(counted: NDArray[np.bool_], window: Window) -> float | None:
    """Return the value of the first counted alarm in a window, which is the best one."""
    rows = np.flatnonzero(counted[window.first : window.last + 1])
    if not len(rows):
        return None
    width = window.last - window.first + 1
    return _value((int(rows[0]) - width) / width) / _value(-1.0)


def _cost(row: int, windows: Sequence[Window]) -> float:
    """Return the value of an alarm outside every window, from -1 to 0."""
    behind = [window for window in windows if window.last < row]
    if not behind:
        return -1.0
    window = behind[-1]
    distance = (row - window.last) / max(window.last - window.first, 1)
    return -1.0 if distance >= _FAR else _value(distance)


def _value(position: float) -> float:
    return 2.0 / (1.0 + float(np.exp(_STEEP * position))) - 1.0
