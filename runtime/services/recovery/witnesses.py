"""Is a region lost? Judged by independent witnesses: one that lies neither triggers nor blocks.

A witness that sees no region at all is cut off itself: what it says counts for nothing. So a partition of the
monitoring is no region's loss, and neither is a fault between two services.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from runtime.regions.ports import Testimony

QUORUM = 3
"""Of at least four witnesses: the least at which one liar among those who say `down` is outvoted, and one who says `up`
does not stop the others (a Byzantine quorum of 2f+1 of 3f+1 for f = 1; Lamport, Shostak, Pease 1982)."""
CONFIRM_FOR = timedelta(seconds=60)
"""Longer than a load balancer takes to drop an instance (three misses of ten seconds) and to see it back."""
BACK_FOR = timedelta(minutes=30)
"""How long a region must be well before one goes back: providers' post-incident flaps fall mostly within it (our
choice; three times the hold window of a verification)."""
Standing = Literal["up", "doubtful", "lost"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the witnesses make of one region."""

    standing: Standing
    down: tuple[str, ...]
    up: tuple[str, ...]
    discounted: tuple[str, ...]
    """Witnesses that are cut off themselves, or said nothing."""


def cut_off(testimonies: Sequence[Testimony]) -> frozenset[str]:
    """Return the witnesses that see nothing anywhere: they look at two regions or more and reach none."""
    seen: dict[str, list[str]] = {}
    for one in testimonies:
        seen.setdefault(one.witness, []).append(one.says)
    return frozenset(name for name, says in seen.items() if len(says) > 1 and "up" not in says)


def judged(testimonies: Sequence[Testimony], region: str, down_since: Mapping[str, datetime], now: datetime) -> Verdict:
    """Return the verdict on a region. `down_since` says since when each witness has been seeing it gone."""
    blind = cut_off(testimonies)
    about = [t for t in testimonies if t.region == region]
    down = tuple(t.witness for t in about if t.says == "down" and t.witness not in blind)
    up = tuple(t.witness for t in about if t.says == "up")
    off = tuple(t.witness for t in about if t.says == "silent" or (t.says == "down" and t.witness in blind))
    lasting = [w for w in down if now - down_since.get(w, now) >= CONFIRM_FOR]
    if len(lasting) >= QUORUM and len(up) <= 1:
        return Verdict("lost", down, up, off)
    # one that says `down` against all others is taken for the liar it may be: it does not keep anybody from going back
    return Verdict("doubtful" if len(down) > 1 or not up else "up", down, up, off)
