"""The status page, written from the table of rows: `python -P -m evals.status --write`."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from evals.status.row import Row

PAGE = Path(__file__).parents[2] / "docs" / "roadmap-status.md"
_HEAD = """# Roadmap status

Each sentence of the roadmap and of the design card, the command that shows it working, and the value that it asserts.
A test runs every one of them, and again with the planted break, which must turn it red. What is `not yet` is tested
too: it fails until it works. `opsmesh status` prints all of it. This page is written from `evals/status/rows.py` by
`python -P -m evals.status --write`.
"""


def page(rows: Sequence[Row]) -> str:
    """Return the page as Markdown."""
    working = sum(not row.missing for row in rows)
    lines = [_HEAD, f"{working} of {len(rows)} rows work.\n"]
    for part, members in groupby(rows, key=lambda row: row.part):
        lines += [f"## {part}\n", "| sentence | command | asserts | planted break | status |", "|---|---|---|---|---|"]
        lines += [_line(row) for row in members]
        lines.append("")
    return "\n".join(lines)


def _line(row: Row) -> str:
    status = f"not yet: {row.missing}" if row.missing else "ok"
    return f"| {row.quote} | `{row.command}` | {row.check}: {row.at} {row.bound:g} | {row.case.breaks} | {status} |"
