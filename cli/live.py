"""The demo's live view: each stage of an incident as it happens, drawn with Rich, curves with plotext.

Everything that came from telemetry is escaped: a log line cannot draw in somebody's terminal.
"""

from collections.abc import Sequence
from typing import Protocol, cast

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from mesh.stages import Curve, Stage

_STYLES: dict[str, tuple[str, str]] = {
    "symptom": ("!", "yellow"),
    "incident": ("■", "bold yellow"),
    "evidence": ("?", "cyan"),
    "diagnosis": ("◆", "bold cyan"),
    "held": ("…", "dim"),
    "proposal": ("→", "bold magenta"),
    "decision": ("§", "bold blue"),
    "execution": ("▶", "bold green"),
    "verification": ("✓", "bold green"),
    "outcome": ("●", "bold green"),
    "undo": ("↶", "bold red"),
    "lesson": ("✎", "cyan"),
    "page": ("☎", "bold red"),
    "recovery": ("⟳", "yellow"),
}
_PLOT_WIDTH, _PLOT_HEIGHT = 100, 14


class _Signal(Protocol):
    def lines(self) -> "_Signal": ...


class _Figure(Protocol):
    """The part of plotext's untyped figure that we use."""

    def clear(self) -> object: ...
    def plot_size(self, width: int, height: int) -> object: ...
    def theme(self, name: str) -> object: ...
    def signal(self, x: Sequence[float], y: Sequence[float], *, marker: str) -> _Signal: ...
    def draw(self, signal: _Signal) -> object: ...
    def line(self, position: float, *, orientation: str) -> object: ...
    def build(self) -> object: ...


class LiveView:
    """A watcher of the loop that prints to a console."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __call__(self, stage: Stage) -> None:
        """Draw one stage."""
        sign, style = _STYLES[stage.name]
        stamp = stage.at.strftime("%a %H:%M:%S")
        head = Text.assemble((f"{stamp}  ", "dim"), (f"{sign} {stage.name:<12}", style), "  ", stage.title)
        self._console.print(head, soft_wrap=True)
        for line in stage.lines:
            self._console.print(Padding(Text(line, style="default"), (0, 0, 0, 29)))
        if stage.card is not None:
            self._card(stage)
        if stage.curve is not None:
            self._curve(stage.curve)

    def _card(self, stage: Stage) -> None:
        card = stage.card
        if card is None:
            return
        table = Table.grid(padding=(0, 2))
        for section in card.sections:
            body = [escape(line) for line in section.lines]
            body += [f"[dim]{escape(fact.label)}:[/] {escape(fact.value)}" for fact in section.facts]
            table.add_row(f"[bold]{escape(section.title)}[/]", "\n".join(body))
        title = f"{escape(card.title)}  [dim]{escape(card.state)}[/]"
        self._console.print(Padding(Panel(table, title=title, title_align="left", expand=False), (0, 0, 0, 4)))

    def _curve(self, curve: Curve) -> None:
        title = f"{curve.label}, {curve.unit}: minutes from the effect; the horizontal line is the objective"
        self._console.print(Padding(Text(title, style="bold"), (1, 0, 0, 5)))
        self._console.print(Text.from_ansi(draw(curve)))


def draw(curve: Curve) -> str:
    """Return the curve as a terminal plot: zero on the time axis is the effect."""
    import plotext

    seen = [(m, v) for m, v in zip(curve.minutes, curve.values, strict=True) if v is not None]
    figure: _Figure = cast("_Figure", plotext.figure)
    figure.clear()
    figure.plot_size(_PLOT_WIDTH, _PLOT_HEIGHT)
    figure.theme("simple")
    signal = figure.signal([m for m, _ in seen], [v for _, v in seen], marker="braille")
    figure.draw(signal.lines())
    figure.line(0, orientation="vertical")
    if curve.bound is not None:
        figure.line(curve.bound, orientation="horizontal")
    return str(figure.build())
