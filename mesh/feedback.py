"""Feedback: what a command's end means for the outcome record, autonomy, the incident and what is learned.

Only verified outcomes become lessons, and each command is told of once: a crash here repeats nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection

from domain.catalogue import LessonLearned, OutcomeRecorded
from domain.commands import CommandRecord, Prediction, Quantity, State
from domain.events import Dimensions, OutgoingEvent
from domain.evidence import Diagnosis
from domain.ids import TenantId
from domain.incidents import Incident, IncidentStatus
from domain.outcomes import Check, Lesson, Outcome, PredictionError, Verification
from domain.ports import Clock, Ids
from domain.tenancy import AutonomyLevel
from governance.audit import AuditEntry, AuditLog
from governance.autonomy import AUTOMATIC, Autonomy
from grounding.incidents import Incidents
from mesh.journal import Journal
from storage.engine import Database
from storage.outbox import Outbox

UNKNOWN_CLASS = "unknown"
_MEASURED: tuple[tuple[str, str], ...] = (("latency_p95_ms", "latency_p95_ms"), ("error_rate", "error_rate"))
"""Predicted quantity and the verification check that measures it."""
_WEIGHTS: Mapping[State, float] = {State.SUCCEEDED: 1.0, State.UNDONE: 1.0, State.UNDO_FAILED: 1.0}
"""How much an end teaches: what was verified either way, in full; anything else, nothing.
A ticket teaches nothing either: that it was written does not say that it helped."""


class Lessons(Protocol):
    """The knowledge index's door for verified outcomes."""

    def learn(self, lesson: Lesson) -> None:
        """Store one lesson; the same id again changes nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Closed:
    """What was recorded: the outcome, and the lesson where there is one."""

    outcome: Outcome
    lesson: Lesson | None


@dataclass(frozen=True, slots=True)
class Feedback:
    """Closes the loop once a command has ended."""

    database: Database
    journal: Journal
    outbox: Outbox
    audit: AuditLog
    autonomy: Autonomy
    incidents: Incidents
    lessons: Lessons
    clock: Clock
    ids: Ids

    def knows(self, record: CommandRecord) -> bool:
        """Tell whether the command's end has been recorded."""
        return self.journal.has_outcome(record.command.tenant, record.command.id)

    def close(
        self,
        record: CommandRecord,
        *,
        incident: Incident | None,
        diagnosis: Diagnosis | None,
        default: AutonomyLevel,
    ) -> Closed | None:
        """Record the end of a forward command once. None when it was recorded before."""
        command = record.command
        if self.knows(record):
            return None
        outcome = self._outcome(record, self.journal.verification(command.tenant, command.id))
        teaches = record.state in _WEIGHTS and command.kind != "ticket.open"
        lesson = self._lesson(outcome, incident, diagnosis) if teaches and incident is not None else None
        if lesson is not None:
            self.lessons.learn(lesson)
        with self.database.begin() as connection:
            self.journal.record_outcome(connection, outcome)
            self.outbox.append(connection, _outcome_event(record, outcome))
            if lesson is not None:
                self.outbox.append(connection, _lesson_event(record, lesson))
            change = self.autonomy.note_outcome(connection, command, record.state, default, self.clock.now())
            if change is not None:
                entry = AuditEntry(
                    tenant=command.tenant, action="autonomy.fell", subject=f"{change.environment}/{change.kind}",
                    actor=AUTOMATIC, body=change.model_dump(mode="json"),
                )  # fmt: skip
                self.audit.append(connection, entry)
            status = self._status_after(connection, record, incident)
            # one that went quiet meanwhile is closed: how its last command ended is recorded, and opens nothing again
            if incident is not None and incident.status != "closed" and status is not None:
                self.incidents.set_status(connection, incident.tenant, incident.id, status)
        return Closed(outcome, lesson)

    def _status_after(
        self, connection: Connection, record: CommandRecord, incident: Incident | None
    ) -> IncidentStatus | None:
        """A fix that held resolves its incident, unless part of it still stands: that has another cause."""
        status = _status_after(record)
        if status == "resolved" and incident is not None:
            return "open" if self.incidents.stands(connection, incident, self.clock.now()) else status
        return status

    def _outcome(self, record: CommandRecord, verification: Verification | None) -> Outcome:
        command = record.command
        return Outcome(
            command=command.id, digest=record.digest, incident=command.incident, tenant=command.tenant,
            environment=command.environment, kind=command.kind, target=command.target.address, state=record.state,
            verification=verification, prediction=command.prediction,
            errors=prediction_errors(command.prediction, verification, command.target.address), at=self.clock.now(),
        )  # fmt: skip

    def _lesson(self, outcome: Outcome, incident: Incident, diagnosis: Diagnosis | None) -> Lesson:
        first = diagnosis.hypotheses[0] if diagnosis is not None and diagnosis.hypotheses else None
        worked = outcome.state == State.SUCCEEDED
        verdict = outcome.verification.reason if outcome.verification is not None else ""
        return Lesson(
            id=outcome.command, tenant=TenantId(outcome.tenant), incident=incident.id, command=outcome.command,
            symptom=incident.title, fault_class=first.fault_class if first else UNKNOWN_CLASS,
            command_kind=outcome.kind, target=outcome.target, worked=worked, weight=_WEIGHTS[State(outcome.state)],
            text=f"{outcome.kind} on {outcome.target} {'worked' if worked else 'did not hold'}: {verdict}",
            evidence=(), at=outcome.at,
        )  # fmt: skip


