"""The report: one HTML file with its plots inside, that opens without a network and would rather be looked at.

Every picture stands under a title and one sentence that says what good looks like. Colour never speaks alone.
"""

import html
from collections.abc import Iterable, Sequence
from pathlib import Path

from plotly.offline import get_plotlyjs

from evals.episodes.record import EpisodeRecord
from evals.suite import plots
from evals.suite.results import Results
from evals.suite.summary import Figure, Summary, summarise

_STYLE = """
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:1180px;padding:24px 16px;color:#111827;background:#fff}
h1{margin:0 0 4px;font-size:28px}h2{margin:44px 0 0;border-top:1px solid #e5e7eb;padding-top:18px;font-size:21px}
h3{margin:14px 0 0;font-size:15px}p.lead{color:#4b5563;margin:0 0 14px}small,.soft{color:#6b7280}
.tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(220px,100%),1fr));gap:10px}
.tile{border:1px solid #e5e7eb;border-radius:8px;padding:10px 14px;border-left:5px solid #d1d5db}
.tile.met{border-left-color:#10b981}.tile.missed{border-left-color:#ef4444;background:#fef2f2}
.tile b{display:block;font-size:23px;line-height:1.3}.tile small{display:block;line-height:1.35}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%}
td,th{padding:4px 10px;text-align:right;border-bottom:1px solid #f3f4f6;white-space:nowrap}
td:first-child,th:first-child,td:nth-child(2),th:nth-child(2){text-align:left}tr.ours{background:#eff6ff;font-weight:600}
tr.first td{border-top:2px solid #d1d5db}
.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(500px,100%),1fr));gap:14px 28px}.two>*{min-width:0}
.cells{columns:340px;column-gap:28px}.row{display:flex;gap:4px;align-items:center;break-inside:avoid;padding:1px 0}
.row span{flex:1;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.cell{display:inline-block;min-width:22px;border-radius:4px;text-align:center;text-decoration:none;font-size:12px;
line-height:20px;color:#065f46;background:#a7f3d0}.cell.bad{color:#fff;background:#dc2626;font-weight:700}
.cell.none{color:#6b7280;background:#e5e7eb}ol{margin:0;padding-left:26px;font-size:13px}
details{margin:4px 0;overflow-wrap:anywhere}summary{cursor:pointer}summary.bad{color:#b91c1c}
.marred{background:#fef2f2;border:1px solid #ef4444;padding:10px;border-radius:8px}
"""
_SCRIPT = """
addEventListener("load",()=>dispatchEvent(new Event("resize")));
addEventListener("hashchange",()=>{const it=document.getElementById(location.hash.slice(1));if(it)it.open=true});
"""
"""Plots drawn before their neighbours were there take their width anew; a cell that is followed opens its grades."""
_CONFIG = {"displayModeBar": False, "responsive": True}
_HEADS = ("domain", "who", "SLO min lost", "of leaving alone", "min a cause stood", "USD/h", "gCO2e/h", "episodes")


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
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><title>Opsmesh evaluation</title>'
        f"<style>{_STYLE}</style><script>{get_plotlyjs()}</script></head><body>"
        f'<h1>Opsmesh evaluation: {html.escape(summary.suite)}</h1><p class="lead">{told}</p>{marred}'
        f"{_targets(summary)}{_standings(summary)}{_pictures(episodes)}{_every(episodes)}"
        f"<script>{_SCRIPT}</script></body></html>"
    )


def _section(title: str, good: str, body: str) -> str:
    return f'<h2>{title}</h2><p class="lead">{good}</p>{body}' if body else ""


def _targets(summary: Summary) -> str:
    aimed = "".join(_tile(f) for f in summary.figures if f.target is not None)
    others = "".join(_tile(f) for f in summary.figures if f.target is None)
    return _section(
        "Targets", "Good: every tile says met, and its 95 % interval is narrow.", f'<div class="tiles">{aimed}</div>'
    ) + _section(
        "Also measured", "Good: small numbers for the same outcome; the interval says how much is luck.",
        f'<div class="tiles">{others}</div>',
    )  # fmt: skip


def _tile(figure: Figure) -> str:
    mark = {True: "met", False: "missed", None: ""}[figure.met]
    sign = "at least" if figure.better == "higher" else "at most"
    bound = "upper bound " if figure.bound == "high" else ""
    target = "" if figure.target is None else f"<small>target: {bound}{sign} {figure.target:g}, {mark}</small>"
    return (
        f'<div class="tile {mark}">{html.escape(figure.metric)}<b>{figure.value:.3g} {html.escape(figure.unit)}</b>'
        f"<small>{figure.low:.3g} to {figure.high:.3g}, counted on {figure.count}</small>{target}</div>"
    )


def _standings(summary: Summary) -> str:
    rows = ""
    for k, r in enumerate(summary.standings):
        first = k == 0 or summary.standings[k - 1].domain != r.domain
        marks = [*(["first"] if first else []), *(["ours"] if r.responder == plots.OURS else [])]
        share = "" if r.share_of_alone is None else f"{r.share_of_alone:.0%}"
        rows += (
            f'<tr class="{" ".join(marks)}"><td>{r.domain if first else ""}</td>'
            f"<td>{html.escape(plots.NAMES.get(r.responder, r.responder))}</td><td>{r.slo_minutes_lost:.1f}</td>"
            f"<td>{share}</td><td>{r.minutes_standing:.1f}</td><td>{r.cost_usd_per_hour:.2f}</td>"
            f"<td>{r.carbon_g_per_hour:.0f}</td><td>{r.episodes}</td></tr>"
        )
    heads = "".join(f"<th>{h}</th>" for h in _HEADS)
    return _section(
        "Beside everybody else",
        "Everybody lived through the same minutes. Good: close to the oracle, far from the runbook; a domain without "
        "our row has no agent yet.",
        f'<div class="wide"><table><tr>{heads}</tr>{rows}</table></div>' if rows else "",
    )  # fmt: skip


