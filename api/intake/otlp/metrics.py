"""OTLP metrics as metric points. One data point becomes one point per statistic it holds.

A gauge is its value (`avg`). A cumulative sum stays a running `total`; a delta is a `delta`. Histograms give count,
sum and, where they are deltas, `avg` and an interpolated `p95`. A point's own attributes become part of the name, so
two series are never averaged into one.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AGGREGATION_TEMPORALITY_CUMULATIVE,
    DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK,
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    SummaryDataPoint,
)
from pydantic import ValidationError

from api.intake.otlp.resource import Mapped, Origin, origin_of, texts, why
from domain.evidence import SignalKind
from domain.intake import MetricPoint
from domain.principals import EventSourceKey

Point = NumberDataPoint | HistogramDataPoint | ExponentialHistogramDataPoint | SummaryDataPoint
KINDS: tuple[tuple[str, SignalKind], ...] = (
    ("error", "errors"),
    ("fail", "errors"),
    ("duration", "latency"),
    ("latency", "latency"),
    ("up", "availability"),
    ("cpu", "saturation"),
    ("memory", "saturation"),
    ("utilization", "saturation"),
    ("usage", "saturation"),
    ("queue", "saturation"),
    ("request", "traffic"),
    ("connections", "saturation"),
)
"""Words of a metric's name (OpenTelemetry semantic conventions) and the signal it is; first found wins."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read(request: ExportMetricsServiceRequest, sender: EventSourceKey) -> Mapped[MetricPoint]:
    """Return every point of the request."""
    mapped: Mapped[MetricPoint] = Mapped()
    for group in request.resource_metrics:
        origin = origin_of(group.resource, sender)
        for metric in (metric for scope in group.scope_metrics for metric in scope.metrics):
            points = _points(metric)
            if origin is None:
                mapped.refuse("cross_tenant", "the resource names a tenant this credential does not hold", len(points))
                continue
            for point in points:
                try:
                    mapped.put(origin, list(_values(origin, metric, point)))
                except (ValidationError, OverflowError) as error:
                    detail = why(error) if isinstance(error, ValidationError) else "time out of range"
                    mapped.refuse("invalid", detail)
    return mapped


def _points(metric: Metric) -> list[Point]:
    match metric.WhichOneof("data"):
        case "gauge":
            return list(metric.gauge.data_points)
        case "sum":
            return list(metric.sum.data_points)
        case "histogram":
            return list(metric.histogram.data_points)
        case "exponential_histogram":
            return list(metric.exponential_histogram.data_points)
        case "summary":
            return list(metric.summary.data_points)
        case _:
            return []


def _values(origin: Origin, metric: Metric, point: Point) -> Iterator[MetricPoint]:
    if point.flags & DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK:
        return  # a staleness marker: it says that there is no value
    name = _named(metric.name, texts(point.attributes))
    at = _EPOCH + timedelta(microseconds=point.time_unix_nano // 1000)
    for statistic, value in _statistics(metric, point):
        yield MetricPoint(
            environment=origin.environment,
            entity=origin.entity,
            metric=name,
            kind=_kind(metric.name),
            statistic=statistic,
            unit=metric.unit,
            at=at,
            value=value,
        )


def _statistics(metric: Metric, point: Point) -> Iterator[tuple[str, float]]:
    if isinstance(point, NumberDataPoint):
        value = point.as_double if point.WhichOneof("value") == "as_double" else float(point.as_int)
        yield _sum_statistic(metric), value
    elif isinstance(point, SummaryDataPoint):
        yield "count_total", float(point.count)
        yield "sum_total", point.sum
        for quantile in point.quantile_values:
            yield f"p{quantile.quantile * 100:g}", quantile.value
    else:
        yield from _histogram(point, cumulative=_is_cumulative(metric))


def _histogram(
    point: HistogramDataPoint | ExponentialHistogramDataPoint, *, cumulative: bool
) -> Iterator[tuple[str, float]]:
    suffix = "_total" if cumulative else ""
    yield f"count{suffix}", float(point.count)
    if point.HasField("sum"):
        yield f"sum{suffix}", point.sum
    if cumulative or not point.count:
        return
    if point.HasField("sum"):
        yield "avg", point.sum / point.count
    if isinstance(point, HistogramDataPoint) and point.explicit_bounds:
        yield "p95", _quantile(list(point.explicit_bounds), list(point.bucket_counts), 0.95)


def _quantile(bounds: list[float], counts: list[int], share: float) -> float:
    """Interpolate within the bucket (as Prometheus' histogram_quantile); the last bucket answers its lower bound."""
    rank = share * sum(counts)
    below = 0
    for upper, lower, count in zip(bounds, [0.0, *bounds], counts, strict=False):
        if below + count >= rank and count:
            start = min(lower, upper)
            return start + (upper - start) * (rank - below) / count
        below += count
    return bounds[-1]


def _sum_statistic(metric: Metric) -> str:
    if metric.WhichOneof("data") != "sum":
        return "avg"
    if not _is_cumulative(metric):
        return "delta"
    return "total" if metric.sum.is_monotonic else "avg"


def _is_cumulative(metric: Metric) -> bool:
    match metric.WhichOneof("data"):
        case "sum":
            return metric.sum.aggregation_temporality == AGGREGATION_TEMPORALITY_CUMULATIVE
        case "histogram":
            return metric.histogram.aggregation_temporality == AGGREGATION_TEMPORALITY_CUMULATIVE
        case _:
            return metric.exponential_histogram.aggregation_temporality == AGGREGATION_TEMPORALITY_CUMULATIVE


def _named(name: str, attributes: dict[str, str]) -> str:
    if not attributes:
        return name
    return name + "{" + ",".join(f"{key}={attributes[key]}" for key in sorted(attributes)) + "}"


def _kind(name: str) -> SignalKind:
    words = name.lower().replace("_", ".").split(".")
    for word, kind in KINDS:
        if any(part.startswith(word) for part in words):
            return kind
    return "other"
