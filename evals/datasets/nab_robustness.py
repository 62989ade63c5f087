"""How far the NAB score hangs on constants and luck: ``python -P -m evals.datasets.nab_robustness PATH``.

Each constant is moved by a fifth either way; the values get a little noise; the series starts later; the clock is
shifted. A figure that only holds at one point would show here.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from analysis.anomalies import Tuning, detect
from evals.datasets.nab import Series, read_series, read_windows, tallies
from evals.datasets.nab_scoring import Window, total

WORKERS = 2
SHIFT = 0.2
NOISE_SHARE = 0.02
"""Of the standard deviation: what rounding or another scrape would change."""
LATER_ROWS = 60
"""Dropped from the front: other blocks, other history. Fewer than the shortest probation."""
CLOCK_S = 7 * 3600.0 + 600.0
"""Another time zone, and slots of the day cut elsewhere."""

Setting = tuple[str, Tuning, Callable[[Series, int], Series]]


def as_it_is(one: Series, _: int) -> Series:
    """Return the series unchanged."""
    return one


def noisier(one: Series, seed: int) -> Series:
    """Return the series with normal noise of a small share of its deviation."""
    scale = NOISE_SHARE * float(np.std(one.values))
    noise = np.random.default_rng(seed).normal(0.0, scale, len(one.values)) if scale else np.zeros(len(one.values))
    return Series(one.name, one.stamps, one.times_s, tuple((np.asarray(one.values) + noise).tolist()))


def later(one: Series, _: int) -> Series:
    """Return the series as seen by a detector that began later."""
    return Series(one.name, one.stamps, one.times_s[LATER_ROWS:], one.values[LATER_ROWS:])


def shifted(one: Series, _: int) -> Series:
    """Return the series in another time zone."""
    return Series(one.name, one.stamps, tuple(at + CLOCK_S for at in one.times_s), one.values)


def settings() -> Iterator[Setting]:
    """Yield the shipped setting, each constant moved, and each disturbance."""
    shipped = Tuning()
    yield "as shipped", shipped, as_it_is
    for field in fields(Tuning):
        for factor in (1 - SHIFT, 1 + SHIFT):
            value: float = getattr(shipped, field.name)
            moved = round(value * factor) if isinstance(value, int) else value * factor
            if moved != value:
                yield f"{field.name} {value} -> {moved}", replace(shipped, **{field.name: moved}), as_it_is
    yield "2 % noise", shipped, noisier
    yield f"begun {LATER_ROWS} rows later", shipped, later
    yield "7 hours 10 minutes off", shipped, shifted


def scored(path: Path, tuning: Tuning, disturbed: Callable[[Series, int], Series]) -> dict[str, float]:
    """Return the standard score over all groups and of each group that has windows."""
    series = read_series(path)
    windows: dict[str, tuple[Window, ...]] = read_windows(path, series)
    alarms = {one.name: _alarms(one, disturbed(one, seed), tuning) for seed, one in enumerate(series)}
    by_group = tallies(series, windows, alarms)
    return {"all": total(by_group.values()).score()} | {
        group: tally.score() for group, tally in by_group.items() if tally.windows
    }


def _alarms(whole: Series, seen: Series, tuning: Tuning) -> np.ndarray:
    """Return an entry for every row of the whole series; rows not seen have none."""
    heard = detect(seen.times_s, seen.values, tuning).alarm
    return np.concatenate([np.zeros(len(whole.values) - len(heard), dtype=np.bool_), heard])


def main(arguments: Sequence[str]) -> int:
    """Print one line per setting: the score over all, and of each group."""
    path = Path(arguments[0])
    table = list(settings())
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(scored, path, tuning, disturbed) for _, tuning, disturbed in table]
        for (name, _, _), future in zip(table, waiting, strict=True):
            print(f"{name:32s}", *(f"{part} {score:.1f}" for part, score in future.result().items()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
