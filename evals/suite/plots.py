"""The report's plots, each a function from episodes to figures; a person should see at a glance what a table hides.

Where there is nothing to show a function returns nothing, and the report leaves the section out.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol, cast

import plotly.graph_objects as go

from domain.outcomes import PredictionError
from evals.episodes.measures import WORTH
from evals.episodes.record import CommandSeen, EpisodeRecord

OURS = "opsmesh"
COLOURS = {OURS: "#2563eb", "do_nothing": "#9ca3af", "autoscaler": "#6b7280", "runbook": "#f59e0b",
           "random": "#ef4444", "oracle": "#10b981"}  # fmt: skip
NAMES = {OURS: "Opsmesh", "do_nothing": "do nothing", "autoscaler": "autoscaler only", "runbook": "threshold runbook",
         "random": "random action", "oracle": "oracle (upper bound)"}  # fmt: skip
UNITS = {"slo_attainment": "share of good requests", "latency_p95_ms": "ms", "error_rate": "share of requests",
         "cost_usd_per_hour": "USD per hour", "carbon_g_per_hour": "gCO2e per hour"}  # fmt: skip
WORST = 6
BINS = 10
TALLEST = 2.0
"""Shares above twice what leaving alone costs are drawn at the edge: one runaway must not flatten the others."""
NOBODY = "no cause named"
GREY, FAINT = "#6b7280", "#d1d5db"


class Plot(Protocol):
    """What is used of a Plotly figure: the library's own signatures are untyped."""

    def to_html(self, *, full_html: bool, include_plotlyjs: bool, config: Mapping[str, bool]) -> str:
        """Return the figure as a piece of HTML."""
        ...

    def add_box(self, **options: object) -> object: ...
    def add_heatmap(self, **options: object) -> object: ...
    def add_scatter(self, **options: object) -> object: ...
    def add_vline(self, **options: object) -> object: ...
    def update_layout(self, **options: object) -> object: ...
    def update_xaxes(self, **options: object) -> object: ...
    def update_yaxes(self, **options: object) -> object: ...


def _figure(x: str, y: str, height: int = 340) -> Plot:
    figure = cast("Plot", go.Figure())
    figure.update_layout(
        xaxis_title=x, yaxis_title=y, height=height, template="plotly_white", font={"size": 13},
        margin={"l": 10, "r": 10, "t": 40, "b": 10},
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0.0},
    )  # fmt: skip
    figure.update_xaxes(automargin=True)
    figure.update_yaxes(automargin=True)
    return figure


def _faults(episodes: Sequence[EpisodeRecord]) -> list[EpisodeRecord]:
    return [e for e in episodes if not e.quiet and e.ours is not None and "autoscaler" in e.baselines]


def outcomes(episodes: Sequence[EpisodeRecord]) -> Plot | None:
    """How many SLO minutes each responder lost per episode, as a share of leaving the world alone."""
    held = [e for e in _faults(episodes) if e.good == "recover" and e.baselines["autoscaler"].slo_minutes_lost >= WORTH]
    if not held:
        return None
    figure = _figure("share of the SLO minutes lost when left alone", "", height=60 + 56 * len(COLOURS))
    for name, colour in reversed(COLOURS.items()):
        lived = [(e, one) for e in held if (one := e.ours if name == OURS else e.baselines.get(name)) is not None]
        shares = [one.slo_minutes_lost / e.baselines["autoscaler"].slo_minutes_lost for e, one in lived]
        figure.add_box(
            x=[min(s, TALLEST) for s in shares], name=NAMES[name], marker={"color": colour, "size": 5, "opacity": 0.6},
            boxpoints="all", jitter=0.6, pointpos=0, hovertemplate="%{text}<extra></extra>",
            text=[f"{e.scenario}, seed {e.seed}: {s:.2f}" for (e, _), s in zip(lived, shares, strict=True)],
        )  # fmt: skip
    figure.add_vline(x=1.0, line={"dash": "dot", "color": GREY})
    figure.update_xaxes(range=[-0.03, TALLEST + 0.03])
    figure.update_layout(showlegend=False)
    return figure


def _named(episode: EpisodeRecord) -> str:
    """The fault class of the last answer that led to a command, else of the last that named a cause."""
    told = [a for a in episode.answers if a.verdict == "cause_found" and a.hypotheses]
    acted = [a for a in told if a.proposed]
    last = (acted or told)[-1:]
    return last[0].hypotheses[0][1] if last else NOBODY


def confusion(episodes: Sequence[EpisodeRecord]) -> Plot | None:
    """True fault classes against named ones, where one fault was there: right ones pale, wrong ones loud."""
    pairs = Counter((e.causes[0].fault_class, _named(e)) for e in _faults(episodes) if len(e.causes) == 1)
    if not pairs:
        return None
    true = sorted({t for t, _ in pairs})
    named = [*true, *sorted({n for _, n in pairs} - set(true))]
    cells = [[pairs.get((t, n), 0) for n in named] for t in true]
    shades = [[0.0 if not c else 0.5 if t == n else 1.0 for n, c in zip(named, row, strict=True)]
              for t, row in zip(true, cells, strict=True)]  # fmt: skip
    figure = _figure("said", "true", height=200 + 24 * len(true))
    figure.add_heatmap(
        z=shades, x=[_words(n) for n in named], y=[_words(t) for t in true], zmin=0, zmax=1, xgap=2, ygap=2,
        colorscale=[[0, "#f9fafb"], [0.5, "#a7f3d0"], [1, "#fca5a5"]], showscale=False, texttemplate="%{text}",
        text=[[str(c) if c else "" for c in row] for row in cells],
        hovertemplate="true: %{y}<br>said: %{x}<br>%{text} episodes<extra></extra>",
    )  # fmt: skip
    figure.update_yaxes(autorange="reversed", dtick=1, tickfont={"size": 11})
    figure.update_xaxes(tickangle=-60, dtick=1, tickfont={"size": 11})
    return figure