def prediction_errors(
    prediction: Prediction | None, verification: Verification | None, target: str
) -> tuple[PredictionError, ...]:
    """Compare predicted change with the measured one where it was predicted: level after less level before the effect.

    The level before stands for doing nothing: the fault was going on, and nobody can watch both futures.
    """
    if prediction is None or not prediction.known or verification is None:
        return ()
    rows: list[PredictionError] = []
    for name, metric in _MEASURED:
        quantity: Quantity | None = getattr(prediction, name)
        check = _check(verification, prediction.entity or target, metric)
        if quantity is None or check is None or check.before is None or check.after is None:
            continue
        measured = check.after - check.before
        rows.append(
            PredictionError(
                quantity=name,
                predicted=quantity.value,
                low=quantity.low,
                high=quantity.high,
                measured=measured,
                inside=quantity.low <= measured <= quantity.high,
            )
        )
    return tuple(rows)


def _check(verification: Verification, target: str, metric: str) -> Check | None:
    return next((c for c in verification.checks if c.entity == target and c.metric == metric), None)


def _status_after(record: CommandRecord) -> IncidentStatus | None:
    if record.state is not State.SUCCEEDED:
        return "open"
    return "escalated" if record.command.kind == "ticket.open" else "resolved"


def _outcome_event(record: CommandRecord, outcome: Outcome) -> OutgoingEvent:
    data = OutcomeRecorded(
        command=outcome.command, digest=outcome.digest, verdict=outcome.state, incident=outcome.incident,
        measured={error.quantity: error.measured for error in outcome.errors},
        predicted={error.quantity: error.predicted for error in outcome.errors},
    )  # fmt: skip
    return _event(record, "opsmesh.outcome.recorded.v1", data.model_dump(mode="json"))


def _lesson_event(record: CommandRecord, lesson: Lesson) -> OutgoingEvent:
    data = LessonLearned(
        lesson=lesson.id, incident=lesson.incident, command=lesson.command, worked=lesson.worked, text=lesson.text
    )
    return _event(record, "opsmesh.lesson.learned.v1", data.model_dump(mode="json"))


def _event(record: CommandRecord, kind: str, data: dict[str, object]) -> OutgoingEvent:
    command = record.command
    dimensions = Dimensions(
        environmentid=command.environment,
        serviceid=command.target.id if command.target.kind == "service" else None,
        traceparent=command.trace, correlationid=command.incident, causationid=command.id,
    )  # fmt: skip
    return OutgoingEvent.model_validate(
        {"type": kind, "tenant": command.tenant, "subject": command.id, "dimensions": dimensions, "data": data}
    )
