"""One trace, told whole: the event that began it, the worker or agent it woke, decision, tool call, outcome, lesson.

Read from the stores, so that it is there years later and needs no tracing back end. What is out of the reader's reach
is not in it; of the platform's commands that touch the reader, that they went their way.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import JsonValue
from sqlalchemy import or_, select

from api.views import TraceKind, TraceLine, TraceView
from domain.command_kinds import CATALOGUE
from domain.commands import TERMINAL, Command, CommandRecord
from domain.errors import NotFound
from domain.ids import PLATFORM, CommandId, TenantId
from domain.incidents import Incident
from domain.principals import Reach
from governance.audit import AuditLine
from mesh.composition import Mesh
from mesh.shared import Tenants, touched
from mesh.telemetry import trace_id_of
from storage.tables.events import events
from storage.tables.governance import commands
from storage.tables.knowledge import incidents

_TRACE = re.compile(r"[0-9a-f]{32}")
MANY = 1000
"""Lines of one kind read at most: a trace of more is a storm, and its beginning tells the story."""
FIRST = 5
"""Opening events shown of an incident; `opsmesh why` has them all."""
_STEPS: dict[str, tuple[TraceKind, str]] = {
    "command.proposed": ("proposal", "proposed"),
    "command.denied": ("decision", "policy denied it"),
    "command.awaiting_approval": ("decision", "policy asks people"),
    "command.approved": ("decision", "allowed"),
    "command.rejected": ("decision", "a person refused it"),
    "command.executing": ("tool", "tool call begins"),
    "command.executed": ("tool", "the effect is done"),
    "command.failed": ("tool", "the effect failed"),
    "command.unknown": ("tool", "nobody knows whether the effect happened"),
    "command.verifying": ("verification", "watched"),
}
_ENDS = frozenset(f"command.{state.value.lower()}" for state in TERMINAL)


@dataclass(frozen=True, slots=True)
class TracesBehind:
    """Traces within reach."""

    mesh: Mesh

    def find(self, reach: Reach, subject: str) -> TraceView:
        """Return the trace of that id, or of the incident, command or finding of that id. Raises NotFound."""
        trace = subject if _TRACE.fullmatch(subject) else self._trace_of(reach, subject)
        lines = [] if trace is None else sorted(self._lines(reach, trace), key=lambda line: line.at)
        if trace is None or not lines:
            raise NotFound("no such trace, incident, command or finding")
        return TraceView(trace=trace, lines=tuple(lines))

    def _trace_of(self, reach: Reach, subject: str) -> str | None:
        """Return the trace id of an incident, a command or a finding within reach."""
        queries = (
            select(incidents.c.tenant, incidents.c.body["trace"].as_string().label("trace")).where(
                incidents.c.id == subject
            ),
            select(events.c.tenant, events.c.traceparent.label("trace")).where(
                events.c.correlationid == subject, events.c.traceparent.is_not(None)
            ).order_by(events.c.seq.desc()).limit(1),
        )  # fmt: skip
        with self.mesh.parts.database.read() as connection:
            found = connection.execute(select(commands.c.body).where(commands.c.id == subject)).scalar()
            if found is not None:
                command = Command.model_validate(found)
                seen = reach.allows(command.tenant) or touched(command, reach)
                return trace_id_of(command.trace) if seen and command.trace else None
            for query in queries:
                row = connection.execute(query).first()
                if row is not None and row.trace and reach.allows(TenantId(row.tenant)):
                    return trace_id_of(row.trace)
        return None

    def _lines(self, reach: Reach, trace: str) -> Iterator[TraceLine]:
        yield from self._events(reach, trace)
        for incident in self._incidents(reach, trace):
            yield from self._runs(incident)
        for record in self._commands(trace):
            if reach.allows(record.command.tenant, record.command.environment):
                yield from self._command(record)
            else:
                yield from self._part(record, touched(record.command, reach))

    def _events(self, reach: Reach, trace: str) -> Iterator[TraceLine]:
        """Events that carry the trace, and those that began it untraced: an incident's first, a finding's cause."""
        opening = [key for incident in self._incidents(reach, trace) for key in incident.events[:FIRST]]
        carried = events.c.traceparent.startswith(f"00-{trace}-")
        causes = select(events.c.causationid).where(carried, events.c.type.startswith("runtime.finding."))
        told = or_(carried, events.c.key.in_(opening), events.c.key.in_(causes))
        query = select(events).where(told).order_by(events.c.seq)
        with self.mesh.parts.database.read() as connection:
            rows = connection.execute(query.limit(MANY)).all()
        for row in rows:
            if not reach.allows(TenantId(row.tenant)):
                continue
            said = _said(row.data)
            owner = str(said.get("owner") or row.source)
            yield TraceLine(
                at=row.time, kind="finding" if row.type.startswith("runtime.finding.") else "event", what=row.type,
                text=str(said.get("summary") or said.get("message") or ""), subject=row.subject or "", by=owner,
                tenant=row.tenant, ref=row.key,
            )  # fmt: skip

    def _incidents(self, reach: Reach, trace: str) -> tuple[Incident, ...]:
        query = select(incidents.c.body).where(incidents.c.body["trace"].as_string().startswith(f"00-{trace}-"))
        with self.mesh.parts.database.read() as connection:
            rows = connection.execute(query.limit(MANY)).scalars().all()
        found = (Incident.model_validate(row) for row in rows)
        return tuple(one for one in found if reach.allows(one.tenant, one.environment))

    def _runs(self, incident: Incident) -> Iterator[TraceLine]:
        yield TraceLine(
            at=incident.opened_at, kind="incident", what=incident.status, text=incident.title, subject=incident.id,
            by="", tenant=incident.tenant, ref=incident.id,
        )  # fmt: skip
        for run in self.mesh.journal.runs(incident.tenant, incident.id):
            verdict = run.diagnosis.verdict if run.diagnosis is not None else "not ended"
            yield TraceLine(
                at=run.started_at, kind="run", what=verdict, text=f"attempt {run.attempt}", subject=incident.id,
                by=run.agent, tenant=incident.tenant, ref=run.id,
            )  # fmt: skip

    def _commands(self, trace: str) -> tuple[CommandRecord, ...]:
        query = select(commands.c.id).where(commands.c.body["trace"].as_string().startswith(f"00-{trace}-"))
        with self.mesh.parts.database.read() as connection:
            names = connection.execute(query.order_by(commands.c.id).limit(MANY)).scalars().all()
        return tuple(self.mesh.governed.commands.get("*", CommandId(name)) for name in names)

    def _part(self, record: CommandRecord, tenants: Tenants) -> Iterator[TraceLine]:
        """A shared command's steps, without who took them and on what else."""
        for line in self.mesh.governed.audit.read(PLATFORM, subject=record.command.id) if tenants else ():
            if line.record.action in _STEPS or line.record.action in _ENDS:
                told = {"by": PLATFORM, "tenant": min(tenants), "subject": ""}
                yield _step(record, line).model_copy(update=told)

    def _command(self, record: CommandRecord) -> Iterator[TraceLine]:
        command = record.command
        for line in self.mesh.governed.audit.read(command.tenant, subject=command.id):
            yield _step(record, line)
        verification = self.mesh.journal.verification(command.tenant, command.id)
        if verification is not None:
            yield TraceLine(
                at=verification.ended_at, kind="verification", what=verification.verdict, text=verification.reason,
                subject=command.target.address, by="readers", tenant=command.tenant, ref=command.id,
            )  # fmt: skip
        outcome = next((o for o in self.mesh.journal.outcomes(command.tenant) if o.command == command.id), None)
        if outcome is not None:
            yield TraceLine(
                at=outcome.at, kind="outcome", what=outcome.state, text=record.reason, subject=command.target.address,
                by="feedback", tenant=command.tenant, ref=command.id,
            )  # fmt: skip


def _said(data: JsonValue) -> dict[str, JsonValue]:
    return data if isinstance(data, dict) else {}


def _step(record: CommandRecord, line: AuditLine) -> TraceLine:
    command, said = record.command, line.record
    kind, what = _STEPS.get(said.action, ("step", said.action.removeprefix("command.")))
    tool = f" by {CATALOGUE[command.kind].tool}" if kind == "tool" else ""
    undo = " (undo)" if command.role == "undo" else ""
    return TraceLine(
        at=said.at, kind=kind, what=what, text=f"{command.kind}{undo}{tool}", subject=command.target.address,
        by=said.actor, tenant=command.tenant, ref=command.id,
    )  # fmt: skip
