"""Verification: did it get better, judged over a hold window by signals the proposer neither chose nor can write.

The watch list follows from topology (the target, what showed symptoms, and whoever calls them up to the edge), the
bounds from each service's SLO and from the time before the incident. A quiet signal is never a good one: a workload
that is gone has no errors.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Literal

from domain.base import TimeRange
from domain.commands import Command
from domain.evidence import MetricSeries
from domain.outcomes import Check, Verification
from domain.topology import RuntimeService, Slo, Topology

HOLD = timedelta(minutes=10)
"""How long an effect is watched: twice the five-minute window of a fast burn-rate alert (SRE workbook, chapter 5)."""
BEFORE = timedelta(minutes=5)
"""The window that stands for the state before the effect."""
SETTLED_SHARE = 0.5
"""Only the second half of the hold window is judged: the first holds start-up and draining."""
REFERENCE = timedelta(hours=2)
"""The time before the incident opened that stands for normal."""
REFERENCE_GUARD = timedelta(minutes=15)
"""Left out right before the incident opened: the symptom was already growing."""
EXCESS_REMOVED = 0.5
"""A fix removes at least half of the excess over normal; less is not a recovery."""
RESIDUE = 0.05
"""A twentieth of the excess may be left in the judged window: queues and caches drain by halves over minutes."""
LEFT_FAILING = 0.005
"""But never more than half a percent of requests, a quarter of the platform's own gate."""
SAME_AS_NORMAL = 1.3
"""Within 30 % of normal counts as normal: the spread of five-minute p95 at steady load in the simulator is 10 %."""
WORSE_LATENCY = 1.25
WORSE_ERRORS = 0.02
"""Two points of error rate, or a quarter more latency, is worse beyond sampling noise."""
QUIET_SHARE = 0.2
"""Less than a fifth of the earlier traffic: the signal went quiet."""
THROTTLED_SHARE = 0.01
"""A throttled tenant's traffic falls on purpose, also at what it calls; only its disappearance is silence."""
MEMORY_UNIT = "MiB"
GROWTH_PER_HOUR = 1.0
"""Twice its normal size within an hour reaches most limits; what autoscaling and load move is a third of that."""
PAST_USUAL = 1.1
"""What starts fills up to its usual size; growth counts once it is a tenth beyond that (customary alerting slack)."""
RESTART_FALL = 0.9
"""A fall by a tenth from one minute to the next is a restart, not breathing."""
LATENCY_STATISTIC = "p95"
_MIN_SAMPLES = 3
Verdict = Literal["recovered", "unchanged", "worse", "quiet"]


@dataclass(frozen=True, slots=True)
class Level:
    """Medians of one service's signals over one window; None where nothing was seen."""

    latency_ms: float | None
    error_rate: float | None
    request_rate: float | None


def watch_list(topology: Topology, target: str, symptoms: Sequence[str]) -> tuple[str, ...]:
    """Return addresses of the services to watch: target and symptoms, then their callers up to the edge."""
    callers: dict[str, list[str]] = {}
    for edge in topology.edges:
        if edge.kind == "calls":
            callers.setdefault(edge.target, []).append(edge.source)
    hosted = [e.source for e in topology.edges if e.kind in {"runs_on", "secured_by"} and e.target == target]
    found: list[str] = []
    queue = [target, *symptoms, *hosted]
    while queue:
        address = queue.pop(0)
        if address in found:
            continue
        found.append(address)
        queue.extend(callers.get(address, ()))
    return tuple(a for a in found if a.startswith("service/"))


def levels(series: Sequence[MetricSeries], start: datetime, end: datetime) -> dict[str, Level]:
    """Return each entity's level over [start, end)."""
    samples: dict[tuple[str, str], list[float]] = {}
    for one in series:
        if one.kind not in {"latency", "errors", "traffic"} or (
            one.kind == "latency" and one.statistic != LATENCY_STATISTIC
        ):
            continue
        bucket = samples.setdefault((one.entity, one.kind), [])
        for index, value in enumerate(one.values):
            instant = one.start + timedelta(seconds=index * one.step_s)
            if value is not None and start <= instant < end:
                bucket.append(value)
    entities = {entity for entity, _ in samples}

    def level(entity: str, kind: str) -> float | None:
        bucket = samples.get((entity, kind), [])
        return median(bucket) if len(bucket) >= _MIN_SAMPLES else None

    return {e: Level(level(e, "latency"), level(e, "errors"), level(e, "traffic")) for e in sorted(entities)}


