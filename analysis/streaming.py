"""Running statistics of one series: each takes one value at a time, in constant memory, and never looks ahead.

They are the parts of the anomaly detector in `anomalies.py`; each is useful alone.
"""

from math import log, log10

DAY_S = 86_400


class RunningMean:
    """Mean of the last `span` values or so: a plain mean until then, exponentially weighted after."""

    __slots__ = ("count", "mean", "span")

    def __init__(self, span: float) -> None:
        self.span = span
        self.count = 0
        self.mean = 0.0

    def add(self, value: float) -> float:
        """Take a value and return the new mean."""
        self.count += 1
        self.mean += (value - self.mean) / min(self.count, self.span)
        return self.mean


class TailRank:
    """How rare a magnitude is in its own history: -log10 of the smoothed share of past values at least as large.

    The history is a histogram of logarithms whose counts halve every `half_life` values. The rank is that of a
    conformal p-value (Laxhammar and Falkman 2014), with half a count added on either side of the bar.
    """

    __slots__ = ("_counts", "_growth", "_total", "_weight")

    LOWEST, HIGHEST, BINS = -4.0, 6.0, 64
    """Natural logarithms of a magnitude relative to its usual size: from 2 % to 400 times, 17 % a bin."""
    RENORMALISE = 1e12
    """New values weigh ever more instead of old ones less; far below where doubles lose counts."""

    def __init__(self, half_life: float) -> None:
        self._counts = [0.0] * self.BINS
        self._total = 0.0
        self._weight = 1.0
        self._growth = 2.0 ** (1.0 / half_life)

    def add(self, magnitude: float, share: float = 1.0) -> float:
        """Return the rank of a magnitude >= 0 among those before it, then count it with this share of full weight."""
        place = (log(magnitude) - self.LOWEST) * self.BINS / (self.HIGHEST - self.LOWEST) if magnitude > 0 else 0.0
        place = min(max(place, 0.0), self.BINS - 1e-9)
        index = int(place)
        counts, weight = self._counts, self._weight
        above = sum(counts[index + 1 :]) + counts[index] * (1.0 - (place - index))
        rank = -log10((above + 0.5 * weight) / (self._total + weight))
        counts[index] += weight * share
        self._total += weight * share
        self._weight = weight * self._growth
        if self._weight > self.RENORMALISE:
            self._counts = [count / self._weight for count in counts]
            self._total /= self._weight
            self._weight = 1.0
        return rank


class DayProfile:
    """What is usual at this time of day: means of time slots over past days, interpolated between their middles.

    A slot is learned when it is over, so a value never explains itself.
    """

    __slots__ = ("_days", "_means", "_slot", "_sum", "_taken", "_visits")

    def __init__(self, slots: int, days: float) -> None:
        self._means: list[float | None] = [None] * slots
        self._visits = [0] * slots
        self._days = days
        self._slot = -1
        self._sum = 0.0
        self._taken = 0

    def add(self, at_s: float, value: float) -> float | None:
        """Return the usual value at `at_s` (Unix seconds), None while unknown; then take the value in."""
        slots = len(self._means)
        place = (at_s % DAY_S) / DAY_S * slots
        slot = min(int(place), slots - 1)
        if slot != self._slot:
            self._learn()
            self._slot = slot
        self._sum += value
        self._taken += 1
        here = self._means[slot]
        if here is None:
            return None
        aside = place - slot - 0.5
        near = self._means[(slot + (1 if aside > 0 else -1)) % slots]
        return here + ((here if near is None else near) - here) * abs(aside)

    def _learn(self) -> None:
        if self._taken:
            mean, known = self._sum / self._taken, self._means[self._slot]
            self._visits[self._slot] += 1
            step = min(self._visits[self._slot], self._days)
            self._means[self._slot] = mean if known is None else known + (mean - known) / step
        self._sum, self._taken = 0.0, 0


class Record:
    """The level that a series reaches only so often: its k-th highest block maximum, where old ones fade.

    Block maxima are what extreme-value theory counts independent events by (Coles 2001, chapter 3). Against the k-th
    of n of them a quiet series exceeds about k / n times a block, so alarms per decade of time stay level.
    """

    __slots__ = ("_block", "_fade", "_highest", "_now", "_seen")

    def __init__(self, block: int, kth: int, half_life: float) -> None:
        self._block = block
        self._fade = 0.5 ** (1.0 / half_life)
        self._highest = [0.0] * kth
        self._now = 0.0
        self._seen = 0

    @property
    def level(self) -> float:
        """Return the k-th highest block maximum so far, 0 before k blocks."""
        return self._highest[-1]

    def add(self, value: float, *, same_event: bool = False) -> None:
        """Take a value >= 0; at the end of a block its maximum joins the highest ones. An event prolongs its block."""
        self._now = max(self._now * self._fade, value)
        self._seen += not same_event
        if self._seen % self._block == 0 and not same_event:
            fade = self._fade**self._block
            faded = [one * fade for one in self._highest]
            self._highest = sorted([*faded, self._now], reverse=True)[: len(faded)]
            self._now = 0.0
