"""One look at a release: readings of two versions in, what to do out. Pure; the judge is `analysis.canary`."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from analysis.canary import FALSE_ALARM, ONE_AFTER_THE_OTHER, Amounts, Events, judge, split_p_value
from domain.policies import JudgedMetric, ReleasePolicy
from domain.releases import Look, ReleaseState, VersionReading

# Users do not notice a twentieth of latency; a tenth of memory and CPU is within what sizing allows for.
TOLERANCES: dict[JudgedMetric, float] = {"latency_ms": 0.05, "memory_mib": 0.10, "cpu_ms": 0.10}
ERROR_TOLERANCE = 0.005
# A split that is off by less than this, of the written share or in points, harms nobody whatever its significance.
SPLIT_TOLERANCE, SPLIT_POINTS = 0.2, 0.01
ENOUGH = 30
"""Requests below which a limit is not held against anybody."""


def look_at(
    state: ReleaseState, former: VersionReading, candidate: VersionReading, at: datetime, *, held: bool
) -> Look:
    """Return the next look of a release; `held` says that its step has lasted as long as planned.

    `former` is what the former version did, beside the candidate or, blue-green, before the switch.
    """
    plan, number = state.plan, state.looks + 1
    total = former.requests + candidate.requests
    written = 0.0 if state.written is None else state.written.share
    observed = candidate.requests / total if total and plan.strategy != "blue_green" else written

    def said(action: str, reasons: Sequence[str]) -> Look:
        return Look.model_validate({
            "at": at, "number": number, "share_written": written, "share_observed": observed, "requests": total,
            "action": action, "reasons": tuple(reasons),
        })  # fmt: skip

    if plan.strategy == "canary" and (broken := _broken(candidate.requests, total, written, number)):
        return said("split_broken", [broken])
    if beyond := _beyond(plan, candidate):
        return said("limit", beyond)
    verdict = judge(_metrics(plan, former, candidate), look=number, blind=state.blind if held else -1)
    reasons = [str(r) for r in verdict.reasons] + [f"{name}: too little is measured" for name in verdict.missing]
    action = "continue" if verdict.action == "promote" and not held else verdict.action
    return said(action, reasons)


def _broken(candidate: int, total: int, written: float, look: int) -> str:
    """Tell how the split that is served differs from the one that is written; empty where it holds."""
    if total < ENOUGH:
        return ""
    off = abs(candidate / total - written)
    unlikely = split_p_value(candidate, total, written) < FALSE_ALARM / (look * (look + 1))
    if unlikely and off > max(SPLIT_TOLERANCE * written, SPLIT_POINTS):
        return f"{written:.1%} of requests are to reach the candidate, {candidate / total:.1%} of {total} do"
    return ""


def _beyond(plan: ReleasePolicy, candidate: VersionReading) -> list[str]:
    found: list[str] = []
    share, most = candidate.failed / max(candidate.requests, 1), plan.limits.max_error_share
    if most is not None and candidate.requests >= ENOUGH and share > most:
        found.append(f"{share:.1%} of requests fail, at most {most:.1%} may")
    slowest = plan.limits.max_latency_p95_ms
    if slowest is not None and len(candidate.latency_ms) >= ENOUGH:
        p95 = float(np.quantile(candidate.latency_ms, 0.95))
        found += [f"p95 is {p95:.0f} ms, at most {slowest:.0f} ms may be"] if p95 > slowest else []
    return found


def _metrics(plan: ReleasePolicy, former: VersionReading, candidate: VersionReading) -> tuple[Amounts | Events, ...]:
    allowed = ONE_AFTER_THE_OTHER if plan.strategy == "blue_green" else 1.0
    found: list[Amounts | Events] = []
    for metric in dict.fromkeys(plan.metrics):
        if metric == "errors":
            of = [(reading.failed, reading.requests) for reading in (former, candidate)]
            found.append(Events(metric, of[0], of[1], allowed * ERROR_TOLERANCE))
        else:
            sides = [np.array(getattr(reading, metric), dtype=np.float64) for reading in (former, candidate)]
            found.append(Amounts(metric, sides[0], sides[1], allowed * TOLERANCES[metric]))
    return tuple(found)
