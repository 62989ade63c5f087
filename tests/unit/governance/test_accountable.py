"""Who answers for a waived control: a person of the tenant with the right to, not its author, until it starts."""

from collections.abc import Callable

import pytest

from domain.commands import CommandRecord, State
from domain.errors import Refused
from domain.principals import Principal, RoleGrant
from governance.rights import unaccountable
from tests.support.governed import ACME, START, GovernedPath, person

AUTHOR = "eve"
UNFIT: tuple[tuple[str, Principal | None], ...] = (
    ("nobody", None),
    ("agent:sre", person("agent:sre", "proposer", kind="agent")),
    ("robot", person("robot", "approver", kind="service")),
    ("viewer", person("viewer", "viewer", "proposer")),
    ("stranger", person("stranger", "admin", tenant="globex")),
    ("root", person("root", "admin", tenant="*")),
    ("gone", person("gone", "approver", disabled_at="2026-11-23T11:00:00Z")),
    (AUTHOR, person(AUTHOR, "approver", "proposer")),
)


def waive(path: GovernedPath, accountable: str) -> CommandRecord:
    arguments = {
        "control": "exposure", "resource": "service/shop", "until": "2026-11-30T00:00:00Z", "accountable": accountable,
        "reason": "a launch",
    }  # fmt: skip
    return path.decided("ask", kind="compliance.waive", arguments=arguments, proposer=AUTHOR)


@pytest.mark.parametrize(("name", "who"), UNFIT, ids=[name for name, _ in UNFIT])
def test_nobody_else_answers_for_it(path: GovernedPath, name: str, who: Principal | None) -> None:
    if who is not None and name not in path.people:
        path.people[who.id] = who
    record = waive(path, name)
    with pytest.raises(Refused) as error:
        path.governed.approvals.decide(path.answer(record, path.people["bob"]))
    assert error.value.reason == "accountable"
    assert path.read(record).state is State.AWAITING_APPROVAL
    assert path.governed.approvals.decide(path.answer(record, path.people["bob"], "reject")).state == "REJECTED"


def test_the_refusals_are_one(path: GovernedPath) -> None:
    command = waive(path, "x").command
    assert len({unaccountable(who, command, (), START) for _, who in UNFIT}) == 1
    assert unaccountable(path.people["ann"], path.command(), (), START) is None


def test_a_person_of_the_tenant_who_may_accept_it_answers(path: GovernedPath) -> None:
    record = waive(path, "ann")
    assert path.governed.approvals.decide(path.answer(record, path.people["bob"])).state == "APPROVED"
    assert path.claim(path.read(record)).state is State.EXECUTING


LOSSES: tuple[Callable[[Principal], Principal], ...] = (
    lambda ann: ann.model_copy(update={"grants": (RoleGrant(role="viewer", tenant=ACME),)}),
    lambda ann: ann.model_copy(update={"disabled_at": START}),
)


@pytest.mark.parametrize("lose", LOSSES, ids=["role", "disabled"])
def test_who_lost_the_right_meanwhile_stops_it(path: GovernedPath, lose: Callable[[Principal], Principal]) -> None:
    record = waive(path, "ann")
    path.governed.approvals.decide(path.answer(record, path.people["bob"]))
    path.people["ann"] = lose(path.people["ann"])
    lapsed = path.claim(path.read(record))
    assert (lapsed.state, lapsed.reason.partition(":")[0]) == (State.LAPSED, "accountable")
