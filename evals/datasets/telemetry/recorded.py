"""Recorded telemetry in the product's own vocabulary: what a loader makes of a foreign data set.

A `Recording` holds canonical events, topology, series, spans and logs of one case, and nothing about what was wrong.
It serves them through the reader ports, and as an evidence pack.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from domain.base import TimeRange, digest_of
from domain.catalogue import HealthDegraded
from domain.events import Dimensions, IncomingEvent
from domain.evidence import ChangeRecord, EvidencePack, LogPattern, MetricSeries, SignalKind, SpanStats
from domain.ids import EnvironmentId, EvidenceId, IncidentId, TenantId
from domain.incidents import Incident
from domain.topology import RuntimeService, Topology
from grounding.items import Shelf, in_order

TENANT = TenantId("recorded")
ENVIRONMENT = EnvironmentId("recorded")
UNCITED = EvidenceId("")
"""Evidence ids are given when a pack is made."""


@dataclass(frozen=True, slots=True)
class SymptomSeen:
    """What was noticed: entity address and kind of signal."""

    entity: str
    kind: SignalKind


@dataclass(frozen=True, slots=True)
class Recording:
    """Telemetry around one moment. `baseline` may lie anywhere in time; `current` holds the moment `at`."""

    at: datetime
    baseline: TimeRange
    current: TimeRange
    topology: Topology
    events: tuple[IncomingEvent, ...] = ()
    series: tuple[MetricSeries, ...] = ()
    logs: tuple[LogPattern, ...] = ()
    spans: tuple[SpanStats, ...] = ()
    changes: tuple[ChangeRecord, ...] = ()

    def packs(self, symptoms: Sequence[SymptomSeen]) -> tuple[EvidencePack, ...]:
        """Return an evidence pack per symptom, all of the same evidence; every item gets id, digest and trust."""
        shelf = Shelf(TimeRange(start=min(self.baseline.start, self.current.start), end=self.current.end))
        series, logs = shelf.series(self.series), shelf.logs(self.logs)
        spans, changes = shelf.spans(self.spans), shelf.changes(self.changes)
        shelf.topology(self.topology)
        items = tuple(in_order(shelf.items.values()))
        first = EvidencePack(
            incident=self._incident(symptoms[0]),
            tenant=TENANT,
            environment=ENVIRONMENT,
            at=self.at,
            baseline=self.baseline,
            current=self.current,
            symptom=symptoms[0].entity,
            symptom_kind=symptoms[0].kind,
            items=items,
            topology=self.topology,
            series=series,
            logs=logs,
            spans=spans,
            changes=changes,
        )
        others = (
            {"incident": self._incident(one), "symptom": one.entity, "symptom_kind": one.kind} for one in symptoms[1:]
        )
        return (first, *(first.model_copy(update=update) for update in others))

    def _incident(self, symptom: SymptomSeen) -> Incident:
        return Incident(
            id=IncidentId("recorded"),
            tenant=TENANT,
            environment=ENVIRONMENT,
            title=f"{symptom.kind} of {symptom.entity}",
            severity="error",
            status="open",
            fingerprint=digest_of({"entity": symptom.entity, "kind": symptom.kind}),
            opened_at=self.at,
            last_event_at=self.at,
            entities=(symptom.entity,),
        )


def recorded_service(name: str) -> RuntimeService:
    """Return a service about which the data says nothing but its name."""
    return RuntimeService(
        id=name, tenant=TENANT, environment=ENVIRONMENT, compute_target="recorded", owner_team="unknown"
    )


def noticed(symptom: SymptomSeen, at: datetime, series: Sequence[MetricSeries]) -> IncomingEvent:
    """Return the event a health gate would have sent: the watched series' worst sample against its usual 95 %.

    `series` holds baseline and current readings; the older one of the symptom's entity and kind is the baseline.
    """
    watched = [one for one in series if one.entity == symptom.entity and one.kind == symptom.kind]
    now = [one for one in watched if one.start <= at < one.start + timedelta(seconds=len(one.values) * one.step_s)]
    bad = min if symptom.kind == "availability" else max
    quantile = 0.05 if symptom.kind == "availability" else 0.95
    seen = [value for one in now[:1] for value in one.values if value is not None]
    same = {(one.metric, one.statistic) for one in now[:1]}
    before = [one for one in watched if one not in now and (one.metric, one.statistic) in same]
    usual = [value for one in before for value in one.values if value is not None]
    service = symptom.entity.partition("/")[2]
    data = HealthDegraded(
        service=service,
        signal="availability" if symptom.kind == "availability" else "latency",
        observed=bad(seen, default=0.0),
        threshold=float(np.quantile(usual, quantile)) if usual else 0.0,
        unit=now[0].unit if now else "",
        message="left its usual range",
    )
    return IncomingEvent(
        source="recorded/metrics",
        type="runtime.health.degraded.v1",
        subject=symptom.entity,
        time=at,
        dimensions=Dimensions(serviceid=service, severity="error"),
        data=data.model_dump(mode="json"),
    )


class RecordedReader:
    """Serves a recording through the ports of the runtime's readers."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    async def topology(self, environment: EnvironmentId) -> Topology:
        return self._recording.topology

    async def series(
        self, environment: EnvironmentId, entities: Sequence[str], start: datetime, end: datetime
    ) -> tuple[MetricSeries, ...]:
        """Return whole series; the pack's windows cut them."""
        wanted = set(entities)
        return tuple(one for one in self._recording.series if not wanted or one.entity in wanted)

    async def changes(self, environment: EnvironmentId, start: datetime, end: datetime) -> tuple[ChangeRecord, ...]:
        return tuple(one for one in self._recording.changes if start <= one.at < end)

    async def logs(
        self, environment: EnvironmentId, start: datetime, split: datetime, end: datetime
    ) -> tuple[LogPattern, ...]:
        return self._recording.logs

    async def spans(
        self, environment: EnvironmentId, start: datetime, split: datetime, end: datetime
    ) -> tuple[SpanStats, ...]:
        return self._recording.spans
