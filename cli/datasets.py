"""Verbs that score public data sets: one with all its rows, or the whole card. Ours stands beside floor and record."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from cli import render
from cli.progress import ProgressBar

if TYPE_CHECKING:
    from evals.datasets.card import Entry, ScoreCard
    from evals.datasets.scoring import DatasetReport, Row


def one(name: str, path: Path, predictions: Path | None, rescore: Path | None, *, as_json: bool) -> int:
    """Score one data set; predictions are written to a file, or read from one to be scored again."""
    from evals.datasets import run

    with ProgressBar(None, quiet=as_json, title=name) as bar:
        report = run(name, path, rescore=rescore, progress=lambda p: bar(p.done, p.case, p.total or None))
    if predictions is not None:
        predictions.write_text(report.prediction_lines(), encoding="utf-8")
    if as_json:
        render.as_json(report.model_dump(mode="json"))
    else:
        _show(report)
    return 0


def card(root: Path, only: Sequence[str], *, as_json: bool) -> int:
    """Score every data set below a folder; 1 when one is missing, cannot be read, or misses a target."""
    from evals.datasets.card import score_card

    with ProgressBar(None, quiet=as_json, title="data sets") as bar:
        scored = score_card(root, only, told=lambda p: bar(p.done, p.case, p.total))
    if as_json:
        render.as_json(scored.model_dump(mode="json"))
    else:
        _show_card(scored)
    return 0 if scored.met else 1


def _show(report: "DatasetReport") -> None:
    from evals.datasets.scoring import figures

    table = Table(title=f"{report.dataset}: {report.cases} cases, {report.source}, {report.seconds_total:.0f} s")
    for heading in ("part", "metric", "ours", "95 %", "target", "floor", "record", "unit"):
        table.add_column(heading)
    for figure in figures(report.rows):
        ours = figure.ours[0] if figure.ours else None
        interval = "" if ours is None or ours.low is None else f"{ours.low:.3f} to {ours.high:.3f} of {ours.total}"
        unit = next(row.unit for rows in (figure.ours, figure.floors, figure.records) for row in rows)
        table.add_row(
            figure.part, figure.metric, _side(figure.ours), interval, _target(ours), _side(figure.floors),
            _side(figure.records), unit,
        )  # fmt: skip
    render.console.print(table)
    for note in report.notes:
        render.console.print(note, markup=False)


def _show_card(scored: "ScoreCard") -> None:
    table = Table(title=f"{len(scored.entries)} data sets, {scored.wall_s:.0f} s")
    for heading in ("data set", "part", "metric", "ours", "target", "floor", "record", "unit", "s"):
        table.add_column(heading)
    for entry in scored.entries:
        for cells in _card_rows(entry):
            table.add_row(*cells)
        table.add_section()
    render.console.print(table)


def _card_rows(entry: "Entry") -> list[tuple[str, ...]]:
    if entry.status != "scored":
        return [(entry.dataset, entry.place, f"{entry.status.upper()}: {entry.why}", *[""] * 6)]
    return [
        (
            entry.place if place == 0 else "", one.ours.part, one.ours.metric, _side([one.ours]), _target(one.ours),
            _side(one.floors), _side(one.records), one.ours.unit, f"{entry.seconds:.0f}" if place == 0 else "",
        )
        for place, one in enumerate(entry.promises)
    ]  # fmt: skip


def _side(rows: "Sequence[Row]") -> str:
    """Return values under each other, with the rule or source of those that have one."""
    return "\n".join(f"{_shown(row.value)} {row.name}".strip() for row in rows)


def _target(row: "Row | None") -> str:
    if row is None or row.target is None:
        return ""
    sign = "at least" if row.better == "higher" else "at most"
    return f"{sign} {_shown(row.target)}: {'met' if row.met else 'MISSED'}"


def _shown(value: float) -> str:
    """Return a figure with as many digits as one compares."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3f}"
