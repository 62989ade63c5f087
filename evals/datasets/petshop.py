"""PetShop: a real shop on AWS with injected faults; five-minute metrics and a call graph (Hardt et al. 2024).

Every issue and every fault-free window is five rows, compared with the first half of the fault-free period. The
fault-free windows are those of its second half, so nothing is judged on what it was fitted to. A fault-free window is
asked about every signal that any issue was noticed by, and counts as quiet only if all of them are.
"""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from pydantic import JsonValue, TypeAdapter, ValidationError

from domain.base import TimeRange
from domain.errors import Invalid
from domain.evidence import MetricSeries, SignalKind
from domain.ids import EnvironmentId
from domain.topology import Edge, Topology
from evals.datasets.scoring import Row, counted
from evals.datasets.telemetry.cases import Case, Prediction, hit_at
from evals.datasets.telemetry.naming import Names
from evals.datasets.telemetry.recorded import ENVIRONMENT, UNCITED, Recording, SymptomSeen, noticed, recorded_service

WINDOW = 5
ROWS_BEFORE_TARGET = 1
"""The window starts one row before the row in which the symptom was seen, as the issues' own files do."""

_KINDS: dict[str, tuple[SignalKind, str]] = {
    "latency": ("latency", "s"),
    "availability": ("availability", "%"),
    "requests": ("traffic", "count"),
}
_RECORD = {1: 0.692, 3: 0.769}
"""Best of the published methods on the low-traffic part."""
_TARGET = {1: 0.75, 3: 0.85}
_TARGET_SPECIFICITY = 0.9
_JSON: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])
Column = tuple[str, str, str]


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """One metrics file: times in epoch seconds and a column per (component, metric, statistic)."""

    times: tuple[float, ...]
    columns: Mapping[Column, tuple[float | None, ...]]

    @property
    def step_s(self) -> int:
        """Return the usual distance of rows."""
        return int(np.median(np.diff(self.times))) if len(self.times) > 1 else 300

    def rows(self, start: int, stop: int) -> "Sheet":
        """Return rows [start, stop)."""
        cut = {column: values[start:stop] for column, values in self.columns.items()}
        return Sheet(self.times[start:stop], cut)

    def window(self) -> TimeRange:
        """Return the time the rows cover."""
        start = datetime.fromtimestamp(self.times[0], UTC)
        return TimeRange(start=start, end=start + timedelta(seconds=len(self.times) * self.step_s))


def read_sheet(path: Path) -> Sheet:
    """Read a metrics file: three header rows (component, metric, statistic), one row naming the index, then data."""
    rows = _read(path)
    if len(rows) < 4:
        raise Invalid(f"{path.name}: no header of three rows")
    header: list[Column] = list(zip(*(row[1:] for row in rows[:3]), strict=True))
    body = [row for row in rows[3:] if row and _number(row[0]) is not None]
    times = tuple(float(row[0]) for row in body)
    columns = {column: tuple(_number(row[i + 1]) for row in body) for i, column in enumerate(header)}
    return Sheet(times, columns)


