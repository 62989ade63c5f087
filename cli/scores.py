"""Verbs that print figures: public data sets and the closed loop, each beside its floor and record."""

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue
from rich.table import Table

from cli import render
from cli.progress import ProgressBar

if TYPE_CHECKING:
    from evals.datasets.scoring import DatasetReport


def dataset(name: str, path: Path, predictions: Path | None, rescore: Path | None, *, as_json: bool) -> int:
    """Score one data set; predictions are written to a file, or read from one to be scored again."""
    from evals.datasets import run

    with ProgressBar(None, quiet=as_json, title=name) as bar:
        report = run(name, path, rescore=rescore, progress=lambda p: bar(p.done, p.case, p.total or None))
    if predictions is not None:
        predictions.write_text(report.prediction_lines(), encoding="utf-8")
    if as_json:
        render.console.print_json(report.to_json())
    else:
        _show(report)
    return 0


def _show(report: "DatasetReport") -> None:
    table = Table(title=f"{report.dataset}: {report.cases} cases, {report.source}, {report.seconds_total:.0f} s")
    for heading in ("part", "metric", "who", "value", "unit", "95 % interval", "target", "cases"):
        table.add_column(heading)
    for row in report.rows:
        interval = "" if row.low is None or row.high is None else f"{row.low:.3f} to {row.high:.3f}"
        target = "" if row.target is None else f"{shown(row.target)} {'met' if row.met else 'MISSED'}"
        cells = (row.part, row.metric, row.author, shown(row.value), row.unit, interval, target, str(row.total or ""))
        table.add_row(*cells)
    render.console.print(table)
    for note in report.notes:
        render.console.print(note, markup=False)


def shown(value: float) -> str:
    """Return a figure with as many digits as one compares."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3f}"


def closed_loop(seed: int, seeds: int, *, controls: bool, as_json: bool) -> int:
    """Play every fault over the seeds and quiet worlds beside them; exit 1 when one did not end as its row says."""
    from evals.closed_loop import CONTROLS, fault_endings, play_all
    from evals.quiet import play_quiet

    names = list(fault_endings())
    chosen = CONTROLS if controls else CONTROLS[:1]
    total = len(names) * seeds * len(chosen)
    with ProgressBar(total, quiet=as_json, title="closed loop") as bar:
        episodes = play_all(names, list(range(seed, seed + seeds)), controls=chosen, told=bar)
    quiet = play_quiet(list(range(seed, seed + seeds)), hours=2)
    good = sum(e.as_expected for e in episodes)
    if as_json:
        rows: list[JsonValue] = [e.model_dump(mode="json") for e in episodes]
        render.as_json({"episodes": rows, "as_expected": good, "of": len(episodes), "quiet_proposals": quiet.proposals})
    else:
        table = Table(
            title=f"closed loop: {good} of {len(episodes)} as expected; quiet worlds: {quiet.proposals} proposals"
        )
        for heading in ("fault", "seed", "control", "ended", "expected", "cause", "SLO min lost", ""):
            table.add_column(heading)
        for e in episodes:
            cause = (
                ""
                if e.entity_right is None
                else f"{'right' if e.entity_right else 'WRONG'} entity, {'right' if e.class_right else 'WRONG'} class"
            )
            table.add_row(
                e.fault,
                str(e.seed),
                e.control,
                e.ending,
                e.expected,
                cause,
                f"{e.slo_minutes_lost:.0f}",
                "ok" if e.as_expected else "NOT",
            )
        render.console.print(table)
    return 0 if good == len(episodes) and quiet.proposals == 0 else 1