def _pictures(episodes: Sequence[EpisodeRecord]) -> str:
    rehearsed = "".join(
        f"<div><h3>{html.escape(title)}</h3>{_plot(p)}</div>" for title, p in plots.predictions(episodes)
    )
    cases = "".join(_case(e, p) for e, p in plots.worst(episodes))
    return (
        _section("SLO minutes lost, by episode", "One dot is one episode. Good: dots near zero; beyond the dotted line "
                 "it was worse than leaving the world alone.", _plot(plots.outcomes(episodes)))
        + _section("What was wrong, and what was said", "Good: green numbers on the diagonal; a red one is a cause "
                   "that was mistaken for another.", _plot(plots.confusion(episodes)))
        + _section("Is confidence honest?", "Good: points on the dotted line; below it we were surer than right.",
                   _plot(plots.reliability(episodes)))
        + _section("The twin: predicted and measured", "Good: nine of ten bars cross the dotted line; a bar that "
                   "leaves the picture is admitted ignorance.", _two(rehearsed))
        + _section("The worst cases", "The blue line against the grey one is what we saved, against the green one what "
                   "was left to save. Good: blue falls soon after the first numbered command and stays down.",
                   _two(cases))
    )  # fmt: skip


def _two(body: str) -> str:
    return f'<div class="two">{body}</div>' if body else ""


def _plot(plot: plots.Plot | None) -> str:
    return "" if plot is None else plot.to_html(full_html=False, include_plotlyjs=False, config=_CONFIG)


def _case(episode: EpisodeRecord, plot: plots.Plot) -> str:
    causes = "; ".join(f"{c.fault_class.replace('_', ' ')} on {c.entity}" for c in episode.causes)
    commands = "".join(
        f"<li>{html.escape(c.kind)} on {html.escape(c.target)}: {html.escape(c.state)}</li>"
        for c in plots.forward(episode)
    )
    listed = f"<ol>{commands}</ol>" if commands else "<small>nothing proposed</small>"
    return (
        f'<div><h3>{html.escape(episode.scenario)}, seed {episode.seed}</h3><p class="soft" style="margin:0">'
        f"{html.escape(causes)}</p>{_plot(plot)}{listed}</div>"
    )


def _every(episodes: Sequence[EpisodeRecord]) -> str:
    """Return a cell per episode that leads to its grades and commands; those that went wrong come first below."""
    rows = "".join(
        f'<div class="row"><span title="{html.escape(name)}">{html.escape(name)}</span>'
        f"{''.join(_cell(e) for e in sorted(held, key=lambda e: e.seed))}</div>"
        for name in dict.fromkeys(e.scenario for e in episodes)
        if (held := [e for e in episodes if e.scenario == name])
    )
    played = sorted((e for e in episodes if e.played), key=lambda e: (_good(e), e.scenario, e.seed))
    return _section(
        "How every episode ended",
        "One cell per seed, with the seed as its number: green ended as it should, red (with a !) did not, grey has no "
        "agent yet. Good: no red.",
        f'<div class="cells">{rows}</div>',
    ) + _section(
        "Grades and commands", "Those that went wrong first; every value has its reason.", "".join(map(_one, played))
    )  # fmt: skip


def _cell(episode: EpisodeRecord) -> str:
    if not episode.played:
        return f'<span class="cell none" style="flex:none" title="no agent yet">{episode.seed}</span>'
    ended = episode.grades.get("ended_well")
    why = episode.broke or ("not graded" if ended is None else ended.reason)
    mark, sign = ("", "") if _good(episode) else (" bad", "!")
    return f'<a class="cell{mark}" href="#{_anchor(episode)}" title="{html.escape(why)}">{episode.seed}{sign}</a>'


def _anchor(episode: EpisodeRecord) -> str:
    return html.escape(f"{episode.scenario}-{episode.seed}")


def _good(episode: EpisodeRecord) -> bool:
    ended = episode.grades.get("ended_well")
    return not episode.broke and ended is not None and ended.value == 1.0


def _one(episode: EpisodeRecord) -> str:
    commands = (
        f"minute {c.proposed:.1f}: {c.kind} on {c.target} by {c.proposer}, {c.state} ({c.reason})"
        for c in plots.forward(episode)
    )
    grades = (
        f"{name.replace('_', ' ')}: {'none' if g.value is None else f'{g.value:.3g}'} ({g.reason})"
        for name, g in episode.grades.items()
    )
    mark = "" if _good(episode) else ' class="bad"'
    broke = f"<p>{html.escape(episode.broke)}</p>" if episode.broke else ""
    return (
        f'<details id="{_anchor(episode)}"><summary{mark}>{html.escape(episode.scenario)}, seed {episode.seed}'
        f"</summary>{broke}{_list(commands)}{_list(grades)}</details>"
    )


def _list(lines: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{html.escape(line)}</li>' for line in lines)}</ul>"
