"""One look at a tenant whose pack was upgraded: what its services did before and do now, before the judge of releases.

Nothing of the old version runs beside the new one, so that before and after are compared, with the tolerances of a
release that is switched at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from analysis.canary import MIN_SAMPLES, ONE_AFTER_THE_OTHER, Amounts, Events, Verdict, judge
from domain.ids import EnvironmentId
from domain.releases import ServiceReading
from runtime.ports import TrafficPlane

LOOK_EVERY = timedelta(seconds=60)
"""As releases are looked at."""
# What came before is a look at other users and another load; a leak shows in the latest minutes.
WINDOW = timedelta(minutes=15)
LATENCY_TOLERANCE, ERROR_TOLERANCE = ONE_AFTER_THE_OTHER * 0.05, ONE_AFTER_THE_OTHER * 0.005
"""Twice what a release allows whose versions run side by side."""


@dataclass(frozen=True, slots=True)
class Span:
    """From `start` up to and without `end`."""

    start: datetime
    end: datetime


async def look_at(  # what one look is at
    plane: TrafficPlane, environment: EnvironmentId, services: Sequence[str], before: Span, after: Span,
    *, look: int, blind: int,
) -> Verdict:  # fmt: skip
    """Judge the tenant's services after the target held the upgrade against as long before it was written.

    `look` and `blind` are the judge's.
    """
    metrics: list[Amounts | Events] = []
    for service in services:
        former = await plane.served(environment, service, before.start, before.end)
        if min(former.requests, len(former.latency_ms)) < MIN_SAMPLES:
            continue  # what served nobody before cannot serve them worse
        metrics += _metrics(service, former, await plane.served(environment, service, after.start, after.end))
    return judge(tuple(metrics), look=look, blind=blind)


def _metrics(service: str, before: ServiceReading, after: ServiceReading) -> tuple[Amounts | Events, ...]:
    latency = [np.array(reading.latency_ms, dtype=np.float64) for reading in (before, after)]
    return (
        Amounts(f"{service} latency_ms", latency[0], latency[1], LATENCY_TOLERANCE),
        Events(f"{service} errors", (before.failed, before.requests), (after.failed, after.requests), ERROR_TOLERANCE),
    )
