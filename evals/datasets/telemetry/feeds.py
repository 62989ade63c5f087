"""A case as intake would have been given it: metric points, log lines, spans, and one event per symptom.

The quiet period that a data set gives may lie anywhere in time; it is dated so that it ends where the window begins,
and store and readers see one history. Case ids, labels and file names stay out of it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from analysis.spans import SpanRow
from domain.base import Severity
from domain.catalogue import AlertFired
from domain.events import IncomingEvent
from domain.ids import EnvironmentId, TenantId
from domain.intake import LogRecord, MetricPoint, SpanRecord
from domain.tenancy import Residency, RuntimeTenantBinding
from domain.topology import Topology
from evals.datasets.telemetry.cases import Case
from evals.datasets.telemetry.recorded import Recording, SymptomSeen, recorded_service
from grounding.packs import Windows
from mesh.observed import Observed

TENANT = TenantId("replay")
ENVIRONMENT = EnvironmentId("replay")
SOURCE = "recorded"
NOWHERE = "unknown"
"""Region and compute target: the data says nothing of them."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class LogLine(NamedTuple):
    """One log line of an entity."""

    at: datetime
    entity: str
    severity: Severity
    text: str


@dataclass(frozen=True, slots=True)
class Lines:
    """Raw logs and spans of a case: `quiet` ones of a fault-free stretch, `window` ones of the window itself."""

    quiet_s: int
    """Length of the stretch."""
    quiet_logs: tuple[LogLine, ...]
    quiet_spans: tuple[SpanRow, ...]
    logs: tuple[LogLine, ...]
    spans: tuple[SpanRow, ...]


@dataclass(frozen=True, slots=True)
class Feed:
    """What intake is given for one case, in order of time, and what is known of the environment."""

    case: Case
    observed: Observed
    points: tuple[MetricPoint, ...]
    logs: tuple[LogRecord, ...]
    spans: tuple[SpanRecord, ...]
    events: tuple[IncomingEvent, ...]
    start: datetime
    end: datetime
    """When the window is over."""


def feed_of(case: Case, lines: Lines | None = None) -> Feed:
    """Return the feed of a case; entities of `lines` are addresses as in the case's recording."""
    recording = case.recording
    points = sorted(_points(recording), key=lambda point: point.at)
    logs, spans = _told(recording, lines) if lines is not None else ((), ())
    observed = Observed(
        topology=_topology(recording, {point.entity for point in points}),
        binding=RuntimeTenantBinding(
            tenant=TENANT, environment=ENVIRONMENT, isolation="dedicated", primary_region=NOWHERE,
            residency=Residency(allowed_regions=()), budget_usd_per_month=0.0, autonomy="propose",
        ),
        step_s=min((one.step_s for one in recording.series), default=60),
        windows=Windows(
            lead=recording.at - recording.current.start,
            baseline=recording.baseline.end - recording.baseline.start,
            lines=None if lines is None else timedelta(seconds=lines.quiet_s),
        ),
    )  # fmt: skip
    return Feed(
        case=case, observed=observed, points=tuple(points), logs=tuple(logs), spans=tuple(spans),
        events=tuple(_event(*pair) for pair in zip(case.symptoms, recording.events, strict=True)),
        start=min([recording.current.start, *(point.at for point in points[:1])]), end=recording.current.end,
    )  # fmt: skip


def _points(recording: Recording) -> Iterator[MetricPoint]:
    """Yield every sample, those of the quiet period dated to lie right before the window."""
    shift = recording.current.start - recording.baseline.end
    for one in recording.series:
        for place, value in enumerate(one.values):
            at = one.start + timedelta(seconds=place * one.step_s)
            if value is not None:
                yield MetricPoint(
                    environment=ENVIRONMENT, entity=one.entity, metric=one.metric, kind=one.kind,
                    statistic=one.statistic, unit=one.unit, value=value,
                    at=at + shift if recording.baseline.holds(at) else at,
                )  # fmt: skip


def _told(recording: Recording, lines: Lines) -> tuple[list[LogRecord], list[SpanRecord]]:
    """Return logs and spans in order of time, the quiet ones dated right before the window."""
    firsts = [line.at for line in lines.quiet_logs] + [instant(span.start_ns) for span in lines.quiet_spans]
    begun = min(firsts, default=recording.current.start)
    shift = recording.current.start - timedelta(seconds=lines.quiet_s) - begun
    logs = [*(_record(line, shift) for line in lines.quiet_logs), *(_record(line) for line in lines.logs)]
    spans = [*(_span(span, shift) for span in lines.quiet_spans), *(_span(span) for span in lines.spans)]
    return sorted(logs, key=lambda line: line.at), sorted(spans, key=lambda span: span.start_ns)


def _record(line: LogLine, shift: timedelta = timedelta(0)) -> LogRecord:
    return LogRecord(
        environment=ENVIRONMENT, entity=line.entity, at=line.at + shift, severity=line.severity, message=line.text
    )


def _span(span: SpanRow, shift: timedelta = timedelta(0)) -> SpanRecord:
    shift_ns = shift // timedelta(microseconds=1) * 1000
    return SpanRecord(
        environment=ENVIRONMENT, trace_id=span.trace_id, span_id=span.span_id, parent_id=span.parent_id or None,
        entity=span.entity, operation=span.operation, start_ns=span.start_ns + shift_ns,
        end_ns=span.end_ns + shift_ns, error=span.failed,
    )  # fmt: skip


def instant(time_ns: int) -> datetime:
    """Return the instant of epoch nanoseconds."""
    return _EPOCH + timedelta(microseconds=time_ns // 1000)


def _topology(recording: Recording, measured: Iterable[str]) -> Topology:
    """Return the call graph as ours to look after, with everything that is measured in it."""
    known = {service.id for service in recording.topology.services}
    others = sorted({entity.partition("/")[2] for entity in measured} - known)
    services = [*recording.topology.services, *(recorded_service(name) for name in others)]
    mine = tuple(one.model_copy(update={"tenant": TENANT, "environment": ENVIRONMENT}) for one in services)
    return recording.topology.model_copy(update={"environment": ENVIRONMENT, "services": mine})


def _event(symptom: SymptomSeen, noticed: IncomingEvent) -> IncomingEvent:
    """Return what a monitor would have sent: a health event, or an alert where the kind of signal is unknown."""
    placed = noticed.model_copy(
        update={"dimensions": noticed.dimensions.model_copy(update={"environmentid": ENVIRONMENT})}
    )
    if symptom.kind != "other":
        return placed
    alert = AlertFired(
        alert="complaints", status="firing", labels={"service": symptom.entity.partition("/")[2]},
        annotations={"summary": "its users complain"}, starts_at=noticed.time,
    )  # fmt: skip
    return placed.model_copy(update={"type": "runtime.alert.v1", "data": alert.model_dump(mode="json")})
