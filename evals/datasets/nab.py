"""NAB: series with labelled windows in which something was wrong (Lavin and Ahmad 2015, labels of version 1.1).

The detector sees one value after the other and no label; one setting serves every series and every group. Groups are
the folders that are there.
"""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby, pairwise
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter, ValidationError

from analysis.anomalies import Readings, Tuning, detect
from domain.base import Frozen
from domain.errors import Invalid
from evals.datasets.lines import parsed
from evals.datasets.nab_scoring import LOW_FN, LOW_FP, STANDARD, Profile, Tally, Window, tally, total
from evals.datasets.scoring import Progress, Row, Scored, Told, counted, unheard

WINDOWS = "windows.json"
_LABELS = TypeAdapter(dict[str, list[tuple[str, str]]])
_TARGET = 65.0
_RECORDS = (
    ("ARTime, all 58 files", 74.9),
    ("HTM, all 58 files", 70.1),
    ("random cut forest, all 58 files", 51.7),
)

Alarms = NDArray[np.bool_]
"""One entry per row."""


class Judged(Frozen):
    """One row of one file, as the detector saw it when it came."""

    file: str
    timestamp: str
    score: float = Field(ge=0, le=1)
    alarm: bool


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One file: name with its group, time stamps as written, Unix seconds, values."""

    name: str
    stamps: tuple[str, ...]
    times_s: tuple[float, ...]
    values: tuple[float, ...]

    @property
    def group(self) -> str:
        """Return the folder it lies in."""
        return self.name.partition("/")[0]


class Nab:
    """The folder that holds `windows.json` and `<group>/*.csv`."""

    name = "nab"
    places = "nab"

    def __init__(self, tuning: Tuning | None = None) -> None:
        self._tuning = tuning

    def run(self, path: Path, *, rescore: Path | None = None, progress: Told = unheard) -> Scored:
        """Watch every series from its first value to its last, or take the given readings."""
        series = read_series(path)
        began = perf_counter()
        readings = self._watched(series, progress) if rescore is None else _given(rescore, series)
        seconds = perf_counter() - began
        alarms = {name: reading.alarm for name, reading in readings.items()}
        rows = _rows(series, read_windows(path, series), alarms)
        if rescore is None:
            values = sum(len(one.values) for one in series)
            rows.append(Row(metric="speed", value=values / seconds, unit="values/s"))
        return Scored(len(series), tuple(rows), _lines(series, readings), (_NOTE,))

    def _watched(self, series: Sequence[Series], progress: Told) -> dict[str, Readings]:
        found: dict[str, Readings] = {}
        for done, one in enumerate(series, start=1):
            found[one.name] = detect(one.times_s, one.values, self._tuning)
            progress(Progress(done, len(series), one.name))
        return found


_NOTE = (
    "NAB pays for alarms that merely come round: one every 400 rows stands among the floors. "
    "A part 'without G' is the score on all other groups, with the same setting."
)


def rolling_z(values: Sequence[float], span: int = 288, threshold: float = 5.0) -> Alarms:
    """Return the trivial rule: further than `threshold` deviations from the mean of the `span` values before."""
    array = np.asarray(values, dtype=np.float64)
    centred = array - array[0]
    sums, squares = (np.concatenate([[0.0], np.cumsum(one)]) for one in (centred, centred * centred))
    ends = np.arange(len(array))
    starts = np.maximum(ends - span, 0)
    number = np.maximum(ends - starts, 1)
    mean = (sums[ends] - sums[starts]) / number
    variance = np.maximum((squares[ends] - squares[starts]) / number - mean * mean, 0.0)
    floor = 1e-6 * float(np.max(np.abs(array), initial=0.0))
    return np.abs(centred - mean) > threshold * np.maximum(np.sqrt(variance), floor)


def rolling_z_once(values: Sequence[float], quiet: int = 96) -> Alarms:
    """Return the alarms of `rolling_z`, no two within `quiet` rows: the trivial rule with our own hygiene."""
    kept = np.zeros(len(values), dtype=np.bool_)
    last = -quiet
    for row in np.flatnonzero(rolling_z(values)).tolist():
        if row - last >= quiet:
            kept[row] = True
            last = row
    return kept


def by_the_clock(values: Sequence[float], every: int = 400) -> Alarms:
    """Return the rule that looks at nothing: an alarm every so many rows."""
    return np.arange(len(values)) % every == every - 1


FLOORS: tuple[tuple[str, Callable[[Sequence[float]], Alarms]], ...] = (
    ("rolling z of 288 values above 5", rolling_z),
    ("the same, once in 96 rows", rolling_z_once),
    ("an alarm every 400 rows", by_the_clock),
)


def tallies(
    series: Sequence[Series], windows: Mapping[str, Sequence[Window]], alarms: Mapping[str, Alarms]
) -> dict[str, Tally]:
    """Return the tally of every group that has files."""
    grouped = groupby(series, key=lambda one: one.group)
    return {group: total(tally(alarms[one.name], windows[one.name]) for one in files) for group, files in grouped}


def _rows(series: Sequence[Series], windows: Mapping[str, Sequence[Window]], alarms: Mapping[str, Alarms]) -> list[Row]:
    ours = tallies(series, windows, alarms)
    floors = [(name, tallies(series, windows, {one.name: rule(one.values) for one in series})) for name, rule in FLOORS]
    rows: list[Row] = []
    for profile in (STANDARD, LOW_FP, LOW_FN):
        rows += _scores("all", profile, total(ours.values()), [(name, total(one.values())) for name, one in floors])
    metric = f"NAB score, {STANDARD.name}"
    rows += [Row(metric=metric, who="record", name=name, value=value, unit="points") for name, value in _RECORDS]
    for group in ours:
        rows += _scores(group, STANDARD, ours[group], [(name, one[group]) for name, one in floors])
    for group in ours if len(ours) > 1 else ():
        rest = [(name, _without(group, one)) for name, one in floors]
        rows += _scores(f"without {group}", STANDARD, _without(group, ours), rest)
    for part, one in (("all", total(ours.values())), *ours.items()):
        rows += _hygiene(part, one, [(name, _part(part, them)) for name, them in floors])
    return rows


def _scores(part: str, profile: Profile, ours: Tally, floors: Sequence[tuple[str, Tally]]) -> list[Row]:
    """Return the score beside the floors', or nothing where there is no window to find."""
    if ours.windows == 0:
        return []
    metric = f"NAB score, {profile.name}"
    target = _TARGET if (part, profile) == ("all", STANDARD) else None
    return [
        Row(metric=metric, part=part, value=ours.score(profile), unit="points", target=target),
        *(
            Row(metric=metric, part=part, who="floor", name=name, value=one.score(profile), unit="points")
            for name, one in floors
        ),
    ]


