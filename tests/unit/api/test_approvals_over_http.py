"""Approving over HTTP against the real governed path and the shipped policies."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydantic import JsonValue

from api.ports import Click
from domain.base import digest_of
from domain.commands import CommandRecord
from domain.decisions import DecideResult
from governance.ballots import Answer
from governance.facts import assemble
from governance.policy import PolicySet
from storage.engine import Database
from tests.support.governed import GovernedPath, open_path
from tests.unit.api.fakes import World, app_over, client_of
from tests.unit.governance.policy_goldens import SURROUNDINGS

POLICIES = PolicySet.load()


class GovernedDeciding:
    """The deciding port over the governed path, as the composition root ties it."""

    def __init__(self, path: GovernedPath) -> None:
        self._path = path

    async def decide(self, click: Click, verdict: str) -> DecideResult:
        command = self._path.governed.commands.get(click.tenant, click.command).command
        facts = assemble(command, SURROUNDINGS.model_copy(update={"at": self._path.clock.now()}))
        may = POLICIES.can_approve(click.who, command, facts)
        forbidden = {} if may.allowed else {command.id: may.reasons}
        answer = Answer(click.tenant, click.command, click.digest, click.who, verdict, "api", click.note, forbidden)
        return self._path.governed.approvals.decide(answer)

    async def narrow(self, click: Click, arguments: dict[str, JsonValue]) -> DecideResult:
        raise NotImplementedError

    async def cancel(self, click: Click) -> DecideResult:
        raise NotImplementedError


@pytest.fixture
def path(database: Database, tmp_path: Path) -> Iterator[GovernedPath]:
    yield from open_path(database, tmp_path)


class Clicks:
    """Sends answers to one command that waits for approval, as whoever is named."""

    def __init__(self, path: GovernedPath, proposer: str = "dana", quorum: int = 1) -> None:
        self._path = path
        self.record: CommandRecord = path.decided("ask", quorum=quorum, proposer=proposer)
        world = World(leaky=False)
        world.records[self.record.command.id] = self.record
        self._app = app_over(world)
        object.__setattr__(self._app.state.services, "deciding", GovernedDeciding(path))

    async def __call__(self, who: str, verb: str = "approve", digest: str = "") -> httpx.Response:
        async with client_of(self._app, who) as client:
            body = {"digest": digest or self.record.digest}
            return await client.post(f"/v1/commands/{self.record.command.id}/{verb}", json=body)

    def state(self) -> str:
        return self._path.read(self.record).state


async def test_nobody_approves_their_own_proposal(path: GovernedPath) -> None:
    click = Clicks(path, proposer="dana")
    response = await click("dana")
    assert (response.status_code, response.json()["reason"]) == (403, "self_approval")
    assert click.state() == "AWAITING_APPROVAL"
    assert "approval.refused" in {line.record.action for line in path.governed.audit.read("acme")}


async def test_an_agents_token_approves_nothing(path: GovernedPath) -> None:
    click = Clicks(path)
    for token in ("sre", "robot"):
        assert (await click(token)).json()["reason"] == "not_a_person"
    assert click.state() == "AWAITING_APPROVAL"


async def test_the_first_of_two_people_decides_and_the_second_learns_it(path: GovernedPath) -> None:
    click = Clicks(path, proposer="agent:sre")
    first, second = await click("dana"), await click("root", "reject")
    assert (first.status_code, first.json()["won"], first.json()["state"]) == (200, True, "APPROVED")
    assert (second.status_code, second.json()["won"], second.json()["decided_by"]) == (200, False, "dana")
    assert click.state() == "APPROVED"


async def test_a_person_changes_their_mind_until_it_is_decided(path: GovernedPath) -> None:
    click = Clicks(path, proposer="agent:sre", quorum=2)
    first, again = await click("dana"), await click("dana")
    assert [(r.status_code, r.json()["won"], r.json()["state"]) for r in (first, again)] == [
        (200, False, "AWAITING_APPROVAL")
    ] * 2
    changed = await click("dana", "reject")
    assert (changed.status_code, changed.json()["won"], changed.json()["state"]) == (200, True, "REJECTED")
    back = await click("dana")
    assert (back.status_code, back.json()["reason"]) == (409, "already_answered")
    assert click.state() == "REJECTED"


async def test_roles_and_digest_are_judged_on_the_path(path: GovernedPath) -> None:
    click = Clicks(path, proposer="agent:sre")
    assert (await click("guest")).status_code == 403
    stale = await click("dana", digest=digest_of("another card"))
    assert (stale.status_code, stale.json()["reason"]) == (403, "digest_mismatch")
    assert click.state() == "AWAITING_APPROVAL"


async def test_a_strangers_click_is_answered_like_one_on_nothing(path: GovernedPath) -> None:
    click = Clicks(path, proposer="agent:sre")
    foreign = await click("stranger")
    async with client_of(app_over(World(leaky=False)), "stranger") as client:
        body = {"digest": click.record.digest}
        missing = await client.post(f"/v1/commands/{click.record.command.id}/approve", json=body)
    assert (foreign.status_code, foreign.content) == (404, missing.content)
    assert click.state() == "AWAITING_APPROVAL"
