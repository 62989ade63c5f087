"""Recorded telemetry through the same loop as everything else, up to the approval queue.

Each case gets a mesh of its own over an empty store. Telemetry and symptom go in by intake while a virtual clock
follows the recorded time; when the window is over the loop takes its steps until something is proposed or a person is
paged. Nothing can act there: commands plan as tickets.
"""

import asyncio
import tempfile
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import TypeVar

from domain.base import Frozen, UtcDatetime
from domain.commands import CommandRecord
from domain.errors import NotFound
from domain.evidence import DataGap, Diagnosis
from domain.ids import PrincipalId
from domain.incidents import Incident
from domain.intake import LogRecord, MetricPoint, SpanRecord
from domain.principals import EventSourceKey
from evals.datasets import Case, Progress, recordings
from evals.datasets.telemetry.feeds import SOURCE, TENANT, Feed, Lines, feed_of, instant
from evals.datasets.telemetry.nezha_lines import nezha_lines
from grounding.vectors import MemoryVectors
from mesh.composition import Mesh, Parts, compose
from mesh.telemetry import in_memory
from mesh.time import UlidIds, VirtualClock
from runtime.simulator.twin import Twin
from storage.engine import Database

LINES: Mapping[str, Callable[[Path, Case], Lines]] = {"nezha": nezha_lines}
"""Where a data set's raw logs and spans come from; one that is not here has metrics only."""
SENDER = EventSourceKey(id=PrincipalId("source:replay"), source=SOURCE, tenants=(TENANT,), trust="platform")
BATCH = timedelta(hours=1)
"""Telemetry is handed over by the hour of its own time."""
AFTERWARDS = timedelta(minutes=20)
"""How long the loop may look again after the recording: an undecided incident becomes a ticket within that."""
LOOK = timedelta(minutes=1)
QUIET = "normal/"
"""Ids of windows in which nobody noticed anything."""
RANKED = 10
"""Blamed entities that are reported."""
Timed = TypeVar("Timed", MetricPoint, LogRecord, SpanRecord)


class Proposed(Frozen):
    """One command of a case."""

    command: str
    kind: str
    target: str
    state: str
    policy: str
    reasons: tuple[str, ...]
    rationale: str
    preview: tuple[str, ...]


class IncidentReplayed(Frozen):
    """One incident of a case: what was concluded on the whole window, and what came of it."""

    incident: str
    title: str
    severity: str
    opened_at: UtcDatetime
    symptoms: tuple[str, ...]
    verdict: str
    summary: str
    ranked: tuple[tuple[str, float], ...]
    """Blamed entities under the recording's own names, best first."""
    hypotheses: tuple[str, ...]
    proposed: tuple[Proposed, ...]
    paged: tuple[str, ...]
    gaps: tuple[DataGap, ...]
    looks: int
    """Agent runs until something was proposed."""
    conclusion: str
    """Why the last run ended as it did."""


class Taken(Frozen):
    """What intake made of a case's telemetry."""

    points: int = 0
    logs: int = 0
    spans: int = 0
    events: int = 0
    refused: int = 0


class CaseReplayed(Frozen):
    """One case."""

    case: str
    incidents: tuple[IncidentReplayed, ...]
    taken: Taken
    seconds: float


class ReplayReport(Frozen):
    """All cases of one recording."""

    source: str
    cases: tuple[CaseReplayed, ...]


def replay(
    name: str, path: Path, case: str | None = None, *, progress: Callable[[Progress], None] | None = None
) -> ReplayReport:
    """Replay the named case, or every case in which something was noticed. Raises Invalid, NotFound."""
    wanted = _wanted(recordings(name).case_ids(path), case)
    done: list[CaseReplayed] = []
    for one in recordings(name).cases(path):
        if one.case_id in wanted:
            done.append(replay_case(feed_of(one, LINES[name](path, one) if name in LINES else None)))
            if progress is not None:
                progress(Progress(len(done), len(wanted), one.case_id))
        if len(done) == len(wanted):
            break
    return ReplayReport(source=name, cases=tuple(done))


def _wanted(ids: Sequence[str], case: str | None) -> frozenset[str]:
    """Return the case, or all but the quiet windows: nobody noticed anything there, so no event came."""
    if case is None:
        return frozenset(one for one in ids if not one.startswith(QUIET))
    if case not in ids:
        raise NotFound(f"no case {case}; there are {', '.join(ids[:3])}, ... {ids[-1]}", reason="case_unknown")
    return frozenset({case})


def replay_case(feed: Feed) -> CaseReplayed:
    """Run one case through a mesh of its own."""
    with tempfile.TemporaryDirectory(prefix="opsmesh-replay-") as home:
        return asyncio.run(_replay(feed, Path(home)))


