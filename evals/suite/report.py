"""The report: one HTML file with its plots inside, that opens without a network and would rather be looked at."""

import html
from collections.abc import Sequence
from pathlib import Path

from plotly.offline import get_plotlyjs

from evals.episodes.record import EpisodeRecord
from evals.suite import plots
from evals.suite.results import Results
from evals.suite.summary import Figure, Summary, summarise

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:1180px;padding:24px;color:#111827;background:#fff}
h1{margin:0 0 4px}h2{margin:36px 0 8px;border-bottom:1px solid #e5e7eb}p.lead{color:#4b5563;margin:0 0 20px}
.tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(210px,1fr));gap:12px}
.tile{border:1px solid #e5e7eb;border-radius:8px;padding:10px 14px;border-left:5px solid #d1d5db}
.tile.met{border-left-color:#10b981}.tile.missed{border-left-color:#ef4444}
.tile b{display:block;font-size:22px}.tile small{color:#6b7280}
table{border-collapse:collapse;width:100%}td,th{padding:4px 10px;text-align:right;border-bottom:1px solid #f3f4f6}
td:first-child,th:first-child,td:nth-child(2),th:nth-child(2){text-align:left}tr.ours{background:#eff6ff;font-weight:600}
.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(480px,1fr));gap:12px}details{margin:4px 0}
summary{cursor:pointer}.bad{color:#b91c1c}
.marred{background:#fef2f2;border:1px solid #ef4444;padding:10px;border-radius:8px}
"""


def write_report(results: Results, path: Path) -> None:
    """Write the report of a results file."""
    head = results.header
    summary = summarise(results.episodes, suite=head.suite, seeds=head.seeds, sabotage=head.sabotage)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render(summary, results.episodes), encoding="utf-8")


def render(summary: Summary, episodes: Sequence[EpisodeRecord]) -> str:
    """Return the page. Every text from an episode is escaped: a log line must not become markup."""
    told = f"{summary.episodes} episodes, seeds {', '.join(map(str, summary.seeds))}, {summary.cpu_s:,.0f} s of CPU"
    marred = f'<p class="marred">Sabotaged on purpose: {html.escape(summary.sabotage)}</p>' if summary.sabotage else ""
    tiles = "".join(_tile(f) for f in summary.figures)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Opsmesh evaluation</title>'
        f"<style>{_STYLE}</style><script>{get_plotlyjs()}</script></head><body>"
        f'<h1>Opsmesh evaluation: {html.escape(summary.suite)}</h1><p class="lead">{told}</p>{marred}'
        f'<div class="tiles">{tiles}</div><h2>Beside everybody else</h2>{_standings(summary)}'
        f"<h2>Outcomes</h2>{_plot(plots.outcomes(episodes))}"
        f'<h2>Diagnosis</h2><div class="two">{_plot(plots.confusion(episodes))}'
        f"{_plot(plots.reliability(episodes))}</div>"
        f"<h2>Rehearsal</h2>{_plot(plots.predictions(episodes))}"
        f'<h2>The worst cases</h2><div class="two">{"".join(_plot(p) for p in plots.worst(episodes))}</div>'
        f"<h2>Every episode</h2>{_plot(plots.endings(episodes))}{_details(episodes)}</body></html>"
    )


def _plot(plot: plots.Plot) -> str:
    return plot.to_html(full_html=False, include_plotlyjs=False, config={"displaylogo": False, "responsive": True})


def _tile(figure: Figure) -> str:
    mark = {True: "met", False: "missed", None: ""}[figure.met]
    target = (
        "" if figure.target is None else f", target {'>=' if figure.better == 'higher' else '<='} {figure.target:g}"
    )
    value = f"{figure.value:.3g} {html.escape(figure.unit)}"
    return (
        f'<div class="tile {mark}">{html.escape(figure.metric)}<b>{value}</b>'
        f"<small>{figure.low:.3g} to {figure.high:.3g}, n {figure.count}{target}</small></div>"
    )


def _standings(summary: Summary) -> str:
    rows = "".join(
        f'<tr class="{"ours" if r.responder == plots.OURS else ""}"><td>{r.domain}</td><td>{r.responder}</td>'
        f"<td>{r.slo_minutes_lost:.1f}</td><td>{'' if r.share_of_alone is None else f'{r.share_of_alone:.0%}'}</td>"
        f"<td>{r.minutes_standing:.1f}</td><td>{r.cost_usd_per_hour:.2f}</td><td>{r.carbon_g_per_hour:.0f}</td>"
        f"<td>{r.episodes}</td></tr>"
        for r in summary.standings
    )
    heads = ("domain", "who", "SLO min lost", "of leaving alone", "min a cause stood", "USD/h", "gCO2e/h", "episodes")
    return f"<table><tr>{''.join(f'<th>{h}</th>' for h in heads)}</tr>{rows}</table>"


def _details(episodes: Sequence[EpisodeRecord]) -> str:
    """Return every episode's grades and commands, folded; those that went wrong first."""
    played = sorted((e for e in episodes if e.played), key=lambda e: (_good(e), e.scenario, e.seed))
    return "".join(_one(e) for e in played)


def _good(episode: EpisodeRecord) -> bool:
    ended = episode.grades.get("ended_well")
    return not episode.broke and ended is not None and ended.value == 1.0


def _one(episode: EpisodeRecord) -> str:
    grades = "".join(
        f"<li>{html.escape(name)}: {'none' if g.value is None else f'{g.value:.3g}'} ({html.escape(g.reason)})</li>"
        for name, g in episode.grades.items()
    )
    commands = "".join(
        f"<li>minute {c.proposed:.1f}: {html.escape(c.kind)} on {html.escape(c.target)} by {html.escape(c.proposer)}, "
        f"{html.escape(c.state)} ({html.escape(c.reason)})</li>"
        for c in episode.commands
        if c.role == "forward"
    )
    mark = "" if _good(episode) else ' class="bad"'
    broke = f"<p>{html.escape(episode.broke)}</p>" if episode.broke else ""
    return (
        f"<details><summary{mark}>{html.escape(episode.scenario)} {episode.seed}</summary>{broke}"
        f"<ul>{commands}</ul><ul>{grades}</ul></details>"
    )
