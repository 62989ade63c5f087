"""At execution everything is checked again: each change between approval and start lapses the approval."""

from datetime import timedelta

import pytest

from domain.base import digest_of
from domain.commands import State
from domain.decisions import Ask, Freeze, KillSwitch
from domain.errors import Conflict
from domain.ids import PrincipalId
from governance.revalidate import FORWARD, UNDO
from tests.support.governed import ACME, POLICY_SET, GovernedPath, person


def approved(path: GovernedPath, effect: str = "ask", quorum: int = 1):
    record = path.decided(effect, quorum=quorum)
    for name in ("ann", "bob")[:quorum] if effect == "ask" else ():
        path.governed.approvals.decide(path.answer(record, path.people[name]))
    return path.read(record)


def test_nothing_changed_and_it_starts(path: GovernedPath) -> None:
    moved = path.claim(approved(path, quorum=2))
    assert (moved.state, moved.fencing) == (State.EXECUTING, 1)


def lapse(path, record, **changed):
    moved = path.claim(record, **changed)
    assert moved.state in {State.LAPSED, State.EXPIRED}
    assert path.read(record).state is moved.state
    assert path.governed.executions.in_flight(ACME) == ()
    with pytest.raises(Conflict):
        path.claim(record)
    return moved.reason.partition(":")[0]


def test_another_preview_lapses(path: GovernedPath) -> None:
    assert lapse(path, approved(path), preview_digest=digest_of("another")) == "preview"


def test_a_changed_or_missing_precondition_lapses(path: GovernedPath) -> None:
    record = approved(path)
    other = record.command.preconditions[0].model_copy(update={"digest": digest_of("v3")})
    assert lapse(path, record, preconditions=(other,)) == "precondition"
    assert lapse(path, approved(path), preconditions=()) == "precondition"


@pytest.mark.parametrize("change", ["denied", "another_set", "not_asked", "another_digest", "larger_quorum"])
def test_a_changed_policy_lapses(path: GovernedPath, change) -> None:
    record = approved(path)
    then = path.governed.commands.decision(ACME, record.command.id)
    wider = Ask(roles=("approver",), quorum=2, expires_at=then.ask.expires_at)
    now = {
        "denied": then.model_copy(update={"effect": "deny"}),
        "another_set": then.model_copy(update={"policy_digest": digest_of("policy set 2")}),
        "not_asked": None,
        "another_digest": then.model_copy(update={"digest": digest_of("x")}),
        "larger_quorum": then.model_copy(update={"ask": wider}),
    }[change]
    assert then.policy_digest == POLICY_SET
    assert lapse(path, record, decision=now) == ("approval" if change == "larger_quorum" else "policy")


def test_what_policy_let_run_alone_lapses_when_it_now_wants_people(path: GovernedPath) -> None:
    record = approved(path, "allow")
    assert lapse(path, record, decision=path.decision(record, "ask")) == "policy"


@pytest.mark.parametrize("change", ["disabled", "gone", "role"])
def test_an_approver_who_lost_the_right_lapses_it(path: GovernedPath, change) -> None:
    record = approved(path, quorum=2)
    match change:
        case "disabled":
            path.people["ann"] = person("ann", "approver", disabled_at=path.clock.now())
        case "gone":
            del path.people["ann"]
        case _:
            path.people["ann"] = person("ann", "viewer")
    assert lapse(path, record) == "approval"


def test_time_lapses_it_both_ways(path: GovernedPath) -> None:
    record = approved(path)
    path.clock.advance(timedelta(hours=1))
    assert lapse(path, record) == "expired"


def test_a_clock_behind_the_record_is_doubted(path: GovernedPath) -> None:
    record = approved(path)
    path.clock._now -= timedelta(seconds=1)
    assert lapse(path, record) == "clock"


def test_a_freeze_stops_what_no_operator_approved(path: GovernedPath) -> None:
    records = [approved(path), approved(path, "allow")]
    now = path.clock.now()
    window = Freeze(tenant=ACME, start=now, end=now + timedelta(hours=1), reason="sale", by=PrincipalId("eve"))
    key = path.governed.switches.freeze(window)
    assert [lapse(path, record) for record in records] == ["freeze", "freeze"]
    assert list(path.governed.switches.freezes(ACME)) == [key]
    path.governed.switches.thaw(ACME, key, PrincipalId("eve"))
    assert path.claim(approved(path)).state is State.EXECUTING


@pytest.mark.parametrize(
    ("scope", "value"),
    [("global", "*"), ("tenant", "acme"), ("agent", "agent:sre"), ("kind", "service.rollback"), ("command", "")],
)
def test_a_kill_switch_stops_its_scope_and_nothing_else(path: GovernedPath, scope, value) -> None:
    record = approved(path)
    switch = KillSwitch.model_validate(
        {
            "scope": scope,
            "value": value or record.command.id,
            "engaged_by": "eve",
            "at": path.clock.now(),
            "reason": "r",
        }
    )
    elsewhere = switch.model_copy(update={"value": "elsewhere"})
    if scope != "global":
        path.governed.switches.engage(elsewhere)
    path.governed.switches.engage(switch)
    assert lapse(path, record) == "kill_switch"
    path.governed.switches.release(switch, PrincipalId("eve"), "over")
    assert path.claim(approved(path)).state is State.EXECUTING


@pytest.mark.parametrize("continues", [True, False])
def test_a_kill_switch_says_whether_running_undos_continue(path: GovernedPath, continues) -> None:
    parent = path.reach(State.REGRESSED)
    undo = path.governed.executions.start_undo(
        ACME, parent.command.id, **path.held(parent), child=path.undo_of(parent)
    )[1]
    switch = KillSwitch(
        scope="global", engaged_by=PrincipalId("eve"), at=path.clock.now(), reason="r", undos_continue=continues
    )
    flying = path.governed.switches.engage(switch)
    assert [r.command.id for r in flying] == [parent.command.id]
    assert path.claim(undo, decision=None).state is (State.EXECUTING if continues else State.LAPSED)


def test_an_undo_waits_for_neither_people_freeze_nor_budget() -> None:
    names = {check.__name__ for check in FORWARD} - {check.__name__ for check in UNDO}
    people = {"approvers_stand", "accountable_stands"}
    assert names == {"decided", "not_frozen", "policy_unchanged", "budget_holds"} | people
