"""What `opsmesh evals run`, `scenarios` and `compare` do: run the suite, print its figures beside the baselines."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from cli import render
from cli.calls import call
from cli.progress import ProgressBar
from cli.render import shown
from domain.errors import Invalid

if TYPE_CHECKING:
    from evals.suite.compare import Comparison
    from evals.suite.results import Results
    from evals.suite.runner import Order
    from evals.suite.summary import Summary

HOME = Path("eval-results")


def order(
    suite: str, seeds: Sequence[int], only: Sequence[str], out: Path | None, *, fresh: bool, sabotage: str = ""
) -> "Order":
    """Return what to run; results go to one file per order, so that a run that was cut off is taken up again."""
    from evals.suite.runner import Order

    name = "-".join([suite, f"{seeds[0]}x{len(seeds)}", *([sabotage] if sabotage else []), *sorted(only)])
    return Order(
        suite=suite, seeds=tuple(seeds), out=out or HOME / f"{name}.jsonl", sabotage=sabotage, fresh=fresh,
        only=tuple(only),
    )  # fmt: skip


def run(wanted: "Order", html: Path | None, *, as_json: bool) -> int:
    """Run a suite, or what is left of it. Exit 1 when an episode broke."""
    results, summary = _played(wanted, quiet=as_json)
    if html is not None:
        from evals.suite.report import write_report

        write_report(results, html)
    if as_json:
        render.console.print_json(summary.model_dump_json())
    else:
        show(summary)
        told = f"episodes in {wanted.out}" + (f", report in {html}" if html else "")
        render.console.print(told, markup=False, soft_wrap=True)
    return 1 if summary.broke else 0


def guard(*, as_json: bool) -> int:
    """Run the small suite and hold it against what was committed. Exit 1 when a figure fell or an episode broke."""
    from evals.suite.guard import SEED, judge

    _, summary = _played(order("ci", (SEED,), (), None, fresh=True), quiet=as_json)
    verdict = judge(summary)
    if as_json:
        render.console.print_json(verdict.model_dump_json())
    else:
        show(summary)
        for line in verdict.lines:
            mark = "ok  " if line.good else "NO  "
            render.console.print(f"{mark}{line.metric}: {shown(line.value)}, guarded {line.allowed}", markup=False)
    return 0 if verdict.good and not summary.broke else 1


def sabotage(name: str, suite: str, seeds: Sequence[int], *, as_json: bool) -> int:
    """Play the same episodes honestly and damaged. Exit 1 when no figure moves beyond noise."""
    from evals.suite.compare import compare as compared

    honest, _ = _played(order(suite, seeds, (), None, fresh=False), quiet=as_json)
    damaged, _ = _played(order(suite, seeds, (), None, fresh=False, sabotage=name), quiet=as_json)
    found = compared(honest, damaged)
    if as_json:
        render.console.print_json(found.model_dump_json())
    else:
        _compared(found)
    return 0 if any(c.beyond_noise for c in found.figures) else 1


def _played(wanted: "Order", *, quiet: bool) -> "tuple[Results, Summary]":
    from evals.suite.runner import run_suite
    from evals.suite.summary import summarise

    with ProgressBar(None, quiet=quiet, title=wanted.suite) as bar:
        results = run_suite(wanted, lambda done, total, what: bar(done, what, total))
    summary = summarise(results.episodes, suite=wanted.suite, seeds=wanted.seeds, sabotage=wanted.sabotage)
    return results, summary


def show(summary: "Summary") -> None:
    """Print both tables: figures with targets, and everybody who lived through the same minutes."""
    seeds = " to ".join(str(s) for s in sorted({min(summary.seeds), max(summary.seeds)}))
    marred = f", SABOTAGED: {summary.sabotage}" if summary.sabotage else ""
    title = f"{summary.suite}: {summary.episodes} episodes, seeds {seeds}, {summary.cpu_s:,.0f} s of CPU{marred}"
    table = Table(title=title)
    for heading in ("figure", "value", "95 % interval", "counted on", "target"):
        table.add_column(heading)
    for f in summary.figures:
        target = ""
        if f.target is not None:
            sign = ">=" if f.better == "higher" else "<="
            what = "upper bound " if f.bound == "high" else ""
            target = f"{what}{sign} {f.target:g} {'met' if f.met else 'MISSED'}"
        unit = f" {f.unit}" if f.unit else ""
        table.add_row(f.metric, f"{shown(f.value)}{unit}", f"{shown(f.low)} to {shown(f.high)}", str(f.count), target)
    render.console.print(table)
    _standings(summary)
    for broken in summary.broke:
        render.console.print(f"broke: {broken}", markup=False)


def _standings(summary: "Summary") -> None:
    table = Table(title="beside everybody else, per fault episode")
    for heading in ("domain", "who", "SLO min lost", "of leaving alone", "min a cause stood", "USD/h", "gCO2e/h", "n"):
        table.add_column(heading)
    answered = {row.domain for row in summary.standings if row.responder == "opsmesh"}
    for row in summary.standings:
        share = "" if row.share_of_alone is None else f"{row.share_of_alone:.0%}"
        table.add_row(
            row.domain, row.responder, f"{row.slo_minutes_lost:.1f}", share, f"{row.minutes_standing:.1f}",
            f"{row.cost_usd_per_hour:.2f}", f"{row.carbon_g_per_hour:.0f}", str(row.episodes),
        )  # fmt: skip
    for domain in dict.fromkeys(row.domain for row in summary.standings if row.domain not in answered):
        table.add_row(domain, "no agent yet", "", "", "", "", "", "")
    render.console.print(table)


def scenarios(suite: str | None, *, as_json: bool) -> None:
    """List the scenarios."""
    from evals.scenarios import load

    rows = [s for s in load() if suite is None or suite in s.suites]
    if as_json:
        render.as_json([s.model_dump(mode="json") for s in rows])
        return
    for s in rows:
        render.console.print(f"{s.name:<34}{s.domain:<12}{s.good:<10}{s.title}", markup=False, soft_wrap=True)


def capture(incident: str, fault: str | None, out: Path | None) -> None:
    """Print an incident as a scenario, or write it to a file that does not exist yet."""
    from evals.suite.capture import as_yaml, view_of
    from evals.suite.capture import capture as captured

    if out is not None and out.exists():
        raise Invalid(f"{out} exists; give another --out", reason="file_exists")
    text = as_yaml(captured(view_of(call("GET", f"/v1/incidents/{incident}")), fault=fault))
    if out is None:
        sys.stdout.write(text)
    else:
        out.write_text(text, encoding="utf-8")
        render.console.print(f"scenario in {out}", markup=False, soft_wrap=True)


def compare(before: Path, after: Path, *, as_json: bool) -> int:
    """Say what got better and worse from one results file to another; exit 1 when a figure is worse beyond noise."""
    from evals.suite.compare import compare as compared
    from evals.suite.results import read_results

    found = compared(read_results(before), read_results(after))
    if as_json:
        render.console.print_json(found.model_dump_json())
    else:
        _compared(found)
    return 1 if any(c.turn == "worse" and c.beyond_noise for c in found.figures) else 0


def _value(value: float | None) -> str:
    return "none" if value is None else shown(value)


def _compared(found: "Comparison") -> None:
    table = Table(title="figures")
    for heading in ("figure", "before", "after", "", ""):
        table.add_column(heading)
    for c in found.figures:
        table.add_row(c.metric, shown(c.before), shown(c.after), c.turn, "beyond noise" if c.beyond_noise else "")
    render.console.print(table)
    for turn in ("worse", "better"):
        for e in [e for e in found.episodes if e.turn == turn]:
            before, after = _value(e.before), _value(e.after)
            render.console.print(
                f"{turn}: {e.scenario} {e.seed} {e.grade} {before} -> {after}: {e.reason}", markup=False, soft_wrap=True
            )
    for side, names in (("only before", found.only_before), ("only after", found.only_after)):
        if names:
            render.console.print(f"{side}: {', '.join(names)}", markup=False, soft_wrap=True)
