"""The verb `replay`: recorded telemetry through the loop, up to the approval queue, and what came of it."""

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue
from rich.markup import escape
from rich.table import Table

from cli import render
from cli.progress import ProgressBar

if TYPE_CHECKING:
    from evals.replay import CaseReplayed, IncidentReplayed, ReplayReport

SHOWN = 3
"""Blamed entities in the table; `--json` has the rest."""
GAPS = 3


def replay(name: str, path: Path, case: str | None, *, as_json: bool) -> int:
    """Replay one case or all. Exit 1 when intake refused something, or a case opened no incident."""
    from evals.replay import replay as run

    with ProgressBar(None, quiet=as_json, title="reading") as bar:
        report = run(name, path, case, progress=lambda p: bar(p.done, p.case, p.total))
    if as_json:
        body: JsonValue = report.model_dump(mode="json")
        render.as_json(body)
    else:
        for one in report.cases:
            _show(one)
        render.console.print(_summary(report))
    return 0 if all(_well(one) for one in report.cases) else 1


def _well(case: "CaseReplayed") -> bool:
    return not case.taken.refused and bool(case.incidents)


def _show(case: "CaseReplayed") -> None:
    taken = case.taken
    head = f"{taken.points} samples, {taken.logs} log lines, {taken.spans} spans, {taken.events} events"
    refused = f", {taken.refused} REFUSED" if taken.refused else ""
    render.console.print(f"[bold]{escape(case.case)}[/]  {head}{refused}  ({case.seconds:.1f} s)", highlight=False)
    for incident in case.incidents:
        for line in _lines(incident):
            render.console.print(f"  {escape(line)}", highlight=False)
    if not case.incidents:
        render.console.print("  no incident opened", highlight=False)


def _lines(incident: "IncidentReplayed") -> list[str]:
    lines = [f"incident {incident.incident}: {incident.title} ({incident.severity}, since {incident.opened_at:%H:%M})"]
    lines.append(f"diagnosis {incident.verdict} (runs: {incident.looks}): {incident.summary}")
    lines += [f"  blamed {score:.2f}  {entity}" for entity, score in incident.ranked]
    for one in incident.proposed:
        lines.append(f"proposed {one.kind} on {one.target}: {one.state} (policy: {one.policy}), plans to")
        lines += [f"  {step}" for step in one.preview]
        lines += [f"  because {reason}" for reason in one.reasons]
    lines += [f"paged: {reason}" for reason in incident.paged]
    if not incident.proposed and not incident.paged:
        lines.append(f"nothing proposed: {incident.conclusion}")
    lines += [f"not seen: {gap.what} ({gap.why})" for gap in incident.gaps[:GAPS]]
    if len(incident.gaps) > GAPS:
        lines.append(f"not seen: {len(incident.gaps) - GAPS} more")
    return lines


def _summary(report: "ReplayReport") -> Table:
    table = Table(title=f"{report.source}: {len(report.cases)} cases replayed", title_justify="left")
    for heading in ("case", "verdict", "blamed", "proposed", "state", "gaps"):
        table.add_column(heading, overflow="fold")
    for case in report.cases:
        for incident in case.incidents:
            blamed = ", ".join(entity for entity, _ in incident.ranked[:SHOWN])
            told = [(one.kind, one.state) for one in incident.proposed] or [("page" if incident.paged else "none", "")]
            row = (
                case.case, incident.verdict, blamed or "nobody", ", ".join(kind for kind, _ in told),
                ", ".join(state for _, state in told), str(len(incident.gaps)),
            )  # fmt: skip
            table.add_row(*map(escape, row))
    return table