def _words(name: str) -> str:
    return name.replace("_", " ")


def reliability(episodes: Sequence[EpisodeRecord]) -> Plot | None:
    """How often an answer was right at the confidence it was given; an incident that repeats itself counts once."""
    told = {
        (e.scenario, e.seed, a.incident, *a.hypotheses[0][:2]): (
            a.hypotheses[0][2], any(c.named_by(*a.hypotheses[0][:2]) for c in e.causes)
        )
        for e in episodes for a in e.answers
        if a.hypotheses and e.played
    }  # fmt: skip
    bins: dict[int, list[bool]] = {}
    for confidence, right in told.values():
        bins.setdefault(min(int(confidence * BINS), BINS - 1), []).append(right)
    if not bins:
        return None
    held = sorted(bins.items())
    figure = _figure("confidence of the answer", "share that was right", height=380)
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line={"dash": "dot", "color": GREY}, name="honest")
    figure.add_scatter(
        x=[(k + 0.5) / BINS for k, _ in held], y=[sum(rights) / len(rights) for _, rights in held],
        mode="lines+markers+text", name=NAMES[OURS], line={"color": COLOURS[OURS]}, textposition="bottom center",
        marker={"size": [8 + min(len(rights), 60) ** 0.5 * 2 for _, rights in held]},
        text=[f"n {len(rights)}" for _, rights in held], cliponaxis=False,
    )  # fmt: skip
    figure.update_xaxes(range=[0, 1])
    figure.update_yaxes(range=[0, 1.05])
    return figure


def predictions(episodes: Sequence[EpisodeRecord]) -> list[tuple[str, Plot]]:
    """What the twin predicted against what came, with its 90 % intervals; one plot per quantity, in its own unit."""
    rows = [error for e in episodes for c in e.commands for error in c.errors]
    return [
        (f"{_words(name)}: {sum(r.inside for r in held)} of {len(held)} inside", _prediction(name, held))
        for name in dict.fromkeys(r.quantity for r in rows)
        if (held := [r for r in rows if r.quantity == name])
    ]


def _prediction(name: str, rows: Sequence[PredictionError]) -> Plot:
    unit = UNITS.get(name, "")
    figure = _figure(f"measured change, {unit}", "predicted change", height=320)
    edge = 1.15 * max(max(abs(r.measured), abs(r.predicted)) for r in rows) or 1.0
    figure.add_scatter(x=[-edge, edge], y=[-edge, edge], mode="lines", line={"dash": "dot", "color": GREY},
                       name="exact")  # fmt: skip
    for inside, label, colour in ((True, "inside its interval", COLOURS["oracle"]), (False, "outside", "#ef4444")):
        held = [r for r in rows if r.inside == inside]
        figure.add_scatter(
            x=[r.measured for r in held], y=[r.predicted for r in held], mode="markers", name=label,
            marker={"color": colour, "size": 8},
            error_y={"type": "data", "symmetric": False, "thickness": 1, "width": 3, "color": colour,
                     "array": [r.high - r.predicted for r in held],
                     "arrayminus": [r.predicted - r.low for r in held]},
        )  # fmt: skip
    figure.update_xaxes(range=[-edge, edge])
    figure.update_yaxes(range=[-edge, edge])
    return figure


def worst(episodes: Sequence[EpisodeRecord]) -> list[tuple[EpisodeRecord, Plot]]:
    """Time lines of the episodes that cost most beyond what an oracle would have lost."""

    def beyond(e: EpisodeRecord) -> float:
        return e.ours.slo_minutes_lost - e.baselines["oracle"].slo_minutes_lost if e.ours is not None else 0.0

    held = [e for e in _faults(episodes) if e.good == "recover" and beyond(e) >= WORTH]
    return [(e, _timeline(e)) for e in sorted(held, key=beyond, reverse=True)[:WORST]]


def forward(episode: EpisodeRecord) -> list[CommandSeen]:
    """Return the commands that are numbered on a time line: no undos."""
    return [c for c in episode.commands if c.role == "forward"]


def _timeline(episode: EpisodeRecord) -> Plot:
    figure = _figure("minutes after the fault", "services hurting", height=300)
    styles = {"autoscaler": ("dash", 2), "runbook": ("solid", 1.5), "oracle": ("dot", 2), OURS: ("solid", 3)}
    top = 1
    for name, (dash, width) in styles.items():
        one = episode.ours if name == OURS else episode.baselines.get(name)
        if one is not None:
            top = max(top, *one.hurting) if one.hurting else top
            figure.add_scatter(
                x=list(range(len(one.hurting))), y=list(one.hurting), mode="lines", name=NAMES[name],
                line={"color": COLOURS[name], "shape": "hv", "dash": dash, "width": width},
            )  # fmt: skip
    commands = forward(episode)
    minutes = [c.proposed - episode.since_minute for c in commands]
    for minute in minutes:
        figure.add_vline(x=minute, line={"dash": "dot", "color": FAINT, "width": 1})
    figure.add_scatter(
        x=minutes, y=[top * (1.12 + 0.13 * (k % 3)) for k in range(len(commands))], mode="markers+text",
        text=[str(k + 1) for k in range(len(commands))], showlegend=False, textfont={"color": "white", "size": 11},
        marker={"size": 19, "color": "#374151"}, cliponaxis=False,
        hovertemplate="%{customdata}<extra></extra>", customdata=[f"{c.kind} {c.state}" for c in commands],
    )  # fmt: skip
    figure.update_yaxes(range=[0, top * 1.55], tickformat="d")
    return figure
