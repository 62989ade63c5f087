"""The form of a grader: it looks at a played episode and returns values, each with a reason a person can check."""

from collections.abc import Callable, Mapping

from evals.episodes.played import Played
from evals.episodes.record import Grade

Grader = Callable[[Played], Mapping[str, Grade]]
"""One question, or a few that are read off the same things."""


def none(reason: str) -> Grade:
    """The question does not arise."""
    return Grade(value=None, reason=reason)


def share(hits: int, total: int, what: str) -> Grade:
    """Return a share counted over things, with what was counted."""
    return none(f"no {what}") if total == 0 else Grade(value=hits / total, reason=f"{hits} of {total} {what}")