def growth_checks(
    series: Sequence[MetricSeries], watched: Sequence[str], normal: TimeRange, held: TimeRange
) -> tuple[Check, ...]:
    """Return a failed check for each watched service whose memory still grows as no healthy one's does.

    Restarts hide a leak: between two of them latency and errors look well. What is judged is the steepest stretch
    between falls that ends above the usual size, so that a restart inside the window does not average it away and one
    that only fills up again is not held against anybody.
    """
    checks: list[Check] = []
    for one in series:
        if one.entity not in watched or one.kind != "saturation" or one.unit != MEMORY_UNIT:
            continue
        usual, now = _values(one, normal), _values(one, held)
        if len(usual) < _MIN_SAMPLES:
            continue
        slope = _steepest(now, above=median(usual) * PAST_USUAL) * 60 / one.step_s
        bound = median(usual) * GROWTH_PER_HOUR / 60
        if slope > bound:
            text = f"memory still grows by {slope:.3g} MiB a minute: what looks well now is between two restarts"
            levels_of = {"before": median(usual), "after": now[-1], "bound": bound}
            checks.append(Check(entity=one.entity, metric=one.metric, **levels_of, ok=False, text=text))
    return tuple(checks)


def _values(one: MetricSeries, window: TimeRange) -> list[float]:
    instants = (one.start + timedelta(seconds=i * one.step_s) for i in range(len(one.values)))
    return [v for at, v in zip(instants, one.values, strict=True) if v is not None and window.holds(at)]


def _steepest(values: Sequence[float], *, above: float) -> float:
    """Return the median rise per step of the steepest stretch of at least three steps without a fall that ends above a
    level, 0 when there is none. The median is not moved by one step up, which is a restart or a wave of a rollout.
    """
    best, run = 0.0, list(values[:1])
    for value in (*values[1:], float("-inf")):
        if run and value >= run[-1] * RESTART_FALL:
            run.append(value)
            continue
        if len(run) > _MIN_SAMPLES and run[-1] > above:
            best = max(best, median(after - before for before, after in pairwise(run)))
        run = [value]
    return best


def judge(  # the five inputs of a verdict are all named
    command: Command,
    *,
    topology: Topology,
    watched: Sequence[str],
    normal: dict[str, Level],
    before: dict[str, Level],
    after: dict[str, Level],
    held: TimeRange,
    further: Sequence[Check] = (),
) -> Verification:
    """Return the verdict over all watched services and further checks: one worse or quiet outweighs any recovered."""
    checks: list[Check] = list(further)
    blank = Level(None, None, None)
    for address in watched:
        service = topology.service(address.partition("/")[2])
        slo = service.slo if service else Slo()
        levels_of = (normal.get(address, blank), before.get(address, blank), after.get(address, blank))
        throttled = command.kind == "tenant.throttle" and service is not None and _serves(service, command.target.id)
        floor = THROTTLED_SHARE if throttled else QUIET_SHARE
        checks += [
            _traffic(address, *levels_of, floor),
            _latency(address, slo, *levels_of),
            _errors(address, slo, *levels_of),
        ]
    verdict, reason = _verdict(checks)
    return Verification(
        command=command.id,
        verdict=verdict,
        checks=tuple(checks),
        started_at=held.start,
        ended_at=held.end,
        reason=reason,
    )


def _serves(service: RuntimeService, tenant: str) -> bool:
    """Tell whether a service is the tenant's own or is called by one that is."""
    return service.tenant == tenant or tenant in service.used_by


def _verdict(checks: Sequence[Check]) -> tuple[Verdict, str]:
    def named(wanted: str) -> list[str]:
        return [f"{c.entity} {c.metric}: {c.text}" for c in checks if c.text.startswith(wanted)]

    if worse := named("worse"):
        return "worse", "; ".join(worse[:3])
    if quiet := named("quiet"):
        return "quiet", "; ".join(quiet[:3])
    if bad := [c for c in checks if c.ok is False]:
        return "unchanged", "; ".join(f"{c.entity} {c.metric}: {c.text}" for c in bad[:3])
    if not any(c.ok for c in checks if c.metric != "request_rate"):
        return "quiet", "no signal of any watched service could be read"
    return "recovered", "every watched service is within its objective and back near normal"


