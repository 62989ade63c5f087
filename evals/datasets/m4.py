"""M4 hourly: real series of one week to six, 48 hours ahead, scored as the competition was (Makridakis et al. 2020).

The test part is read for scoring only. Methods and settings were chosen by rolling origins inside the train part; the
same cross-validation is run again and printed beside the test figure. Layout: `Hourly-{train,test}.csv`, one series a
row, name first.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from statistics import median
from time import process_time
from typing import Annotated, Final

import numpy as np
from pydantic import Field, FiniteFloat

from analysis.forecasting import Forecast, forecast
from analysis.signals import Floats
from domain.base import Frozen
from domain.errors import Invalid
from evals.datasets.lines import read_lines
from evals.datasets.scoring import Progress, Row, Scored, Told, Who, unheard

HORIZON: Final = 48
SEASON: Final = 24
SEASONS: Final = (24, 168)
"""Hours of a day and of a week."""

ALPHA: Final = 0.05
NAIVE2_SMAPE: Final = 18.383
NAIVE2_MASE: Final = 2.395
"""Published figures of Naive2 over all 414 hourly series: the yardstick of OWA."""

FOLDS: Final = (1, 2, 3)
"""Rolling origins of the cross-validation, in horizons before the end of the train part."""

TARGET_OWA: Final = 0.43
TARGET_MSIS: Final = 6.5
TARGET_SPEED: Final = 1000.0
TEST: Final = "test part"
CROSS_VALIDATED: Final = "rolling origins in the train part"
Path48 = Annotated[tuple[FiniteFloat, ...], Field(min_length=HORIZON, max_length=HORIZON)]


class ForecastLine(Frozen):
    """One line: median and 95 % bounds of the 48 hours after a series' train part."""

    series: str
    mean: Path48
    lower: Path48
    upper: Path48


@dataclass(frozen=True, slots=True, eq=False)
class Figures:
    """The competition's figures, means over series: sMAPE and coverage in %, the others as defined."""

    smape: float
    mase: float
    owa: float
    msis: float
    coverage: float


class M4:
    """The hourly series."""

    name = "m4"
    places = "m4"

    def run(self, path: Path, *, rescore: Path | None = None, progress: Told = unheard) -> Scored:
        """Forecast every series from its train part, or read forecasts back, and score them on the test part."""
        train = _series(path / "Hourly-train.csv")
        if rescore is None:
            lines = {name: _line(name, one) for name, one in forecasts(train).items()}
            beside = [_speed(train), *_cross_validated(train, progress)]
        else:
            lines, beside = read_lines(rescore, ForecastLine, lambda line: line.series, train), list[Row]()
        actual, known = _test_part(path, train), list(train.values())
        ours = _rows(TEST, figures(known, actual, _stacked(lines.values())))
        floor = _rows(TEST, figures(known, actual, seasonal_naive(known)), "floor", "seasonal naive")
        return Scored(len(train), (*ours, *floor, *_company(), *beside), tuple(lines.values()))


def forecasts(histories: Mapping[str, Floats]) -> dict[str, Forecast]:
    """Forecast all series: one call of the analysis per length, because its input is a table."""
    made: dict[str, Forecast] = {}
    for length in sorted({len(one) for one in histories.values()}):
        names = [name for name, one in histories.items() if len(one) == length]
        batch = forecast(np.stack([histories[name] for name in names]), HORIZON, SEASONS, level=1 - ALPHA)
        for row, name in enumerate(names):
            made[name] = Forecast(batch.mean[row], batch.lower[row], batch.upper[row])
    return {name: made[name] for name in histories}


def figures(histories: Sequence[Floats], actual: Floats, made: Forecast) -> Figures:
    """Score forecasts (series x 48): sMAPE, MASE, OWA against Naive2, MSIS and coverage of the 95 % interval."""
    scale = np.array([np.abs(one[SEASON:] - one[:-SEASON]).mean() for one in histories])
    error = np.abs(actual - made.mean)
    smape = float(200 * (error / (np.abs(actual) + np.abs(made.mean))).mean())
    mase = float((error.mean(axis=1) / scale).mean())
    missed = np.maximum(made.lower - actual, 0) + np.maximum(actual - made.upper, 0)
    width = (made.upper - made.lower + 2 / ALPHA * missed).mean(axis=1)
    owa = (smape / NAIVE2_SMAPE + mase / NAIVE2_MASE) / 2
    return Figures(smape, mase, owa, float((width / scale).mean()), float(100 * (missed == 0).mean()))


