"""How each series moved: usual level, level now, how far in deviations, since when. Up and down alike.

The ranking blames entities; what kind of fault it is shows in which of their series moved.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from analysis import constants as c
from analysis.changes import deviate
from analysis.signals import Floats, SignalSeries

Role = Literal[
    "traffic", "latency", "errors", "cpu", "memory", "pool", "cache", "ready", "desired", "restarts",
    "throttled", "locks", "transaction", "lag", "disk", "resent", "other",
]  # fmt: skip
# Names by which common exporters call these (cAdvisor, kube-state-metrics, HikariCP, Redis, Postgres, node exporter);
# everything else by kind.
_ROLES: tuple[tuple[Role, re.Pattern[str]], ...] = (
    ("throttled", re.compile(r"throttl")),
    ("lag", re.compile(r"repl.*lag")),
    ("locks", re.compile(r"lock_wait|locks_wait|blocked_sessions")),
    ("transaction", re.compile(r"transaction|idle_in_tx|max_tx_duration")),
    ("resent", re.compile(r"retrans")),
    ("disk", re.compile(r"disk_used|volume_used|filesystem_used")),
    ("memory", re.compile(r"mem|rss|heap")),
    ("pool", re.compile(r"pool|connection|slots")),
    ("cache", re.compile(r"cache.*hit|hit_ratio|hit_rate")),
    ("ready", re.compile(r"ready|available_replicas")),
    ("desired", re.compile(r"desired|spec_replicas")),
    ("restarts", re.compile(r"restarts")),
    ("cpu", re.compile(r"cpu")),
)
_BY_KIND: Mapping[str, Role] = {"traffic": "traffic", "latency": "latency", "errors": "errors"}
# The present is the last five minutes: the short window of a fast burn-rate alert (SRE workbook, chapter 5).
RECENT_S = 300.0
LATEST_S = 120.0
# Demand drifts by less than a tenth within half an hour of a daily sine.
LATELY_S = 1800.0


@dataclass(frozen=True, slots=True)
class Move:
    """One series against its own baseline. Levels in the series' unit; deviations are robust z-scores of runs."""

    entity: str
    metric: str
    statistic: str
    role: Role
    before: float
    lately: float
    """Median of the last half hour of the baseline: what the daily shape had reached."""
    now: float
    """Median of the last five minutes."""
    latest: float
    """Median of the last two minutes: whether it is still so."""
    extreme: float
    """Level of the furthest run either way."""
    up: float
    down: float
    since_s: float
    """First of two samples in a row beyond three deviations that way, POSIX seconds."""
    ref: str

    @property
    def ratio(self) -> float:
        """Present level against the usual one; large when it was about zero before."""
        return self.now / self.before if self.before > 0 else (1.0 if self.now <= 0 else float("inf"))

    @property
    def rose(self) -> bool:
        """Significantly up."""
        return self.up > c.DETECTION_Z and self.up >= self.down

    @property
    def fell(self) -> bool:
        """Significantly down."""
        return self.down > c.DETECTION_Z and self.down > self.up


def role_of(metric: str, kind: str) -> Role:
    """Return what a metric stands for, by its kind, else by its name."""
    if kind in _BY_KIND:
        return _BY_KIND[kind]
    name = metric.lower()
    named: list[Role] = [role for role, pattern in _ROLES if pattern.search(name)]
    return named[0] if named else "other"


def move_of(series: SignalSeries) -> Move | None:
    """Return how a series moved; None where either window holds nothing."""
    finite = series.current[np.isfinite(series.current)]
    if not finite.size or not np.isfinite(series.baseline).any():
        return None
    center = float(np.nanmedian(series.baseline))
    floor = max(c.ABSOLUTE_FLOOR.get((series.kind, series.unit), 0.0), c.RELATIVE_FLOOR * abs(center), 1e-9)
    up = deviate(series.entity, series.baseline, series.current, floor, ())
    down = deviate(series.entity, -series.baseline, -series.current, floor, ())
    if up is None or down is None:
        return None
    far = up if up.score >= down.score else down
    run = far.run
    recent = max(1, round(RECENT_S / series.step_s))
    return Move(
        entity=series.entity,
        metric=series.metric,
        statistic=series.statistic,
        role=role_of(series.metric, series.kind),
        before=center,
        lately=_lately(series, center),
        now=float(np.median(finite[-recent:])),
        extreme=_level(series.current, run.start, run.stop, center),
        up=max(up.score, 0.0),
        down=max(down.score, 0.0),
        latest=float(np.median(finite[-max(1, round(LATEST_S / series.step_s)) :])),
        since_s=series.start_s + _first(far.excess / far.scale, run.start) * series.step_s,
        ref=series.ref,
    )


def _first(deviations: Floats, fallback: int) -> int:
    """A run's best part starts late when a signal grows slowly; the first sustained crossing is nearer to the cause."""
    beyond = deviations > c.CANDIDATE_Z
    pairs = np.flatnonzero(beyond[:-1] & beyond[1:])
    return int(pairs[0]) if pairs.size else fallback


def _lately(series: SignalSeries, fallback: float) -> float:
    held = series.baseline[-max(1, round(LATELY_S / series.step_s)) :]
    held = held[np.isfinite(held)]
    return float(np.median(held)) if held.size else fallback


def _level(values: Floats, start: int, stop: int, fallback: float) -> float:
    held = values[start:stop]
    held = held[np.isfinite(held)]
    return float(held.mean()) if held.size else fallback


@dataclass(frozen=True, slots=True)
class Moves:
    """All moves of a pack, by entity."""

    by_entity: Mapping[str, tuple[Move, ...]]

    def of(self, entity: str, role: Role) -> Move | None:
        """Return the entity's furthest move of a role, None when it has no such series."""
        held = [m for m in self.by_entity.get(entity, ()) if m.role == role]
        return max(held, key=lambda m: (max(m.up, m.down), m.metric), default=None)

    def rose(self, entity: str, role: Role) -> Move | None:
        """Return the move of a role when it rose significantly."""
        move = self.of(entity, role)
        return move if move is not None and move.rose else None

    def fell(self, entity: str, role: Role) -> Move | None:
        """Return the move of a role when it fell significantly."""
        move = self.of(entity, role)
        return move if move is not None and move.fell else None


def moves_of(series: Iterable[SignalSeries]) -> Moves:
    """Return the moves of all series."""
    found: dict[str, list[Move]] = {}
    for one in series:
        move = move_of(one)
        if move is not None:
            found.setdefault(one.entity, []).append(move)
    return Moves({entity: tuple(held) for entity, held in found.items()})
