"""Turns what readers return into citable items: id from digest, source, trust, one line of text.

The same reading always gets the same id, so that a diagnosis made twice cites the same evidence.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from typing import TypeVar

import numpy as np
from pydantic import BaseModel, JsonValue

from domain.base import Digest, TimeRange, Trust, digest_of
from domain.desired import DesiredState
from domain.events import Event
from domain.evidence import (
    ChangeRecord,
    Evidence,
    EvidenceKind,
    LogPattern,
    MetricSeries,
    OpenCommand,
    PastOutcome,
    SpanStats,
)
from domain.ids import EvidenceId
from domain.topology import Topology

Cited = TypeVar("Cited", MetricSeries, LogPattern, SpanStats, ChangeRecord, PastOutcome, OpenCommand)


def evidence_id(digest: Digest) -> EvidenceId:
    """Return the id of an item: sixteen hex digits of its digest (64 bits: no collisions within a pack)."""
    return EvidenceId(f"ev-{digest.removeprefix('sha256:')[:16]}")


@dataclass(slots=True)
class Shelf:
    """Collects the items of one pack; the same item twice is kept once."""

    whole: TimeRange
    items: dict[EvidenceId, Evidence] = field(default_factory=dict[EvidenceId, Evidence])

    def put(
        self, kind: EvidenceKind, source: str, digest: Digest, trust: Trust, text: str, window: TimeRange | None = None
    ) -> EvidenceId:
        """Add one item and return its id."""
        key = evidence_id(digest)
        item = Evidence(
            id=key, kind=kind, source=source, digest=digest, trust=trust, window=window or self.whole, text=text[:500]
        )
        self.items.setdefault(key, item)
        return key

    def symptom(self, event: Event, title: str) -> EvidenceId:
        """A symptom event of the log."""
        window = TimeRange(start=event.time, end=event.time + timedelta(seconds=1))
        digest = digest_of({"event": event.key, "body": event.body_digest})
        return self.put("symptom", f"event:{event.key}", digest, event.trust, title, window)

    def series(self, rows: Iterable[MetricSeries]) -> tuple[MetricSeries, ...]:
        """Metric windows, platform trust: numbers only, measured by the platform."""
        return tuple(
            _cite(
                row, self.put("metric", f"telemetry:{row.entity}/{row.metric}", _series_digest(row), "platform", text)
            )
            for row in rows
            for text in [f"{row.entity} {row.metric} {row.statistic}, {len(row.values)} samples of {row.step_s} s"]
        )

    def changes(self, rows: Iterable[ChangeRecord]) -> tuple[ChangeRecord, ...]:
        """Entries of the platform's change feed."""
        return tuple(
            _cite(row, self.put("change", f"changes:{row.entity}", _digest(row), "platform", text, window))
            for row in rows
            for text in [
                f"{row.kind} of {row.entity} at {row.at:%H:%M:%S}: {_short(row.before)} -> {_short(row.after)}"
            ]
            for window in [TimeRange(start=row.at, end=row.at + timedelta(seconds=1))]
        )

    def logs(self, rows: Iterable[LogPattern]) -> tuple[LogPattern, ...]:
        """Log templates. Whoever writes a log line chooses its text: untrusted."""
        return tuple(
            _cite(row, self.put("log", f"logs:{row.entity}", _digest(row), "untrusted", text))
            for row in rows
            for text in [
                f"{row.entity} {row.severity} x{row.current_count} (before x{row.baseline_count}): {row.template}"
            ]
        )

    def spans(self, rows: Iterable[SpanStats]) -> tuple[SpanStats, ...]:
        """Span statistics: the sender chooses operation names, the platform's proxies measure the times."""
        return tuple(
            _cite(row, self.put("trace", f"traces:{row.entity}", _digest(row), "platform", text))
            for row in rows
            for text in [f"{row.entity} {row.operation}: {len(row.current_self_ms)} spans now"]
        )

    def past(self, rows: Iterable[PastOutcome]) -> tuple[PastOutcome, ...]:
        """Verified outcomes of similar incidents."""
        return tuple(
            _cite(row, self.put("past", f"lesson:{row.incident}", _digest(row), "platform", text))
            for row in rows
            for text in [f"{row.fault_class}: {row.command_kind} {'worked' if row.worked else 'did not work'}"]
        )

    def commands(self, rows: Iterable[OpenCommand]) -> tuple[OpenCommand, ...]:
        """Commands on overlapping resources."""
        return tuple(
            _cite(row, self.put("command", f"command:{row.command}", _digest(row), "platform", text))
            for row in rows
            for text in [f"{row.kind} on {row.target} is {row.state}"]
        )

    def topology(self, topology: Topology) -> EvidenceId:
        """The topology snapshot as one item."""
        text = f"{len(topology.services)} services, {len(topology.edges)} dependencies"
        source = f"runtime:{topology.environment}/topology"
        return self.put("topology", source, digest_of(topology), "platform", text)

    def desired(self, desired: DesiredState) -> EvidenceId:
        """The desired-state document as one item."""
        source = f"runtime:{desired.environment}/desired"
        return self.put("desired", source, digest_of(desired), "platform", f"desired state version {desired.version}")


def _cite(row: Cited, key: EvidenceId) -> Cited:
    return row.model_copy(update={"evidence": key})


def _digest(row: BaseModel) -> Digest:
    return digest_of(row.model_dump(mode="json", exclude={"evidence"}))


def _series_digest(row: MetricSeries) -> Digest:
    """Samples enter as one hash over their IEEE 754 bytes: thousands of decimal renderings would cost seconds."""
    samples = np.array([np.nan if v is None else v for v in row.values], dtype="<f8")
    head = row.model_dump(mode="json", exclude={"evidence", "values"})
    return digest_of({**head, "samples": sha256(samples.tobytes()).hexdigest()})


def _short(value: JsonValue) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def in_order(items: Iterable[Evidence]) -> Sequence[Evidence]:
    """Return items by kind and id, so that equal packs are equal values."""
    return sorted(items, key=lambda item: (item.kind, item.id))
