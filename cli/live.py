"""The demo's live view: each stage of an incident as it happens, drawn with Rich, curves with plotext.

Everything that came from telemetry is escaped: a log line cannot draw in somebody's terminal.
"""

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
            self._console.print(Text.from_ansi(draw(stage.curve)))

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


def draw(curve: Curve) -> str:
    """Return the curve as a terminal plot: zero on the time axis is the effect."""
    import plotext

    seen = [(m, v) for m, v in zip(curve.minutes, curve.values, strict=True) if v is not None]
    plotext.clear_figure()
    plotext.plot_size(_PLOT_WIDTH, _PLOT_HEIGHT)
    plotext.theme("clear")
    plotext.plot([m for m, _ in seen], [v for _, v in seen], marker="braille", label=f"{curve.label} ({curve.unit})")
    plotext.vertical_line(0)
    if curve.bound is not None:
        plotext.horizontal_line(curve.bound)
    plotext.xlabel("minutes from the effect; the horizontal line is the objective")
    return plotext.build()
