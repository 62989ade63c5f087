"""Self time from traces, and who is to blame for its growth.

Each instant of a trace belongs to the span that started last among those running, so siblings that overlap (an
asynchronous filter beside the call it waits for) are not counted twice. A visit of an entity is a connected run of
its spans; time of a span that waits for another entity is kept apart as the edge between the two.
Blame follows spectrum-based fault localisation (Ochiai): an entity is guilty when most of the slow time touches it
and most of what touches it is slow.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.signals import Floats, SpanShift

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class SpanTable:
    """Spans as columns: parent is a row number or -1 (root, or its parent was lost); times in nanoseconds."""

    trace: Ints
    parent: Ints
    entity: Ints
    operation: Ints
    start_ns: Ints
    end_ns: Ints
    failed: NDArray[np.bool_]
    entities: tuple[str, ...]
    operations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SpanRow:
    """One span as it is read; `parent_id` empty for a root."""

    trace_id: str
    span_id: str
    parent_id: str
    entity: str
    operation: str
    start_ns: int
    end_ns: int
    failed: bool = False


class _Codes:
    def __init__(self) -> None:
        self.seen: dict[str, int] = {}

    def __call__(self, name: str) -> int:
        return self.seen.setdefault(name, len(self.seen))


def table(rows: Sequence[SpanRow]) -> SpanTable:
    """Build columns; a span whose parent is not among the rows (truncated trace) becomes a root of its own."""
    index = {(row.trace_id, row.span_id): number for number, row in enumerate(rows)}
    traces, entities, operations = _Codes(), _Codes(), _Codes()
    return SpanTable(
        trace=np.array([traces(row.trace_id) for row in rows], np.int64),
        parent=np.array([index.get((row.trace_id, row.parent_id), -1) for row in rows], np.int64),
        entity=np.array([entities(row.entity) for row in rows], np.int64),
        operation=np.array([operations(row.operation) for row in rows], np.int64),
        start_ns=np.array([row.start_ns for row in rows], np.int64),
        end_ns=np.array([max(row.end_ns, row.start_ns) for row in rows], np.int64),
        failed=np.array([row.failed for row in rows], np.bool_),
        entities=tuple(entities.seen),
        operations=tuple(operations.seen),
    )


def exclusive_ns(spans: SpanTable) -> Ints:
    """Return the time each span owns: instants at which it is the latest-started running span of its trace."""
    own = np.zeros(len(spans.trace), np.int64)
    order = np.lexsort((-spans.end_ns, spans.start_ns, spans.trace))
    starts, ends = spans.start_ns.tolist(), spans.end_ns.tolist()
    bounds = np.flatnonzero(np.diff(spans.trace[order], prepend=-1, append=-1))
    for low, high in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        _sweep(order[low:high].tolist(), starts, ends, own)
    return own


def _sweep(order: list[int], starts: list[int], ends: list[int], own: Ints) -> None:
    """Walk one trace's spans in order of start; the heap's top is the running span that started last."""
    running: list[tuple[int, int]] = []
    now = starts[order[0]]
    for rank, span in enumerate([*order, -1]):
        until = starts[span] if span >= 0 else None
        while running and (until is None or now < until):
            _, top = running[0]
            if ends[top] <= now:
                heapq.heappop(running)
                continue
            stop = ends[top] if until is None else min(ends[top], until)
            own[top] += stop - now
            now = stop
        if until is not None:
            now = max(now, until)
            heapq.heappush(running, (-rank, span))


def entries(spans: SpanTable) -> Ints:
    """Return for each span the span through which its visit of the entity began (pointer jumping, log depth)."""
    own = np.arange(len(spans.parent))
    has_parent = spans.parent >= 0
    parent = np.where(has_parent, spans.parent, own)
    entry = np.where(has_parent & (spans.entity[parent] == spans.entity), parent, own)
    while True:
        further = entry[entry]
        if np.array_equal(further, entry):
            return entry
        entry = further


def peers(spans: SpanTable) -> Ints:
    """Return for each span the other entity it waits for (that of its first child elsewhere), or -1."""
    peer = np.full(len(spans.parent), -1, np.int64)
    crossing = np.flatnonzero((spans.parent >= 0) & (spans.entity[spans.parent] != spans.entity))
    latest_first = crossing[np.argsort(-spans.start_ns[crossing], kind="stable")]
    peer[spans.parent[latest_first]] = spans.entity[latest_first]
    return peer


Samples = dict[tuple[str, str, str], tuple[Floats, int]]
"""(entity, operation, peer or empty) -> (self times in ms, failed spans)."""


def self_times(spans: SpanTable) -> Samples:
    """Return one sample per visit (time inside the entity, under its entry operation) and one per call to a peer."""
    if not len(spans.trace):
        return {}
    own_ms = exclusive_ns(spans) / 1e6
    entry, peer = entries(spans), peers(spans)
    local = np.where(peer < 0, own_ms, 0.0)
    visit_ms = np.bincount(entry, weights=local, minlength=len(entry))
    chosen = np.flatnonzero((entry == np.arange(len(entry))) | (peer >= 0))
    found: dict[tuple[str, str, str], list[tuple[float, bool]]] = {}
    for span in map(int, chosen):
        name, operation = spans.entities[int(spans.entity[span])], spans.operations[int(spans.operation[span])]
        if entry[span] == span:
            found.setdefault((name, operation, ""), []).append((float(visit_ms[span]), bool(spans.failed[span])))
        if peer[span] >= 0:
            during = spans.operations[int(spans.operation[entry[span]])]
            key = (name, during, spans.entities[int(peer[span])])
            found.setdefault(key, []).append((float(own_ms[span]), bool(spans.failed[span])))
    return {key: (np.array([ms for ms, _ in held]), sum(failed for _, failed in held)) for key, held in found.items()}


def shifts(baseline: Samples, current: Samples) -> tuple[SpanShift, ...]:
    """Pair the self times of two windows by entity, operation and peer."""
    none: tuple[Floats, int] = (np.zeros(0), 0)
    keys = sorted(baseline.keys() | current.keys())
    return tuple(
        SpanShift(
            entity=key[0],
            operation=key[1],
            peer=key[2],
            baseline=baseline.get(key, none)[0],
            current=current.get(key, none)[0],
            baseline_errors=baseline.get(key, none)[1],
            current_errors=current.get(key, none)[1],
        )
        for key in keys
    )