async def _replay(feed: Feed, home: Path) -> CaseReplayed:
    began = perf_counter()
    clock = VirtualClock(feed.start)
    telemetry, _, _ = in_memory(seed=0)
    parts = Parts(
        home=home, database=Database(f"sqlite:///{home / 'opsmesh.db'}"),
        runtime_database=Database(f"sqlite:///{home / 'runtime.db'}"), clock=clock, ids=UlidIds(clock, seed=0),
        telemetry=telemetry, rehearsal=Twin(), vectors=MemoryVectors(),
    )  # fmt: skip
    mesh = compose(parts, feed.observed)
    try:
        await mesh.register(feed.observed)
        taken = _deliver(mesh, clock, feed)
        await _decide(mesh, clock, feed.end + AFTERWARDS)
        incidents = tuple(_told(mesh, feed, incident) for incident in mesh.cases.all(TENANT))
    finally:
        await mesh.close()
    return CaseReplayed(
        case=feed.case.case_id, incidents=incidents, taken=taken, seconds=round(perf_counter() - began, 2)
    )


def _deliver(mesh: Mesh, clock: VirtualClock, feed: Feed) -> Taken:
    """Hand everything to intake as its time comes. What began within the window still belongs to its last batch."""
    store, refused, due = mesh.telemetry_store, 0, feed.start
    while due < feed.end:
        since, due = due, min(due + BATCH, feed.end)
        clock.move_to(due)
        until = due if due < feed.end else None
        reports = (
            store.accept_metrics(SENDER, TENANT, _between(feed.points, lambda point: point.at, since, until)),
            store.accept_logs(SENDER, TENANT, _between(feed.logs, lambda line: line.at, since, until)),
            store.accept_spans(SENDER, TENANT, _between(feed.spans, _begun, since, until)),
        )
        refused += sum(report.rejected for report in reports)
    told = mesh.log.accept(SENDER, feed.events)
    return Taken(
        points=len(feed.points), logs=len(feed.logs), spans=len(feed.spans), events=len(feed.events),
        refused=refused + len(told.quarantined),
    )  # fmt: skip


def _between(
    items: Sequence[Timed], at: Callable[[Timed], datetime], since: datetime, until: datetime | None
) -> Sequence[Timed]:
    """Return the items in [since, until), or all from `since` on; they are in order of time."""
    stop = len(items) if until is None else bisect_left(items, until, key=at)
    return items[bisect_left(items, since, key=at) : stop]


def _begun(span: SpanRecord) -> datetime:
    return instant(span.start_ns)


async def _decide(mesh: Mesh, clock: VirtualClock, until: datetime) -> None:
    """Let the loop look until each incident has a command or a page, or the time is over."""
    while True:
        await mesh.loop.step()
        open_ones = [i for i in mesh.cases.all(TENANT) if not _settled(mesh, i)]
        if not open_ones or clock.now() >= until:
            return
        clock.advance(LOOK)


def _settled(mesh: Mesh, incident: Incident) -> bool:
    return incident.status in {"escalated", "closed"} or bool(_commands(mesh, incident))


def _commands(mesh: Mesh, incident: Incident) -> tuple[CommandRecord, ...]:
    return tuple(mesh.governed.commands.list(TENANT, incident=incident.id))


def _told(mesh: Mesh, feed: Feed, incident: Incident) -> IncidentReplayed:
    runs = mesh.journal.runs(TENANT, incident.id)
    found = next((run.diagnosis for run in runs if run.diagnosis is not None), Diagnosis(verdict="healthy"))
    return IncidentReplayed(
        incident=incident.id, title=incident.title, severity=incident.severity, opened_at=incident.opened_at,
        symptoms=incident.entities, verdict=found.verdict, summary=found.summary,
        ranked=feed.case.named(found.ranked)[:RANKED],
        hypotheses=tuple(f"{h.statement} ({h.confidence:.0%})" for h in found.hypotheses),
        proposed=tuple(_proposed(mesh, record) for record in _commands(mesh, incident)),
        paged=tuple(page.reason for page in mesh.journal.pages(TENANT) if page.incident == incident.id),
        gaps=found.gaps, looks=len(runs),
        conclusion=next((step.text for run in runs[-1:] for step in run.steps[-1:]), ""),
    )  # fmt: skip


def _proposed(mesh: Mesh, record: CommandRecord) -> Proposed:
    command = record.command
    decision = mesh.governed.commands.decision(TENANT, command.id)
    return Proposed(
        command=command.id, kind=command.kind, target=command.target.address, state=record.state,
        policy="undecided" if decision is None else decision.effect,
        reasons=() if decision is None else decision.reasons, rationale=command.rationale,
        preview=tuple(f"{change.operation} {change.path} of {change.address}" for change in command.preview),
    )  # fmt: skip