def _read(path: Path) -> list[list[str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
    except (OSError, ValueError, csv.Error) as error:
        raise Invalid(f"{path} cannot be read: {error}", reason="layout") from error
    if len({len(row) for row in rows if row}) > 1:
        raise Invalid(f"{path}: rows of different length", reason="layout")
    return rows


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


class PetShop:
    """The data set under a folder with `graph.csv`, `noissue/` and `{train,test}/issue_N/`."""

    name = "petshop"
    places = "petshop/*_traffic*"

    def case_ids(self, path: Path) -> tuple[str, ...]:
        """Return ids of all issues, then of all fault-free windows."""
        path = _home(path)
        rows = len(read_sheet(path / "noissue" / "metrics.csv").times)
        return (*(_issue_id(folder) for folder in _issues(path)), *(f"normal/{row}" for row in _normal_rows(rows)))

    def cases(self, path: Path) -> Iterator[Case]:
        """Yield issues and fault-free windows."""
        path = _home(path)
        normal = read_sheet(path / "noissue" / "metrics.csv")
        names = Names("service")
        half = normal.rows(0, len(normal.times) // 2)
        fitted = {column: _series(column, half, names) for column in half.columns}
        topology = _topology(path / "graph.csv", names)
        watched: dict[SymptomSeen, None] = {}
        for folder in _issues(path):
            target, at = _target(folder, names)
            watched[target] = None
            yield _case(
                _issue_id(folder),
                _around(read_sheet(folder / "metrics.csv"), at),
                half,
                fitted,
                topology,
                names,
                (target,),
            )
        for row in _normal_rows(len(normal.times)):
            window = normal.rows(row, row + WINDOW)
            yield _case(f"normal/{row}", window, half, fitted, topology, names, tuple(watched))

    def score(
        self, path: Path, predictions: Mapping[str, Prediction], floor: Mapping[str, Prediction]
    ) -> tuple[Row, ...]:
        """Return top-1 and top-3 recall per part and metric, and specificity on fault-free windows."""
        labels = {_issue_id(folder): _label(folder) for folder in _issues(_home(path))}
        rows: list[Row] = []
        for part, members in _parts(labels).items():
            for k, target in _TARGET.items():
                metric = f"top-{k} recall"
                ours, trivial = (
                    [hit_at(given[case], labels[case].root_cause, k) for case in members]
                    for given in (predictions, floor)
                )
                rows.append(counted(metric, part, ours, target=target if part == "all" else None))
                rows.append(counted(metric, part, trivial, who="floor", name="z-score"))
        rows += [Row(metric=f"top-{k} recall", who="record", name="low traffic", value=_RECORD[k]) for k in _RECORD]
        quiet = [case for case in predictions if case.startswith("normal/")]
        ours, trivial = ([not given[case].ranked for case in quiet] for given in (predictions, floor))
        return (
            *rows,
            counted("specificity", "normal", ours, target=_TARGET_SPECIFICITY),
            counted("specificity", "normal", trivial, who="floor", name="z-score"),
            Row(metric="specificity", part="normal", who="record", name="latency, low traffic", value=0.17),
        )


@dataclass(frozen=True, slots=True)
class Label:
    """The answer, and the cell it is counted in."""

    root_cause: str
    metric: str


def _parts(labels: Mapping[str, Label]) -> dict[str, list[str]]:
    """Return the cells: everything, each metric, and each split by metric."""
    parts: dict[str, list[str]] = {"all": list(labels)}
    for case, label in labels.items():
        parts.setdefault(label.metric, []).append(case)
    for case, label in labels.items():
        parts.setdefault(f"{case.partition('/')[0]} {label.metric}", []).append(case)
    return parts


def _home(path: Path) -> Path:
    """Return the folder that holds `graph.csv`: the one given, or the only one in it that does."""
    if (path / "graph.csv").is_file():
        return path
    inside = sorted(one.parent for one in path.glob("*/graph.csv"))
    if len(inside) == 1:
        return inside[0]
    choice = ", ".join(one.name for one in inside) or "none"
    raise Invalid(f"{path}: no graph.csv here; folders with one: {choice}", reason="layout")


def _issues(path: Path) -> list[Path]:
    found = [folder.parent for split in ("train", "test") for folder in (path / split).glob("*/target.json")]
    if not found:
        raise Invalid(f"{path}: no {{train,test}}/issue_N/target.json below")
    return sorted(found, key=lambda folder: (folder.parent.name, len(folder.name), folder.name))


def _issue_id(folder: Path) -> str:
    return f"{folder.parent.name}/{folder.name}"


def _normal_rows(rows: int) -> range:
    return range(rows // 2, rows - WINDOW + 1, WINDOW)


def _object(folder: Path, key: str) -> dict[str, JsonValue]:
    path = folder / "target.json"
    try:
        return _JSON.validate_python(_JSON.validate_json(path.read_bytes())[key])
    except (OSError, KeyError, ValidationError) as error:
        raise Invalid(f"{path}: no object {key!r} in it", reason="layout") from error


def _target(folder: Path, names: Names) -> tuple[SymptomSeen, float]:
    """Read what was noticed and when; the rest of the file is not looked at."""
    target = _object(folder, "target")
    kind, _ = _KINDS[str(target["metric"])]
    return SymptomSeen(names.address(str(target["node"])), kind), float(str(target["timestamp"]))


def _label(folder: Path) -> Label:
    return Label(str(_object(folder, "root_cause")["node"]), str(_object(folder, "target")["metric"]))


def _around(sheet: Sheet, at: float) -> Sheet:
    """Return the five rows around the symptom."""
    seen = max((row for row, time in enumerate(sheet.times) if time <= at), default=0)
    start = max(0, min(seen - ROWS_BEFORE_TARGET, len(sheet.times) - WINDOW))
    return sheet.rows(start, start + WINDOW)


def _topology(path: Path, names: Names) -> Topology:
    rows = _read(path)
    columns = rows[0][1:]
    edges = tuple(
        Edge(kind="calls", source=names.address(row[0]), target=names.address(callee))
        for row in rows[1:]
        for callee, cell in zip(columns, row[1:], strict=True)
        if _number(cell)
    )
    services = tuple(recorded_service(names.slug(name)) for name in columns)
    return Topology(environment=EnvironmentId(ENVIRONMENT), services=services, edges=edges)


def _series(column: Column, sheet: Sheet, names: Names) -> MetricSeries:
    component, metric, statistic = column
    kind, unit = _KINDS.get(metric, ("other", ""))
    return MetricSeries(
        evidence=UNCITED,
        entity=names.address(component),
        metric=metric,
        kind=kind,
        statistic=statistic,
        unit=unit,
        start=datetime.fromtimestamp(sheet.times[0], UTC),
        step_s=sheet.step_s,
        values=sheet.columns[column],
    )


def _case(
    case_id: str,
    window: Sheet,
    half: Sheet,
    fitted: Mapping[Column, MetricSeries],
    topology: Topology,
    names: Names,
    symptoms: tuple[SymptomSeen, ...],
) -> Case:
    current = window.window()
    at = datetime.fromtimestamp(window.times[min(ROWS_BEFORE_TARGET, len(window.times) - 1)], UTC)
    shared = [column for column in window.columns if column in fitted]
    series = (*(fitted[column] for column in shared), *(_series(column, window, names) for column in shared))
    recording = Recording(
        at=at,
        baseline=half.window(),
        current=current,
        topology=topology,
        events=tuple(noticed(symptom, at, series) for symptom in symptoms),
        series=series,
    )
    return Case(case_id, recording, symptoms, names.originals)
