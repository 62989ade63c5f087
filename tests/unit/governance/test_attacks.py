"""Ways around the governed path that were tried and must stay closed: wider children, undos that do more."""

from datetime import timedelta

import pytest

from domain.changes import Patch, ResourceChange
from domain.commands import Command, State
from domain.decisions import Freeze
from domain.errors import Refused
from domain.ids import PrincipalId
from tests.support.governed import ACME, GovernedPath

PATH = ("services", "shop", "replicas")


def _scaling(path: GovernedPath, to: object, **changed: object) -> Command:
    preview = ResourceChange(address="service/shop", operation="update", path="replicas", before=3, after=to)
    plain = {"preview": (preview,), "patches": (Patch(op="set", path=PATH, value=to),)}
    arguments = {"service": "shop", "replicas": to}
    return path.command(kind="service.scale", arguments=arguments, **plain, **changed)


@pytest.mark.parametrize("to", [7, 50, 2, None])
def test_a_child_may_not_go_further_than_its_parent_showed(path: GovernedPath, to: int | None) -> None:
    parent = path.governed.commands.propose(_scaling(path, 6))
    preview = ResourceChange(address="service/shop", operation="update", path="replicas", before=3, after=to)
    child = _scaling(path, 6, parent=parent.command.id).model_copy(update={"preview": (preview,)})
    with pytest.raises(Refused, match="replicas"):
        path.governed.commands.supersede(ACME, parent.command.id, child, PrincipalId("ann"), "more")
    assert path.read(parent).state is State.PROPOSED


def test_a_child_may_stay_between_what_is_and_what_its_parent_showed(path: GovernedPath) -> None:
    parent = path.governed.commands.propose(_scaling(path, 6))
    child = _scaling(path, 5, parent=parent.command.id)
    path.governed.commands.supersede(ACME, parent.command.id, child, PrincipalId("ann"), "less")
    assert path.read(parent).state is State.SUPERSEDED


def test_a_child_may_not_name_another_version_than_its_parent_showed(path: GovernedPath) -> None:
    parent = path.decided("ask")
    change = parent.command.preview[0].model_copy(update={"after": "v0"})
    child = path.command(parent=parent.command.id, preview=(change,))
    with pytest.raises(Refused, match="version"):
        path.governed.commands.supersede(ACME, parent.command.id, child, PrincipalId("ann"), "older")


def test_a_child_may_not_put_another_value_behind_the_same_mask(path: GovernedPath) -> None:
    masked = ResourceChange(address="service/shop", operation="update", path="config.key", after="***", secret=True)
    asked = {"kind": "service.configure", "preview": (masked,)}
    values = [{"service": "shop", "key": "key", "value": value} for value in ("one", "two")]
    parent = path.governed.commands.propose(path.command(**asked, arguments=values[0]))
    child = path.command(**asked, arguments=values[1], parent=parent.command.id)
    with pytest.raises(Refused, match="config"):
        path.governed.commands.supersede(ACME, parent.command.id, child, PrincipalId("ann"), "other")


@pytest.mark.parametrize(("seconds", "refused"), [(3600, False), (1800, False), (3601, True)])
def test_a_childs_override_lasts_no_longer_than_its_parents(path: GovernedPath, seconds: int, refused: bool) -> None:
    def throttling(**changed: object) -> Command:
        lasts = timedelta(seconds=changed.pop("lasts", 3600))  # pyright: ignore[reportArgumentType]
        until = (path.clock.now() + lasts).isoformat()
        change = ResourceChange(address="service/shop", operation="update", path="override.version", after=until)
        return path.command(preview=(change,), **changed)

    parent = path.governed.commands.propose(throttling())
    path.clock.advance(timedelta(minutes=1))
    child = throttling(lasts=seconds, parent=parent.command.id, expires_at=parent.command.expires_at)
    if refused:
        with pytest.raises(Refused, match="override"):
            path.governed.commands.supersede(ACME, parent.command.id, child, PrincipalId("ann"), "longer")
    else:
        path.governed.commands.supersede(ACME, parent.command.id, child, PrincipalId("ann"), "shorter")


def test_an_undo_writes_no_other_value_than_the_one_it_was_planned_to_restore(path: GovernedPath) -> None:
    record = path.reach(State.REGRESSED)
    field = record.command.inverse.fields[0]
    for patch in (Patch(op="set", path=field.path, value="v9"), Patch(op="remove", path=field.path)):
        child = path.undo_of(record, patches=(patch,))
        with pytest.raises(Refused, match="restores only"):
            path.governed.executions.start_undo(ACME, record.command.id, **path.held(record), child=child)
    assert path.read(record).state is State.REGRESSED


def test_an_undo_is_neither_superseded_nor_undone(path: GovernedPath) -> None:
    parent = path.reach(State.UNDOING)
    (undo,) = path.governed.commands.list(ACME, parent=parent.command.id)
    child = path.command(parent=undo.command.id)
    with pytest.raises(Refused, match="undo"):
        path.governed.commands.supersede(ACME, undo.command.id, child, PrincipalId("ann"), "instead")
    held = path.claim(undo, decision=None)
    go, place = path.governed.executions, (ACME, undo.command.id)
    failed = go.fail(*place, **path.held(held), reason="no")
    with pytest.raises(Refused, match="undo"):
        go.start_undo(*place, **path.held(failed), child=path.undo_of(parent, parent=failed.command.id))
    assert path.read(failed).state is State.FAILED


def test_a_renewed_lease_does_not_make_a_state_look_new(path: GovernedPath) -> None:
    record = path.reach(State.UNKNOWN)
    path.clock.advance(timedelta(seconds=10))
    place = (ACME, record.command.id)
    renewed = path.governed.executions.renew(*place, fencing=record.fencing, lease_s=60)
    assert renewed.updated_at == path.read(record).updated_at == record.updated_at


def test_an_approver_whom_policy_would_no_longer_let_answer_does_not_count(path: GovernedPath) -> None:
    record = path.decided("ask")
    path.governed.approvals.decide(path.answer(record, path.people[PrincipalId("ann")]))
    approved = path.read(record)
    assert approved.state is State.APPROVED
    claimed = path.claim(approved, barred=(PrincipalId("ann"),))
    assert claimed.state is State.LAPSED
    assert claimed.reason.startswith("approval:")


def test_a_ticket_that_policy_allows_in_a_freeze_is_opened_in_it(path: GovernedPath) -> None:
    arguments = {"owner_team": "shop", "title": "t", "cause": "c", "missing_action": "m"}
    now = path.clock.now()
    path.governed.switches.freeze(
        Freeze(tenant=ACME, start=now, end=now + timedelta(hours=1), reason="sale", by=PrincipalId("eve"))
    )
    ticket = path.decided("allow", kind="ticket.open", arguments=arguments)
    assert path.claim(ticket).state is State.EXECUTING
    assert path.claim(path.decided("allow", "cart")).state is State.LAPSED
