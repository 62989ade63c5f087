"""Figures that hypotheses and safeguards look at: one statistic of one series over the last minutes."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from domain.evidence import MetricSeries
from domain.ids import EnvironmentId
from domain.ports import TelemetryReader
from domain.topology import Topology
from runtime.services.chaos.providers import Measure, Safeguard


async def measure(
    asked: Measure | Safeguard, environment: EnvironmentId, topology: Topology, reader: TelemetryReader, at: datetime
) -> float | None:
    """Return the figure, None where nothing was measured. Raises Unavailable."""
    burns = asked.metric == "slo_burn_rate"
    start = at - timedelta(seconds=asked.window_s)
    series = await reader.series(environment, [asked.entity], start, at)
    found = _statistic(series, asked.entity, "error_rate" if burns else asked.metric, asked.statistic)
    if found is None or not burns:
        return found
    service = topology.service(asked.entity.partition("/")[2])
    # Burn rate: the error rate over the one that would just use the budget up (SRE workbook, chapter 5).
    return None if service is None else found / (1.0 - service.slo.availability_target)


def _statistic(series: Sequence[MetricSeries], entity: str, metric: str, statistic: str) -> float | None:
    one = next((s for s in series if s.entity == entity and s.metric == metric), None)
    values = [v for v in one.values if v is not None] if one is not None else []
    if not values:
        return None
    match statistic:
        case "min":
            return min(values)
        case "max":
            return max(values)
        case "last":
            return values[-1]
        case _:
            return sum(values) / len(values)