def _hygiene(part: str, ours: Tally, floors: Sequence[tuple[str, Tally]]) -> list[Row]:
    """Return windows found, and false alarms per thousand rows where there is nothing to find."""
    rows: list[Row] = []
    if ours.windows:
        outcomes = [place < ours.found for place in range(ours.windows)]
        rows.append(counted("windows found", part, outcomes))
        rows += [
            Row(metric="windows found", part=part, who="floor", name=name, value=one.found / one.windows)
            for name, one in floors
        ]
    rows.append(_false_alarms(part, ours))
    return rows + [_false_alarms(part, one).model_copy(update={"who": "floor", "name": name}) for name, one in floors]


def _false_alarms(part: str, one: Tally) -> Row:
    value = 1000.0 * one.false_alarms / max(one.rows_outside, 1)
    return Row(metric="false alarms", part=part, value=value, unit="per 1,000 rows", better="lower")


def _without(group: str, by_group: Mapping[str, Tally]) -> Tally:
    return total(one for name, one in by_group.items() if name != group)


def _part(part: str, by_group: Mapping[str, Tally]) -> Tally:
    return total(by_group.values()) if part == "all" else by_group[part]


def _lines(series: Sequence[Series], readings: Mapping[str, Readings]) -> tuple[Judged, ...]:
    return tuple(
        Judged(file=one.name, timestamp=stamp, score=float(score), alarm=bool(alarm))
        for one in series
        for stamp, score, alarm in zip(one.stamps, *readings[one.name], strict=True)
    )


