"""Rendering: tables, cards and JSON. Text from elsewhere reaches a terminal as letters only: it cannot draw there."""

import json
import re
import sys
from collections.abc import Iterator, Sequence

from pydantic import JsonValue
from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from cli.answers import Columns, pick
from domain.cards import Card

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""C0 and C1 controls but tab and newline (ECMA-48), and what turns text around (Unicode TR 36, bidirectional)."""


def plain(text: str) -> str:
    """Return text without anything that a terminal would obey instead of showing."""
    return _CONTROLS.sub("", text)


class Terminal(Console):
    """A console that takes controls out of all it shows; its own colours are styles, not text."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Render as Rich does, in plain text."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(plain(segment.text), segment.style)


console = Terminal()


def shown(value: float) -> str:
    """Return a figure with as many digits as one compares."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3f}"


def as_json(value: JsonValue) -> None:
    """Print JSON and nothing else."""
    sys.stdout.write(json.dumps(value, indent=2, sort_keys=True) + "\n")


def either(columns: Columns, answer: JsonValue, *, as_json: bool) -> None:
    """Print a list as it came, or as a table."""
    if as_json:
        sys.stdout.write(json.dumps(answer, indent=2, sort_keys=True) + "\n")
    else:
        table(columns, answer if isinstance(answer, list) else [answer])


def table(columns: Columns, rows: Sequence[JsonValue]) -> None:
    """Print one line a row, or say that there are none. A narrow terminal wraps the line; no value is cut or folded."""
    if not rows:
        console.print(f"{columns.title}: none")
        return
    shown = [[heading, *(" ".join(pick(row, path).split()) for row in rows)] for heading, path in columns.columns]
    wide = [(column, max(map(cell_len, column))) for column in shown if any(column[1:])]
    for at in range(len(rows) + 1):
        line = "  ".join(set_cell_size(column[at], width) for column, width in wide).rstrip()
        console.print(Text(line, style="" if at else "bold"), soft_wrap=True)


def facts(rows: Sequence[tuple[str, str, str]]) -> None:
    """Print three columns; the last one wraps below itself."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(3):
        grid.add_column(overflow="fold")
    for row in rows:
        grid.add_row(*(escape(cell) for cell in row))
    console.print(grid)


def card(value: Card) -> None:
    """Print one card."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column()
    grid.add_column(overflow="fold")
    told_below = any(value.summary == "; ".join(section.lines) for section in value.sections)
    grid.add_row("[bold]State[/]", escape(value.state if told_below else f"{value.state}: {value.summary}"))
    for section in value.sections:
        lines = [escape(line) for line in section.lines]
        lines += [f"[dim]{escape(fact.label)}:[/] {escape(fact.value)}" for fact in section.facts]
        grid.add_row(f"[bold]{escape(section.title)}[/]", "\n".join(lines))
    for action in value.actions[:1]:
        grid.add_row("[bold]Digest[/]", action.digest)
        where = "plans " if action.of == "plan" else ""
        answers = [f"opsmesh {where}{verb} {action.command}" for verb in ("approve", "reject")]
        grid.add_row("[bold]Answer[/]", "\n".join(answers))
    console.print(Panel(grid, title=escape(value.title), title_align="left", expand=False))