def _traffic(address: str, normal: Level, before: Level, after: Level, floor: float) -> Check:
    """Judge against the lesser of normal and before: a surge that ends is no silence."""
    rates = [rate for rate in (normal.request_rate, before.request_rate) if rate is not None]
    earlier = min(rates, default=None)
    gone = earlier is not None and earlier > 0 and (after.request_rate is None or after.request_rate < floor * earlier)
    return Check(
        entity=address, metric="request_rate", before=earlier, after=after.request_rate,
        bound=None if earlier is None else floor * earlier, ok=None if gone or earlier is None else True,
        text="quiet: the traffic is gone, so its silence proves nothing" if gone else "traffic still flows",
    )  # fmt: skip


def _residue(usual: float | None, before: float | None) -> float:
    """How much may be left of an excess that a fix removed: taking such a fix back would bring all of it again."""
    return 0.0 if usual is None or before is None else RESIDUE * max(before - usual, 0.0)


def _latency(address: str, slo: Slo, normal: Level, before: Level, after: Level) -> Check:
    usual = normal.latency_ms
    bound = slo.latency_p95_ms if usual is None else max(slo.latency_p95_ms, usual * SAME_AS_NORMAL)
    bound += _residue(usual, before.latency_ms)
    return _compare(
        address, "latency_p95_ms", bound=bound, usual=usual, before=before.latency_ms, after=after.latency_ms,
        worse=None if before.latency_ms is None else before.latency_ms * WORSE_LATENCY, near=SAME_AS_NORMAL, slack=0.0,
    )  # fmt: skip


def _errors(address: str, slo: Slo, normal: Level, before: Level, after: Level) -> Check:
    usual, budget = normal.error_rate, 1 - slo.availability_target
    allowed = budget if usual is None else max(budget, usual * SAME_AS_NORMAL)
    noise = _counted(allowed, after.request_rate)
    allowed += min(_residue(usual, before.error_rate), LEFT_FAILING)
    return _compare(
        address, "error_rate", bound=allowed + noise, usual=usual, before=before.error_rate, after=after.error_rate,
        worse=None if before.error_rate is None else before.error_rate + WORSE_ERRORS, near=SAME_AS_NORMAL,
        slack=budget + noise,
    )  # fmt: skip


def _counted(share: float, request_rate: float | None) -> float:
    """Two standard deviations of a share counted over a minute's requests: a service with few shows no finer."""
    return 2.0 * (share / max(request_rate * 60.0, 1.0)) ** 0.5 if request_rate else 0.0


def _compare(  # noqa: PLR0913  # one comparison, each number named at the call
    address: str,
    metric: str,
    *,
    bound: float,
    usual: float | None,
    before: float | None,
    after: float | None,
    worse: float | None,
    near: float,
    slack: float,
) -> Check:
    ok: bool | None
    if after is None:
        ok, text = None, ("quiet: no samples after the effect" if before is not None else "never seen")
    elif worse is not None and after > worse and after > bound:
        ok, text = False, f"worse: {before:.3g} before, {after:.3g} after, bound {bound:.3g}"
    elif after > bound:
        ok, text = False, f"still outside its objective: {after:.3g} against {bound:.3g}"
    elif _still_in_excess(usual, before, after, near, slack):
        ok, text = (
            False,
            f"within its objective but not back: normal {usual:.3g}, before {before:.3g}, after {after:.3g}",
        )
    else:
        ok, text = True, f"{after:.3g} within {bound:.3g}"
    return Check(entity=address, metric=metric, before=before, after=after, bound=bound, ok=ok, text=text)


def _still_in_excess(usual: float | None, before: float | None, after: float, near: float, slack: float) -> bool:
    if usual is None or before is None or before <= usual * near + slack or after <= usual * near + slack:
        return False
    return (before - after) < EXCESS_REMOVED * (before - usual)
