"""Anomalies in one series, as they happen: one value at a time, constant memory, one setting for every series.

Four views of the series each say how unusual the moment is: its level, its level against the time of day, its spread
around the slow level, and its roughness from value to value. Each is ranked within its own history (`TailRank`), so
units, scales and heavy tails do not matter. Their quadratic mean is the surprise. It alarms when it beats what the
series reaches now and then anyway (`Record`), and then keeps quiet for a while: an alarm is an event, not a sample.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, log, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.streaming import DayProfile, Record, RunningMean, TailRank


@dataclass(frozen=True, slots=True)
class Tuning:
    """The detector's constants, in samples. Reasoned for 5-minute monitoring, and used unchanged at any other step.

    `block`, `quiet`, `kth`, `fade`, `aftermath` and `floor` were chosen by measurement: docs/analyses/anomalies.md.
    """

    short: float = 12
    """An hour: long enough to average noise out, short enough to be early."""
    wide: float = 24
    """Two hours: a spread needs about twice the samples of a mean for the same relative error."""
    day: float = 288
    """A day: the slow level that deviations are counted from."""
    long: float = 576
    """Two days: what the short mean is compared with; a weekend must not become the reference."""
    week: float = 2016
    """A week: how long the usual size of each view is remembered."""
    history: float = 3000
    """Half-life of a rank's history: ten days, so that one sample in a thousand is still resolved."""
    slots: int = 48
    """Half-hours of the day: the finest that an hourly series still fills every second one of."""
    days: float = 5
    """Days in a slot's mean: a working week."""
    step_share: float = 0.05
    """Spread below a twentieth of the usual step counts as none: no alarm about the last digit."""
    learn: int = 48
    """Values before anything is ranked: the first four hours fill means from nothing."""
    warm: int = 192
    """Values before the first alarm: two blocks."""
    block: int = 96
    """Eight hours, a shift: maxima of blocks this long count as separate events."""
    quiet: int = 96
    """No second alarm within a block of the first: it would be about the same event."""
    kth: int = 3
    """The bar is the third highest maximum: two earlier events do not hide the next one."""
    fade: float = 16_128
    """Half-life of old records: eight weeks."""
    aftermath: float = 0.3
    """Weight in history of the values right after an alarm: an incident must not become the norm at once."""
    floor: float = 1.5
    """Surprise of one in thirty, below which nothing alarms: ranks of one in twenty are daily bread of noise."""


THRESHOLD = 0.5
"""An alarm is a score above this: surprise above the bar."""

_NOTHING = 1e-9
"""Relative to the largest value seen: below this a difference is rounding."""


class Reading(NamedTuple):
    """What the detector says of one value."""

    score: float
    """In [0, 1): surprise / (surprise + bar). Above one half the bar is beaten."""
    alarm: bool


class Readings(NamedTuple):
    """Readings of a whole series, one entry a value."""

    score: NDArray[np.float64]
    alarm: NDArray[np.bool_]


class Detector:
    """Watches one series. Values in any unit; a value that is not finite is no reading and teaches nothing."""

    def __init__(self, tuning: Tuning | None = None) -> None:
        self._tuning = at = tuning or Tuning()
        self._seen = 0
        self._since_alarm = at.quiet
        self._views = _Views(at)
        self._ranks = tuple(TailRank(at.history) for _ in range(4))
        self._record = Record(at.block, at.kth, at.fade)

    def update(self, at_s: float, value: float) -> Reading:
        """Judge the value at `at_s` (Unix seconds, only its time of day is used) by all before it, then learn it."""
        if not isfinite(value):
            return Reading(0.0, alarm=False)
        tuning = self._tuning
        magnitudes = self._views.add(at_s, value)
        self._seen += 1
        self._since_alarm += 1
        if self._seen <= tuning.learn:
            return Reading(0.0, alarm=False)
        share = tuning.aftermath if self._since_alarm < tuning.quiet else 1.0
        ranked = [rank.add(one, share) for rank, one in zip(self._ranks, magnitudes, strict=True)]
        surprise = sqrt(sum(one * one for one in ranked) / len(ranked))
        score = surprise / (surprise + max(self._record.level, tuning.floor))
        self._record.add(surprise, same_event=self._since_alarm < tuning.quiet)
        alarm = score > THRESHOLD and self._seen > tuning.warm and self._since_alarm >= tuning.quiet
        if alarm:
            self._since_alarm = 0
        return Reading(score, alarm)


