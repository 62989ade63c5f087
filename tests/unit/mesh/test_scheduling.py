"""When an incident is run again: not while a command is on its way, with a new attempt after a bad end, then a page."""

from datetime import UTC, datetime, timedelta

from domain.commands import Command, CommandRecord, State
from domain.incidents import Incident
from mesh.scheduling import AGAIN, MAX_RUNS, SETTLE, PastRun, next_step

AT = datetime(2026, 3, 10, 12, tzinfo=UTC)
INCIDENT = Incident.model_validate(
    {"id": "01J00000000000000000000002", "tenant": "t", "environment": "prod", "title": "x", "severity": "error",
     "status": "open", "fingerprint": "sha256:" + "0" * 64, "opened_at": AT, "last_event_at": AT,
     "entities": ("service/api",)}
)  # fmt: skip


def record(command: Command, state: State, at: datetime = AT) -> CommandRecord:
    return CommandRecord(command=command, digest=command.digest, state=state, version=1, updated_at=at)


def test_first_run_waits_until_evidence_has_settled():
    assert next_step(INCIDENT, [], [], at=AT).action == "wait"
    assert next_step(INCIDENT, [], [], at=AT + SETTLE).action == "run"


def test_no_run_while_a_command_is_on_its_way(command: Command):
    late = AT + timedelta(hours=1)
    for state in (
        State.AWAITING_APPROVAL,
        State.APPROVED,
        State.EXECUTING,
        State.UNKNOWN,
        State.VERIFYING,
        State.UNDOING,
    ):
        assert next_step(INCIDENT, [PastRun(AT)], [record(command, state)], at=late).action == "wait"


def test_a_fix_that_did_not_hold_gives_a_new_attempt_at_once(command: Command):
    ended = AT + timedelta(minutes=20)
    step = next_step(INCIDENT, [PastRun(AT)], [record(command, State.UNDONE, ended)], at=ended)
    assert (step.action, step.attempt) == ("run", 2)


def test_three_bad_ends_page(command: Command):
    bad = [record(command, State.UNDONE)] * 3
    assert next_step(INCIDENT, [PastRun(AT)], bad, at=AT + timedelta(hours=1)).action == "page"


def test_undecided_is_looked_at_again_and_in_the_end_pages():
    assert next_step(INCIDENT, [PastRun(AT)], [], at=AT + AGAIN / 2).action == "wait"
    assert next_step(INCIDENT, [PastRun(AT)], [], at=AT + AGAIN).action == "run"
    assert next_step(INCIDENT, [PastRun(AT)] * MAX_RUNS, [], at=AT + timedelta(hours=2)).action == "page"


def test_a_run_that_said_wait_is_left_alone_until_then():
    waiting = PastRun(AT, look_again_at=AT + timedelta(minutes=15))
    assert next_step(INCIDENT, [waiting], [], at=AT + timedelta(minutes=10)).action == "wait"
    assert next_step(INCIDENT, [waiting], [], at=AT + timedelta(minutes=15)).action == "run"


def test_resolved_and_escalated_incidents_are_left_alone():
    for status in ("resolved", "escalated", "closed"):
        done = INCIDENT.model_copy(update={"status": status})
        assert next_step(done, [], [], at=AT + timedelta(hours=1)).action == "wait"


def test_what_is_found_healthy_every_time_pages_nobody():
    calm = [PastRun(AT, healthy=True)] * (MAX_RUNS + 3)
    assert next_step(INCIDENT, calm, [], at=AT + timedelta(hours=2)).action == "run"
    riddles = [*calm, *[PastRun(AT)] * MAX_RUNS]
    assert next_step(INCIDENT, riddles, [], at=AT + timedelta(hours=2)).action == "page"
