"""Two results files side by side: which figures and which episodes got better or worse, and whether that is noise."""

from collections.abc import Sequence
from typing import Literal

from domain.base import Frozen
from evals.episodes.record import EpisodeRecord
from evals.suite.results import Results
from evals.suite.summary import Better, Figure, summarise

Turn = Literal["better", "worse", "same"]


class Change(Frozen):
    """One figure in both files."""

    metric: str
    before: float
    after: float
    turn: Turn
    beyond_noise: bool
    """The later value lies outside the earlier one's interval."""


class EpisodeChange(Frozen):
    """One graded value of one episode that differs."""

    scenario: str
    seed: int
    grade: str
    before: float | None
    after: float | None
    turn: Turn
    reason: str


class Comparison(Frozen):
    """What changed from A to B."""

    figures: tuple[Change, ...]
    episodes: tuple[EpisodeChange, ...]
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]


GRADES: tuple[tuple[str, Better, float], ...] = (
    ("exact_cause", "higher", 0.0), ("first_answer", "higher", 0.0), ("precision", "higher", 0.0),
    ("ended_well", "higher", 0.0), ("false_finding", "lower", 0.0), ("evidence_closure", "higher", 0.0),
    ("false_success", "lower", 0.0), ("violations", "lower", 0.0), ("undo_exact", "higher", 0.0),
    ("lost_share", "lower", 0.05),
)  # fmt: skip
"""Grades that are compared episode by episode, which way is good, and how much may differ without being told."""


def compare(before: Results, after: Results) -> Comparison:
    """Return what got better and worse, over the episodes that both files hold."""
    olds = {(e.scenario, e.seed): e for e in before.episodes}
    news = {(e.scenario, e.seed): e for e in after.episodes}
    shared = [key for key in olds if key in news]
    first = {f.metric: f for f in summarise([olds[k] for k in shared]).figures}
    second = summarise([news[k] for k in shared]).figures
    return Comparison(
        figures=tuple(_figure(first[f.metric], f) for f in second if f.metric in first),
        episodes=tuple(change for key in shared for change in _episode(olds[key], news[key])),
        only_before=_names(olds, news), only_after=_names(news, olds),
    )  # fmt: skip


def _names(held: dict[tuple[str, int], EpisodeRecord], other: dict[tuple[str, int], EpisodeRecord]) -> tuple[str, ...]:
    return tuple(f"{scenario} {seed}" for scenario, seed in held if (scenario, seed) not in other)


def _figure(before: Figure, after: Figure) -> Change:
    return Change(
        metric=after.metric, before=before.value, after=after.value,
        turn=turn(before.value, after.value, after.better), beyond_noise=not before.low <= after.value <= before.high,
    )  # fmt: skip


def _episode(before: EpisodeRecord, after: EpisodeRecord) -> Sequence[EpisodeChange]:
    found: list[EpisodeChange] = []
    if bool(before.broke) != bool(after.broke):
        found.append(
            EpisodeChange(
                scenario=after.scenario, seed=after.seed, grade="broke", before=float(bool(before.broke)),
                after=float(bool(after.broke)), turn="worse" if after.broke else "better",
                reason=after.broke or "lived to its end",
            )
        )  # fmt: skip
    for name, better, within in GRADES:
        old, new = before.grades.get(name), after.grades.get(name)
        if old is None or new is None or old.value == new.value:
            continue
        if old.value is not None and new.value is not None and abs(old.value - new.value) <= within:
            continue
        way: Turn = "same" if old.value is None or new.value is None else turn(old.value, new.value, better)
        found.append(
            EpisodeChange(scenario=after.scenario, seed=after.seed, grade=name, before=old.value, after=new.value,
                          turn=way, reason=new.reason)
        )  # fmt: skip
    return found


def turn(before: float, after: float, better: Better) -> Turn:
    """Tell whether the later value is better."""
    if before == after:
        return "same"
    return "better" if (after > before) == (better == "higher") else "worse"