def detect(times_s: Sequence[float], values: Sequence[float], tuning: Tuning | None = None) -> Readings:
    """Return the readings that `Detector.update` gives for a series, value by value; times in Unix seconds."""
    detector = Detector(tuning)
    readings = [detector.update(at_s, value) for at_s, value in zip(times_s, values, strict=True)]
    return Readings(
        np.array([one.score for one in readings], dtype=np.float64),
        np.array([one.alarm for one in readings], dtype=np.bool_),
    )


class _Views:
    """The four views of a series: magnitudes >= 0, each about 1 when nothing happens."""

    def __init__(self, tuning: Tuning) -> None:
        self._tuning = tuning
        self._largest = 0.0
        self._before: float | None = None
        self._slow = RunningMean(tuning.day)
        self._level = _Shift(tuning)
        self._profile = DayProfile(tuning.slots, tuning.days)
        self._unseasonal = RunningMean(tuning.short)
        self._unseasonal_size = RunningMean(tuning.week)
        self._step_size = RunningMean(tuning.week)
        self._spread = _Ratio(tuning)
        self._roughness = _Ratio(tuning)

    def add(self, at_s: float, value: float) -> tuple[float, float, float, float]:
        """Return level, seasonal level, spread and roughness of this moment against what was usual before it."""
        self._largest = max(self._largest, abs(value))
        nothing = _NOTHING * self._largest or 1.0
        usual = self._slow.mean if self._slow.count else value
        self._slow.add(value)
        step = 0.0 if self._before is None else abs(value - self._before)
        slack = self._tuning.step_share * self._step_size.mean
        expected = self._profile.add(at_s, value)
        unseasonal = abs(self._unseasonal.add(0.0 if expected is None else value - expected))
        views = (
            self._level.add(value, nothing),
            _relative(self._unseasonal_size, unseasonal, nothing),
            self._spread.add(abs(value - usual), slack),
            self._roughness.add(step, slack),
        )
        if self._before is not None:
            self._step_size.add(step)
        self._before = value
        return views


class _Shift:
    """The short mean's distance from the long mean that ended before it began."""

    def __init__(self, tuning: Tuning) -> None:
        self._short = RunningMean(tuning.short)
        self._long = RunningMean(tuning.long)
        self._longs = deque[float](maxlen=max(1, round(tuning.short)))
        self._size = RunningMean(tuning.week)

    def add(self, value: float, nothing: float) -> float:
        short = self._short.add(value)
        base = self._longs[0] if self._longs else value
        self._longs.append(self._long.add(value))
        return _relative(self._size, abs(short - base), nothing)


class _Ratio:
    """How far the recent mean of a magnitude is from its usual one, either way: the absolute logarithm."""

    def __init__(self, tuning: Tuning) -> None:
        self._recent = RunningMean(tuning.wide)
        self._usual = RunningMean(tuning.week)

    def add(self, magnitude: float, slack: float) -> float:
        recent, usual = self._recent.add(magnitude) + slack, self._usual.mean + slack
        self._usual.add(self._recent.mean)
        return abs(log(recent / usual)) if recent > 0 and usual > 0 else 0.0


def _relative(size: RunningMean, magnitude: float, nothing: float) -> float:
    """Return a magnitude in units of its usual size so far, then take it in."""
    relative = magnitude / max(size.mean, nothing) if size.count else 1.0
    size.add(magnitude)
    return relative