def seasonal_naive(histories: Sequence[Floats]) -> Forecast:
    """Repeat the last day; normal interval from the in-sample errors, growing with the root of the days ahead."""
    days = np.arange(HORIZON) // SEASON + 1
    last = np.stack([np.tile(one[-SEASON:], HORIZON // SEASON) for one in histories])
    spread = np.array([np.sqrt(np.mean((one[SEASON:] - one[:-SEASON]) ** 2)) for one in histories])
    wide = 1.959964 * spread[:, None] * np.sqrt(days)
    return Forecast(last, last - wide, last + wide)


def _series(file: Path) -> dict[str, Floats]:
    """Read one series a row, in order; cells after its end are empty."""
    try:
        with file.open(newline="", encoding="utf-8") as text:
            rows = list(csv.reader(text))[1:]
        return {row[0]: np.array([float(cell) for cell in row[1:] if cell]) for row in rows}
    except (OSError, ValueError, IndexError) as error:
        raise Invalid(f"{file} is no table of series: {error}", reason="layout") from error


def _test_part(path: Path, train: Mapping[str, Floats]) -> Floats:
    test = _series(path / "Hourly-test.csv")
    wrong = [name for name in train if len(test.get(name, ())) != HORIZON]
    if wrong or not train:
        raise Invalid(f"{path}: no {HORIZON} test values for {len(wrong)} of {len(train)} series", reason="layout")
    return np.stack([test[name] for name in train])


def _line(name: str, one: Forecast) -> ForecastLine:
    mean, lower, upper = (tuple(part.tolist()) for part in (one.mean, one.lower, one.upper))
    return ForecastLine(series=name, mean=mean, lower=lower, upper=upper)


def _stacked(lines: Iterable[ForecastLine]) -> Forecast:
    table = np.array([(line.mean, line.lower, line.upper) for line in lines])
    return Forecast(table[:, 0], table[:, 1], table[:, 2])


def _speed(train: Mapping[str, Floats]) -> Row:
    """Return series per second of processor time, the median of three runs after the one that was scored."""
    seconds: list[float] = []
    for _ in range(3):
        began = process_time()
        forecasts(train)
        seconds.append(process_time() - began)
    rate = len(train) / max(median(seconds), 1e-9)
    return Row(metric="series per CPU second", part=TEST, value=rate, unit="series/s", target=TARGET_SPEED)


def _cross_validated(train: Mapping[str, Floats], progress: Told) -> list[Row]:
    """Return our figures and the floor's over the folds, means; no value of the test part is touched."""
    ours: list[Figures] = []
    floor: list[Figures] = []
    for done, fold in enumerate(FOLDS, start=1):
        cut = {name: one[: -HORIZON * fold] for name, one in train.items()}
        actual = np.stack([one[len(cut[name]) :][:HORIZON] for name, one in train.items()])
        known = list(cut.values())
        ours.append(figures(known, actual, _stacked(_line(name, one) for name, one in forecasts(cut).items())))
        floor.append(figures(known, actual, seasonal_naive(known)))
        progress(Progress(done, len(FOLDS), f"fold {fold}"))
    return [*_rows(CROSS_VALIDATED, _mean(ours)), *_rows(CROSS_VALIDATED, _mean(floor), "floor", "seasonal naive")]


def _mean(several: Sequence[Figures]) -> Figures:
    return Figures(*np.mean([astuple(one) for one in several], axis=0).tolist())


def _rows(part: str, got: Figures, who: Who = "ours", name: str = "") -> list[Row]:
    """Return one row per figure; ours on the test part carry the targets."""
    mine = who == "ours" and part == TEST
    return [
        Row(metric=metric, part=part, who=who, name=name, value=value, unit=unit, better="lower", target=target)
        for metric, value, unit, target in (
            ("sMAPE", got.smape, "%", None),
            ("MASE", got.mase, "ratio", None),
            ("OWA", got.owa, "ratio", TARGET_OWA if mine else None),
            ("MSIS", got.msis, "ratio", TARGET_MSIS if mine else None),
        )
    ] + [Row(metric="coverage of 95 % intervals", part=part, who=who, name=name, value=got.coverage, unit="%")]


def _company() -> list[Row]:
    """Return the published figures, all of them over the 414 hourly series."""
    return [
        Row(metric=metric, part=TEST, who="record", name=name, value=value, unit=unit, better="lower")
        for metric, value, unit, name in (
            ("sMAPE", NAIVE2_SMAPE, "%", "Naive2, all 414 series"),
            ("MASE", NAIVE2_MASE, "ratio", "Naive2, all 414 series"),
            ("OWA", 0.410, "ratio", "best of the competition on hourly, all 414 series"),
            ("OWA", 0.440, "ratio", "winner of the competition, all 414 series"),
            ("MSIS", 6.14, "ratio", "best of the competition on hourly, all 414 series"),
        )
    ]
