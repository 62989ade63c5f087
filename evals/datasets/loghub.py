"""Loghub: 2,000 lines of each of many systems, with the event every line belongs to (Zhu et al. 2023).

Raw lines in, templates out: one header rule and one setting for all systems, learning in one pass. Grouping accuracy
is the share of lines whose group holds exactly the lines of their event. Published figures start from the `Content`
column, which formats written per system have cut out; the same templater on that column stands beside ours.
"""

import csv
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from time import perf_counter

from pydantic import Field

from analysis.log_headers import learn_header
from analysis.templates import WILDCARD, Templater
from domain.base import Frozen
from domain.errors import Invalid
from evals.datasets.lines import read_lines
from evals.datasets.scoring import Progress, Row, Scored, Told, Who, unheard

METRIC = "grouping accuracy"
_TARGET = 0.94
_RECORDS = (("Brain, tuned per system", 0.983), ("Drain", 0.865))


class Template(Frozen):
    """One line: system, line number from 1, and the template it was given."""

    system: str
    line: int = Field(ge=1)
    template: str


Key = tuple[str, int]
"""System, line number."""


@dataclass(frozen=True, slots=True, eq=False)
class System:
    """One system's log: raw lines for the templater, events and message column for scoring."""

    name: str
    raw: tuple[str, ...]
    messages: tuple[str, ...]
    events: tuple[str, ...]


class Loghub:
    """The logs below a folder: `<system>/<system>_2k.log` with `..._structured.csv` beside it."""

    name = "loghub"
    places = "loghub"

    def run(self, path: Path, *, rescore: Path | None = None, progress: Told = unheard) -> Scored:
        """Give every line a template, or take the given ones."""
        systems = _systems(path)
        keys = [(system.name, line) for system in systems for line in range(1, len(system.raw) + 1)]
        given: Mapping[Key, Template] = {}
        if rescore is not None:
            given = read_lines(rescore, Template, lambda one: (one.system, one.line), keys)
        templates: dict[str, list[str]] = {}
        began = perf_counter()
        for done, system in enumerate(systems, start=1):
            numbers = range(1, len(system.raw) + 1)
            templates[system.name] = (
                [given[system.name, line].template for line in numbers] if given else templates_of(system.raw)
            )
            progress(Progress(done, len(systems), system.name))
        seconds = perf_counter() - began
        lines = tuple(Template(system=name, line=line, template=templates[name][line - 1]) for name, line in keys)
        rows = _rows(systems, templates)
        if rescore is None:
            rows += [_on_messages(systems), Row(metric="speed", value=len(keys) / seconds, unit="lines/s")]
        return Scored(len(keys), tuple(rows), lines)


def templates_of(raw: Sequence[str]) -> list[str]:
    """Return the template of every line, after all lines have been seen; the header is learned from the first ones."""
    header = learn_header(raw)
    return _templated([header.message(line) for line in raw])


def _templated(messages: Sequence[str]) -> list[str]:
    templater = Templater()
    numbers = [templater.add(message) for message in messages]
    return [templater.text(number) for number in numbers]


def grouping_accuracy(groups: Sequence[Hashable], events: Sequence[Hashable]) -> float:
    """Return the share of lines whose group is exactly their event's set of lines."""
    pairs: dict[tuple[Hashable, Hashable], int] = {}
    for pair in zip(groups, events, strict=True):
        pairs[pair] = pairs.get(pair, 0) + 1
    of_group, of_event = _sizes(groups), _sizes(events)
    exact = sum(n for (group, event), n in pairs.items() if n == of_group[group] == of_event[event])
    return exact / len(events)


def token_mask(message: str) -> str:
    """Return the trivial template: every word with a digit in it is variable."""
    return " ".join(WILDCARD if any(map(str.isdigit, word)) else word for word in message.split())


def _sizes(labels: Sequence[Hashable]) -> dict[Hashable, int]:
    sizes: dict[Hashable, int] = {}
    for label in labels:
        sizes[label] = sizes.get(label, 0) + 1
    return sizes


def _rows(systems: Sequence[System], templates: Mapping[str, Sequence[str]]) -> list[Row]:
    ours = {one.name: grouping_accuracy(templates[one.name], one.events) for one in systems}
    floor = {one.name: grouping_accuracy([token_mask(m) for m in one.messages], one.events) for one in systems}
    rows = [
        Row(metric=METRIC, part="mean", value=fmean(ours.values()), target=_TARGET),
        _floor("mean", fmean(floor.values())),
        *(_row("mean", value, "record", name) for name, value in _RECORDS),
    ]
    for name, value in ours.items():
        rows += [_row(name, value), _floor(name, floor[name])]
    return rows


def _row(part: str, value: float, who: Who = "ours", name: str = "") -> Row:
    return Row(metric=METRIC, part=part, who=who, name=name, value=value)


def _floor(part: str, value: float) -> Row:
    return _row(part, value, "floor", "words with digits masked, message column")


def _on_messages(systems: Sequence[System]) -> Row:
    scores = [grouping_accuracy(_templated(one.messages), one.events) for one in systems]
    return Row(metric=f"{METRIC}, message column", part="mean", value=fmean(scores))


def _systems(path: Path) -> list[System]:
    found = [_system(log) for log in sorted(path.glob("*/*_2k.log"))]
    if not found:
        raise Invalid(f"{path}: no <system>/<system>_2k.log below", reason="layout")
    return found


def _system(log: Path) -> System:
    table = log.with_name(f"{log.name}_structured.csv")
    try:
        raw = log.read_bytes().decode("utf-8", errors="replace").removesuffix("\n").split("\n")
        with table.open(newline="", encoding="utf-8", errors="replace") as file:
            rows = list(csv.DictReader(file))
        messages, events = tuple(row["Content"] for row in rows), tuple(row["EventId"] for row in rows)
    except (OSError, KeyError, csv.Error) as error:
        raise Invalid(
            f"{log.name}: no readable {table.name} with Content and EventId: {error}", reason="layout"
        ) from error
    if len(raw) != len(rows):
        raise Invalid(f"{log.name}: {len(raw)} lines, but {len(rows)} in {table.name}", reason="layout")
    return System(log.parent.name, tuple(line.rstrip("\r") for line in raw), messages, events)