def _given(rescore: Path, series: Sequence[Series]) -> dict[str, Readings]:
    """Return given readings. A time stamp that a file holds twice needs two lines, in the file's order."""
    held: dict[tuple[str, str], list[Judged]] = {}
    for _, line in parsed(rescore, Judged):
        held.setdefault((line.file, line.timestamp), []).append(line)
    found: dict[str, Readings] = {}
    for one in series:
        lines = [_next(held, (one.name, stamp)) for stamp in one.stamps]
        found[one.name] = Readings(
            np.array([line.score for line in lines]), np.array([line.alarm for line in lines], dtype=np.bool_)
        )
    names = {one.name for one in series}
    left = next((key for key, lines in held.items() if lines and key[0] in names), None)
    if left is not None:
        raise Invalid(f"{rescore.name}: {left[0]} at {left[1]} is given once too often, or is no row of it")
    return found


def _next(held: dict[tuple[str, str], list[Judged]], key: tuple[str, str]) -> Judged:
    lines = held.get(key)
    if not lines:
        raise Invalid(f"no prediction for {key[0]} at {key[1]}", reason="missing_case")
    return lines.pop(0)


def read_series(path: Path) -> tuple[Series, ...]:
    """Read every `<group>/*.csv` below a folder, in order of name. Raises Invalid on another layout."""
    files = sorted(path.glob("*/*.csv"))
    if not files:
        raise Invalid(f"{path}: no <group>/*.csv below", reason="layout")
    return tuple(_series(file) for file in files)


def _series(file: Path) -> Series:
    name = f"{file.parent.name}/{file.name}"
    try:
        with file.open(newline="", encoding="utf-8") as text:
            rows = [(row["timestamp"], float(row["value"])) for row in csv.DictReader(text)]
        times = tuple(_unix(stamp) for stamp, _ in rows)
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise Invalid(f"{name}: not readable as timestamp,value: {error}", reason="layout") from error
    if not rows:
        raise Invalid(f"{name}: no rows", reason="layout")
    return Series(name, tuple(stamp for stamp, _ in rows), times, tuple(value for _, value in rows))


def read_windows(path: Path, series: Sequence[Series]) -> dict[str, tuple[Window, ...]]:
    """Read the labels of these series; of each labelled group, every file must be there."""
    try:
        labels = _LABELS.validate_json((path / WINDOWS).read_bytes())
    except (OSError, ValidationError) as error:
        raise Invalid(f"{path}: no readable {WINDOWS}: {error}", reason="layout") from error
    names, groups = {one.name for one in series}, {one.group for one in series}
    absent = sorted(name for name in labels if name.partition("/")[0] in groups and name not in names)
    unlabelled = sorted(names - labels.keys())
    if absent or unlabelled:
        raise Invalid(f"{path}: labelled but absent: {absent}; there but not labelled: {unlabelled}", reason="layout")
    return {one.name: _windows(one, labels[one.name]) for one in series}


def _windows(one: Series, limits: Sequence[tuple[str, str]]) -> tuple[Window, ...]:
    places: dict[float, int] = {}
    for place, at in enumerate(one.times_s):
        places.setdefault(at, place)
    try:
        windows = tuple(sorted(Window(places[_unix(first)], places[_unix(last)]) for first, last in limits))
    except (KeyError, ValueError) as error:
        raise Invalid(f"{one.name}: a window begins or ends at no row: {error}", reason="layout") from error
    if any(window.last < window.first for window in windows) or any(
        later.first <= window.last for window, later in pairwise(windows)
    ):
        raise Invalid(f"{one.name}: windows overlap or end before they begin", reason="layout")
    return windows


def _unix(stamp: str) -> float:
    """Return a time stamp without zone as Unix seconds, taken as UTC."""
    return datetime.fromisoformat(stamp).replace(tzinfo=UTC).timestamp()
