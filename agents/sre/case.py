"""One incident as the SRE agent sees it: the pack, the ranking over it, how every series moved, what changed when."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from agents.sre.moves import Moves, Role, moves_of
from analysis.observing import observations_of
from analysis.ranking import rank
from analysis.signals import Ranking
from domain.evidence import ChangeRecord, Claim, EvidencePack

# A rollout moves signals before its record says finished, and samples are a minute apart: two minutes of slack.
ONSET_SLACK = timedelta(minutes=2)
# Most change-induced incidents show within the hour (analysis uses the same); memory takes longer to fill.
SUSPECT = timedelta(hours=1)
SLOW_SUSPECT = timedelta(hours=6)
# By Little's law twice the time holds twice the places.
HELD_LONGER = 2.0
PAINS: tuple[Role, ...] = ("latency", "errors")


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """Everything the rules read."""

    pack: EvidencePack
    ranking: Ranking
    moves: Moves
    onset: datetime
    """When it began, as far as the signals tell; never after the first symptom."""

    def share(self, entity: str) -> float:
        """Return the entity's part of all blame, 0 to 1."""
        total = sum(score for _, score in self.ranking.ranked)
        return dict(self.ranking.ranked).get(entity, 0.0) / total if total > 0 else 0.0

    def lead(self, entity: str) -> float:
        """Return the entity's blame against the most blamed one, 0 to 1."""
        best = self.ranking.ranked[0][1] if self.ranking.ranked else 0.0
        return dict(self.ranking.ranked).get(entity, 0.0) / best if best > 0 else 0.0

    def below(self, entity: str) -> frozenset[str]:
        """Return everything the entity calls, directly or through others."""
        seen: set[str] = set()
        waiting = [entity]
        while waiting:
            here = waiting.pop()
            called = {e.target for e in self.pack.topology.edges if e.kind == "calls" and e.source == here} - seen
            seen |= called
            waiting += sorted(called)
        return frozenset(seen - {entity})

    def slowed(self, entity: str) -> bool:
        """Tell whether the entity holds its callers up: its latency is at least twice its usual."""
        slow = self.moves.rose(entity, "latency")
        return slow is not None and slow.extreme >= HELD_LONGER * slow.before

    def explains(self, entity: str) -> bool:
        """Tell whether the entity is slowed, nothing below it is, and all that is blamed more waits for it."""
        if not self.slowed(entity) or any(self.slowed(name) for name in self.below(entity)):
            return False
        before = [name for name, score in self.ranking.ranked if score > dict(self.ranking.ranked).get(entity, 0.0)]
        return all(entity in self.below(name) for name in before)

    def suspects(self, kind: str, within: timedelta = SUSPECT) -> list[ChangeRecord]:
        """Return changes of a kind before the onset, or before what they changed began to move, newest first.

        Left out is what took another one back once it hurt: blaming that would bring the harm again.
        """
        changes = [c for c in self.pack.changes if c.kind == kind]
        found = [
            c
            for c in _without_withdrawals(changes, lambda entity: min(self._starts(entity)))
            if any(start - within <= c.at <= self._latest(start) for start in self._starts(c.entity))
        ]
        return sorted(found, key=lambda c: c.at, reverse=True)

    def began(self, entity: str) -> datetime:
        """Return when the entity itself became slow or failing; the onset where it did not.

        An incident may have been opened by something small before: that does not clear what came after.
        """
        moved = [m.since_s for role in PAINS if (m := self.moves.rose(entity, role)) is not None]
        return self.instant(min(moved)) if moved else self.onset

    def instant(self, posix_s: float) -> datetime:
        """Return an instant in the pack's time zone."""
        return datetime.fromtimestamp(posix_s, tz=self.onset.tzinfo)

    @property
    def latest(self) -> datetime:
        """The latest instant a cause can have."""
        return self._latest(self.onset)

    def _starts(self, entity: str) -> tuple[datetime, ...]:
        return self.onset, self.began(entity)

    def _latest(self, start: datetime) -> datetime:
        return min(start + ONSET_SLACK, self.pack.at)


@dataclass(frozen=True, slots=True)
class Suspect:
    """What one rule concludes: an entity, a fault class, how strongly (0 to 1), and the claims either way."""

    entity: str
    fault_class: str
    strength: float
    statement: str
    supporting: tuple[Claim, ...]
    contradicting: tuple[Claim, ...] = ()


def _without_withdrawals(changes: Sequence[ChangeRecord], began: Callable[[str], datetime]) -> list[ChangeRecord]:
    """Return the changes without those that, after the harm began, turned a standing one of the same entity round."""
    kept: list[ChangeRecord] = []
    for change in sorted(changes, key=lambda c: c.at):
        if change.at < began(change.entity) or not any(_reverses(change, earlier) for earlier in kept):
            kept.append(change)
    return kept


def _reverses(later: ChangeRecord, earlier: ChangeRecord) -> bool:
    return later.entity == earlier.entity and (later.before, later.after) == (earlier.after, earlier.before)


def open_case(pack: EvidencePack) -> Case:
    """Rank, measure moves and date the onset."""
    observations = observations_of(pack)
    ranking = rank(observations)
    opened = pack.incident.opened_at
    onset = opened
    if ranking.onset_s is not None:
        onset = min(opened, datetime.fromtimestamp(ranking.onset_s, tz=opened.tzinfo))
    return Case(pack, ranking, moves_of(observations.series), onset)
