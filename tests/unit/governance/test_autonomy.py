"""Autonomy falls by itself on bad endings and rises only by a human's decision."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection

from domain.commands import Command, CommandRecord, State
from domain.errors import Invalid, Refused
from governance.autonomy import FALLS_AT, LEVELS, Autonomy, Place
from mesh.time import UlidIds, VirtualClock
from storage.engine import Database
from tests.unit.governance.policy_goldens import command

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
PLACE = Place(tenant="acme", environment="prod", kind="service.rollback", default="act")
EVERYTHING = PLACE.model_copy(update={"kind": "*"})


@pytest.fixture
def autonomy() -> Autonomy:
    return Autonomy(UlidIds(VirtualClock(START), seed=1))


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with database.begin() as open_connection:
        yield open_connection


class Endings:
    """Tells the store of one ended command after another, a minute apart."""

    def __init__(self, autonomy: Autonomy, connection: Connection) -> None:
        self._autonomy, self._connection, self._count = autonomy, connection, 0

    def __call__(self, *states: State, **changes: object) -> list[str]:
        levels = []
        for state in states:
            self._count += 1
            ended = command(id=f"01JNZ8Q00000000000000{self._count:05}", **changes)
            at = START + timedelta(minutes=self._count)
            self._autonomy.note_outcome(self._connection, ended, state, PLACE.default, at)
            levels.append(self._autonomy.level(self._connection, PLACE))
        return levels


@pytest.fixture
def ended(autonomy: Autonomy, connection: Connection) -> Endings:
    return Endings(autonomy, connection)


def change(level: str, kind: str = "*", **changes: object) -> Command:
    arguments = {"environment": "prod", "kind": kind, "level": level}
    return command(kind="autonomy.change", arguments=arguments, **changes)


def record(what: Command, **changes: object) -> CommandRecord:
    base = CommandRecord(
        command=what, digest=what.digest, state=State.EXECUTING, version=3, updated_at=START, decided_by="dana"
    )
    return base.model_copy(update=changes)


def test_nothing_stored_means_the_level_of_the_binding(autonomy: Autonomy, connection: Connection) -> None:
    for level in LEVELS:
        assert autonomy.level(connection, PLACE.model_copy(update={"default": level})) == level


@pytest.mark.parametrize("state", FALLS_AT, ids=str)
def test_a_level_falls_one_step_at_the_stated_number_of_endings(ended: Endings, state: State) -> None:
    needed = FALLS_AT[state]
    assert ended(*[state] * needed) == ["act"] * (needed - 1) + ["propose"]
    assert ended(*[state] * needed) == ["propose"] * (needed - 1) + ["observe"]
    assert ended(*[state] * needed) == ["observe"] * needed


def test_a_success_ends_a_streak(ended: Endings) -> None:
    assert ended(State.UNKNOWN, State.SUCCEEDED, State.UNKNOWN) == ["act"] * 3
    assert ended(State.UNKNOWN) == ["propose"]


def test_the_same_ending_told_twice_counts_once(autonomy: Autonomy, connection: Connection) -> None:
    what = command()
    assert autonomy.note_outcome(connection, what, State.REGRESSED, "act", START) is not None
    assert autonomy.note_outcome(connection, what, State.REGRESSED, "act", START) is None
    assert autonomy.level(connection, PLACE) == "propose"
    assert autonomy.bad_outcomes(connection, PLACE, START) == 1


def test_other_kinds_places_and_states_are_untouched(
    ended: Endings, autonomy: Autonomy, connection: Connection
) -> None:
    assert ended(State.REGRESSED, tenant="globex") == ["act"]
    assert ended(State.REGRESSED, environment="staging") == ["act"]
    assert ended(State.REGRESSED, kind="service.restart") == ["act"]
    assert ended(State.REJECTED, State.LAPSED, State.EXPIRED, State.CANCELLED) == ["act"] * 4
    assert autonomy.bad_outcomes(connection, PLACE, START + timedelta(hours=1)) == 0


def test_bad_endings_are_counted_per_command_within_a_day(autonomy: Autonomy, connection: Connection) -> None:
    one = command(id="01JNZ8Q0000000000000000001")
    for state, at in ((State.UNKNOWN, START), (State.REGRESSED, START), (State.UNDO_FAILED, START)):
        autonomy.note_outcome(connection, one, state, "act", at)
    assert autonomy.bad_outcomes(connection, PLACE, START) == 1
    assert autonomy.bad_outcomes(connection, PLACE, START + timedelta(hours=24)) == 0
    assert autonomy.bad_outcomes(connection, PLACE, START - timedelta(seconds=1)) == 0


def test_only_a_humans_decision_raises(ended: Endings, autonomy: Autonomy, connection: Connection) -> None:
    ended(State.REGRESSED)
    raising = change("act", "service.rollback")
    for wrong in (
        record(raising, decided_by=None),
        record(raising, state=State.APPROVED),
        record(command()),
        record(change("act", "service.rollback", environment="staging")),
    ):
        with pytest.raises(Refused):
            autonomy.apply(connection, wrong, "act", START)
    assert autonomy.level(connection, PLACE) == "propose"
    done = autonomy.apply(connection, record(raising), "act", START + timedelta(hours=1))
    assert (done.before, done.after, done.by, done.command) == ("propose", "act", "dana", raising.id)
    assert autonomy.level(connection, PLACE) == "act"


def test_a_rise_starts_the_count_anew(ended: Endings, autonomy: Autonomy, connection: Connection) -> None:
    assert ended(State.UNKNOWN) == ["act"]
    autonomy.apply(connection, record(change("act", "service.rollback")), "act", START + timedelta(minutes=1))
    assert ended(State.UNKNOWN) == ["act"]


def test_a_kind_overrides_its_environment(autonomy: Autonomy, connection: Connection) -> None:
    autonomy.apply(connection, record(change("propose")), "observe", START)
    assert autonomy.level(connection, PLACE) == "propose"
    autonomy.apply(connection, record(change("act", "service.rollback")), "observe", START)
    assert autonomy.level(connection, PLACE) == "act"
    assert autonomy.level(connection, EVERYTHING) == "propose"


def test_lowering_an_environment_lowers_every_kind(autonomy: Autonomy, connection: Connection) -> None:
    autonomy.apply(connection, record(change("act", "service.rollback")), "propose", START)
    changes = autonomy.lower(connection, EVERYTHING, "observe", by="dana", reason="quarter end", at=START)
    assert {(one.kind, one.after) for one in changes} == {("*", "observe"), ("service.rollback", "observe")}
    assert autonomy.level(connection, PLACE) == "observe"


@pytest.mark.parametrize("level", ["act", "propose"])
def test_lowering_never_raises(autonomy: Autonomy, connection: Connection, level: str) -> None:
    autonomy.lower(connection, EVERYTHING, "propose", by="dana", reason="calm", at=START)
    with pytest.raises(Invalid):
        autonomy.lower(connection, EVERYTHING, level, by="dana", reason="calm", at=START)


def test_the_history_keeps_every_change_newest_first(
    ended: Endings, autonomy: Autonomy, connection: Connection
) -> None:
    ended(State.REGRESSED, State.UNDO_FAILED)
    history = autonomy.history(connection, "acme", "prod")
    assert [(one.before, one.after, one.by) for one in history] == [
        ("propose", "observe", "opsmesh"),
        ("act", "propose", "opsmesh"),
    ]
    assert history[0].reason == "a command ended UNDO_FAILED"
    assert autonomy.history(connection, "globex", "prod") == ()
