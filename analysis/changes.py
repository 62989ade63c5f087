"""Robust change scores with a floor on the deviation, significance over the whole family, and onset.

A window is compared with the entity's own baseline by median and upper-tail scale. The score of a window is its
best run of at least two samples (a scan statistic). What counts as significant is learned from the baseline itself:
the largest score of any series in each quiet window (Westfall and Young's max-T), so that many series do not mean
many false alarms.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from analysis import constants as c
from analysis.signals import Floats


@dataclass(frozen=True, slots=True)
class Run:
    """Best anomalous run of a window: score in deviations, samples [start, stop)."""

    score: float
    start: int
    stop: int


@dataclass(frozen=True, slots=True, eq=False)
class Deviation:
    """How far one quantity of one entity is from its baseline, oriented so that up is bad.

    `excess` is per current sample in the quantity's unit, `scale` one standard deviation of quiet time, `null` the
    run scores of the quiet windows.
    """

    entity: str
    excess: Floats
    scale: float
    run: Run
    null: Floats
    relative: float
    """Change of the value itself within the run, as a fraction of the usual level."""
    usual: float
    """Quantity of a typical quiet sample, before anything is taken off."""
    refs: tuple[str, ...] = ()

    @property
    def score(self) -> float:
        """Return the run's score in deviations."""
        return self.run.score

    def mass(self, start: int, stop: int) -> float:
        """Return the excess summed over samples [start, stop), never below zero."""
        return max(float(self.excess[start:stop].sum()), 0.0)


def _at(ordered: Floats, quantile: float) -> float:
    """Return a quantile of ordered samples by linear interpolation (as numpy's default, without its set-up cost)."""
    place = (len(ordered) - 1) * quantile
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return float(ordered[low] + (place - low) * (ordered[high] - ordered[low]))


def center_and_scale(baseline: Floats, floor: float) -> tuple[float, float]:
    """Return median and scale of quiet samples; the scale is the larger of MAD, upper tail and `floor`.

    Too few samples double the scale; no finite sample gives (nan, floor).
    """
    seen = np.sort(baseline[np.isfinite(baseline)])
    if not seen.size:
        return float("nan"), floor
    center = _at(seen, 0.5)
    mad = c.MAD_TO_SIGMA * _at(np.sort(np.abs(seen - center)), 0.5)
    tail = (_at(seen, c.TAIL_QUANTILE) - center) / c.TAIL_TO_SIGMA
    scale = max(mad, tail, floor)
    return center, scale * (2.0 if seen.size < c.MIN_BASELINE else 1.0)


@lru_cache(maxsize=64)
def _runs(length: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    shortest = min(c.MIN_RUN, length)
    start, stop = np.triu_indices(length + 1, k=shortest)
    span = (stop - start).astype(np.float64)
    longer_first = 1.0 + 1e-6 * span  # between runs of equal height the longer one
    return start, stop, np.sqrt(np.minimum(span, c.RUN_GAIN_CAP)) * longer_first / span


def best_runs(windows: Floats) -> tuple[Floats, NDArray[np.intp], NDArray[np.intp]]:
    """Score the best run of each row of `windows` (n x length, in deviations, NaN counts as zero).

    Returns scores, starts and stops. Score = mean x sqrt(min(length of run, 4)).
    """
    rows, length = len(windows), int(windows.shape[1])
    if not length or not rows:
        return np.zeros(rows), np.zeros(rows, np.intp), np.zeros(rows, np.intp)
    start, stop, gain = _runs(length)
    total = np.concatenate([np.zeros((rows, 1)), np.cumsum(np.nan_to_num(windows), axis=1)], axis=1)
    scores: Floats = (total[:, stop] - total[:, start]) * gain
    best: NDArray[np.intp] = np.argmax(scores, axis=1)
    top: Floats = scores[np.arange(rows), best]
    return top, start[best], stop[best]


def binned(values: Floats, size: int) -> Floats:
    """Average `size` neighbouring samples (NaN ignored); the last, shorter bin is kept."""
    if size <= 1:
        return values
    padded = np.full(-(-len(values) // size) * size, np.nan)
    padded[: len(values)] = values
    grid = padded.reshape(-1, size)
    count = np.isfinite(grid).sum(axis=1)
    total = np.nansum(grid, axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def scan(z_current: Floats, z_baseline: Floats) -> tuple[Run, Floats]:
    """Return the best run of the window and the scores of all quiet windows of the same length.

    Long windows are averaged into bins; a bin's deviation is scaled up by the same capped gain as a run's.
    """
    size = -(-len(z_current) // c.MAX_BINS) if len(z_current) else 1
    current, quiet = binned(z_current, size), binned(z_baseline, size)
    gain = float(np.sqrt(min(size, c.RUN_GAIN_CAP)))
    scores, starts, stops = best_runs(current[None, :] * gain)
    length = len(current)
    whole = len(quiet) // length if length else 0
    null = best_runs(quiet[: whole * length].reshape(whole, length) * gain)[0] if whole else np.zeros(0)
    return Run(float(scores[0]), int(starts[0]) * size, min(int(stops[0]) * size, len(z_current))), null


def deviate(entity: str, baseline: Floats, current: Floats, floor: float, refs: tuple[str, ...]) -> Deviation | None:
    """Compare a window with its baseline; None when either has no finite sample."""
    center, scale = center_and_scale(baseline, floor)
    if not np.isfinite(center) or not np.isfinite(current).any() or scale <= 0:
        return None
    excess = np.nan_to_num(current - center)
    run, null = scan(excess / scale, (baseline - center) / scale)
    level = float(excess[run.start : run.stop].mean()) if run.stop > run.start else 0.0
    return Deviation(entity, excess, scale, run, null, level / max(abs(center), scale), center, refs)


def family_threshold(nulls: Sequence[Floats]) -> float:
    """Return the score a window must exceed so that a quiet one does with probability `FAMILY_ALPHA` over all series.

    With fewer baseline windows than 1 / alpha the largest is taken. Bounded by `DETECTION_Z` and `DETECTION_Z_CAP`.
    """
    windows = min((len(null) for null in nulls if len(null)), default=0)
    if not windows:
        return c.DETECTION_Z
    largest = np.max([null[-windows:] for null in nulls if len(null)], axis=0)
    quantile = float(np.quantile(largest, 1.0 - c.FAMILY_ALPHA))
    return min(max(quantile, c.DETECTION_Z), c.DETECTION_Z_CAP)
