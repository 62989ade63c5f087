"""The report's plots, each a function from episodes to a figure; a person should see at a glance what a table hides."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol, cast

import plotly.graph_objects as go

from evals.episodes.record import EpisodeRecord
from evals.suite.summary import WORTH

OURS = "opsmesh"
COLOURS = {OURS: "#2563eb", "do_nothing": "#9ca3af", "autoscaler": "#6b7280", "runbook": "#f59e0b",
           "random": "#ef4444", "oracle": "#10b981"}  # fmt: skip
WORST = 6
BINS = 10
NOBODY = "no cause named"


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


def _figure(title: str, x: str, y: str, height: int = 380) -> Plot:
    figure = cast("Plot", go.Figure())
    figure.update_layout(
        title=title, xaxis_title=x, yaxis_title=y, height=height, template="plotly_white",
        margin={"l": 60, "r": 20, "t": 50, "b": 50}, legend={"orientation": "h", "y": -0.25},
    )  # fmt: skip
    return figure


def _faults(episodes: Sequence[EpisodeRecord]) -> list[EpisodeRecord]:
    return [e for e in episodes if not e.quiet and e.ours is not None and "autoscaler" in e.baselines]


def outcomes(episodes: Sequence[EpisodeRecord]) -> Plot:
    """How many SLO minutes each responder lost per episode, as a share of leaving the world alone."""
    figure = _figure("SLO minutes lost, by episode", "", "share of leaving it alone")
    held = [e for e in _faults(episodes) if e.good == "recover" and e.baselines["autoscaler"].slo_minutes_lost >= WORTH]
    for name, colour in COLOURS.items():
        shares: list[float] = []
        for e in held:
            one = e.ours if name == OURS else e.baselines.get(name)
            if one is not None:
                shares.append(one.slo_minutes_lost / e.baselines["autoscaler"].slo_minutes_lost)
        figure.add_box(
            y=shares, name=name, marker_color=colour, boxpoints="all", jitter=0.5, pointpos=0,
            text=[f"{e.scenario} {e.seed}" for e in held],
        )  # fmt: skip
    figure.update_yaxes(range=[0, 1.6])
    figure.update_layout(showlegend=False)
    return figure


def _named(episode: EpisodeRecord) -> str:
    """The fault class of the last answer that led to a command, else of the last that named a cause."""
    told = [a for a in episode.answers if a.verdict == "cause_found" and a.hypotheses]
    acted = [a for a in told if a.proposed]
    last = (acted or told)[-1:]
    return last[0].hypotheses[0][1] if last else NOBODY


def confusion(episodes: Sequence[EpisodeRecord]) -> Plot:
    """True fault classes against named ones, where one fault was there."""
    pairs = Counter((e.causes[0].fault_class, _named(e)) for e in _faults(episodes) if len(e.causes) == 1)
    true = sorted({t for t, _ in pairs})
    named = [*true, *sorted({n for _, n in pairs} - set(true))]
    cells = [[pairs.get((t, n), 0) for n in named] for t in true]
    figure = _figure("What was wrong, and what was said", "named", "true", height=180 + 22 * len(true))
    figure.add_heatmap(z=cells, x=named, y=true, colorscale="Blues", showscale=False,
                       text=[[str(c) if c else "" for c in row] for row in cells], texttemplate="%{text}")  # fmt: skip
    figure.update_yaxes(autorange="reversed")
    return figure


def reliability(episodes: Sequence[EpisodeRecord]) -> Plot:
    """How often the first hypothesis was right at the confidence that it was given."""
    told = [
        (a.hypotheses[0][2], any(c.named_by(*a.hypotheses[0][:2]) for c in e.causes))
        for e in episodes
        for a in e.answers
        if a.hypotheses and e.played
    ]
    centres: list[float] = []
    rates: list[float] = []
    counts: list[int] = []
    for k in range(BINS):
        inside = [right for confidence, right in told if min(int(confidence * BINS), BINS - 1) == k]
        if inside:
            centres.append((k + 0.5) / BINS)
            rates.append(sum(inside) / len(inside))
            counts.append(len(inside))
    figure = _figure("Is confidence honest?", "confidence of the first hypothesis", "share that was right")
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line={"dash": "dot", "color": "#9ca3af"}, name="honest")
    figure.add_scatter(
        x=centres, y=rates, mode="lines+markers", name=OURS, line={"color": COLOURS[OURS]},
        marker={"size": [6 + min(c, 60) ** 0.5 * 2 for c in counts]}, text=[f"{c} answers" for c in counts],
    )  # fmt: skip
    figure.update_xaxes(range=[0, 1])
    figure.update_yaxes(range=[0, 1.02])
    return figure


def predictions(episodes: Sequence[EpisodeRecord]) -> Plot:
    """What the twin predicted against what came, with its 90 % intervals; each quantity in units of its largest."""
    figure = _figure("The twin: predicted and measured", "measured change (scaled)", "predicted change (scaled)")
    rows = [error for e in episodes for c in e.commands for error in c.errors]
    for number, name in enumerate(dict.fromkeys(r.quantity for r in rows)):
        held = [r for r in rows if r.quantity == name]
        largest = max(max(abs(r.measured), abs(r.predicted)) for r in held) or 1.0
        inside = sum(r.inside for r in held)
        figure.add_scatter(
            x=[r.measured / largest for r in held], y=[r.predicted / largest for r in held], mode="markers",
            name=f"{name}: {inside} of {len(held)} inside", marker={"symbol": number},
            error_y={"type": "data", "symmetric": False, "thickness": 1,
                     "array": [(r.high - r.predicted) / largest for r in held],
                     "arrayminus": [(r.predicted - r.low) / largest for r in held]},
        )  # fmt: skip
    figure.add_scatter(x=[-1, 1], y=[-1, 1], mode="lines", line={"dash": "dot", "color": "#9ca3af"}, name="exact")
    return figure


def endings(episodes: Sequence[EpisodeRecord]) -> Plot:
    """Every scenario and seed: green where it ended as it should, red where not, grey where nobody answers yet."""
    names = list(dict.fromkeys(e.scenario for e in episodes))
    seeds = sorted({e.seed for e in episodes})
    cell = {(e.scenario, e.seed): e for e in episodes}
    levels: list[list[float]] = []
    texts: list[list[str]] = []
    for name in names:
        held = [cell.get((name, seed)) for seed in seeds]
        levels.append([_level(e) for e in held])
        texts.append([_reason(e) for e in held])
    figure = _figure("How every episode ended", "seed", "", height=160 + 16 * len(names))
    figure.add_heatmap(
        z=levels, x=[str(s) for s in seeds], y=names, text=texts, hovertemplate="%{y} %{x}<br>%{text}<extra></extra>",
        colorscale=[[0, "#ef4444"], [0.5, "#d1d5db"], [1, "#10b981"]], zmin=0, zmax=1, showscale=False, xgap=2, ygap=2,
    )  # fmt: skip
    figure.update_yaxes(autorange="reversed")
    figure.update_layout(margin={"l": 240, "r": 20, "t": 50, "b": 50})
    return figure


def _level(episode: EpisodeRecord | None) -> float:
    if episode is None or not episode.played:
        return 0.5
    ended = episode.grades.get("ended_well")
    return 0.0 if ended is None or ended.value is None else ended.value


def _reason(episode: EpisodeRecord | None) -> str:
    if episode is None or not episode.played:
        return "no agent yet"
    ended = episode.grades.get("ended_well")
    return episode.broke or ("not graded" if ended is None else ended.reason)


def worst(episodes: Sequence[EpisodeRecord]) -> list[Plot]:
    """Time lines of the episodes that cost most beyond what an oracle would have lost."""

    def beyond(e: EpisodeRecord) -> float:
        return e.ours.slo_minutes_lost - e.baselines["oracle"].slo_minutes_lost if e.ours is not None else 0.0

    held = [e for e in _faults(episodes) if e.good == "recover"]
    return [_timeline(e) for e in sorted(held, key=beyond, reverse=True)[:WORST]]


def _timeline(episode: EpisodeRecord) -> Plot:
    causes = ", ".join(f"{c.fault_class} on {c.entity}" for c in episode.causes)
    figure = _figure(
        f"{episode.scenario}, seed {episode.seed}: {causes}", "minutes after the fault", "services hurting"
    )
    for name in (OURS, "autoscaler", "runbook", "oracle"):
        one = episode.ours if name == OURS else episode.baselines.get(name)
        if one is not None:
            figure.add_scatter(x=list(range(len(one.hurting))), y=list(one.hurting), mode="lines", name=name,
                               line={"color": COLOURS[name], "shape": "hv"})  # fmt: skip
    for command in episode.commands:
        if command.role == "forward":
            at = command.proposed - episode.since_minute
            told = f"{command.kind} {command.state}"
            figure.add_vline(x=at, line={"dash": "dot", "color": "#6b7280"}, annotation_text=told,
                             annotation_textangle=-90, annotation_font_size=9)  # fmt: skip
    return figure
