"""Plans proposed over HTTP: decided as their commands, refused with the step that is wrong, the same again once."""

from datetime import timedelta

import httpx
import pytest

from api.app import build_app
from domain.plans import PlanState
from evals.crash_cases import ENVIRONMENT, PROPOSER, TENANT, proposal_of
from mesh.api_services import api_services
from tests.support.composed import composed

KINDS = ("service.configure", "scaling_policy.update")


def step(kind, **changed):
    said = proposal_of(kind).model_dump(mode="json", include={"kind", "arguments", "target", "rationale"})
    return said | changed


def plan(*kinds, **changed):
    return {"tenant": TENANT, "environment": ENVIRONMENT, "commands": [step(k) for k in kinds or KINDS]} | changed


@pytest.fixture
async def held(tmp_path):
    async with composed(tmp_path) as made:
        yield made


@pytest.fixture
async def ask(held):
    token = held.mesh.principals.issue(PROPOSER.id, by=PROPOSER.id).token
    transport = httpx.ASGITransport(app=build_app(api_services(held.mesh)))
    async with httpx.AsyncClient(transport=transport, base_url="http://opsmesh") as client:

        async def said(body, *, key=None, dry=False):
            headers = {"Authorization": f"Bearer {token}"} | ({} if key is None else {"Idempotency-Key": key})
            return await client.post("/v1/plans", json=body, headers=headers, params={"dryRun": "true"} if dry else {})

        yield said


def stored(held):
    return held.mesh.governed.plans.list("*"), held.mesh.governed.commands.list("*")


async def test_a_plan_is_recorded_once_under_its_key_and_waits_for_an_answer(held, ask) -> None:
    first, again = await ask(plan(), key="k-1"), await ask(plan(), key="k-1")
    assert (first.status_code, again.status_code) == (202, 202), first.text
    record = first.json()["record"]
    assert first.headers["location"] == f"/v1/plans/{record['plan']['id']}"
    assert again.json()["record"]["plan"] == record["plan"]
    assert record["plan"]["proposer"] == PROPOSER.id
    assert [m["command"]["kind"] for m in record["members"]] == list(KINDS)
    assert record["state"] == PlanState.AWAITING_APPROVAL
    assert [d["effect"] for d in first.json()["decisions"]] == ["ask", "ask"]
    for other in (plan("service.restart"), plan(*KINDS[::-1]), plan(compensate_in=[0]), plan(compensate_in=[])):
        answer = await ask(other, key="k-1")
        assert (answer.status_code, answer.json()["reason"]) == (409, "key_taken")
    plans, commands = stored(held)
    assert (len(plans), len(commands)) == (1, 2)


async def test_a_dry_run_shows_the_card_and_keeps_nothing(held, ask) -> None:
    answer = await ask(plan(), dry=True)
    assert (answer.status_code, answer.json()["record"]) == (200, None), answer.text
    titles = [section["title"] for section in answer.json()["card"]["sections"]]
    assert {"Why", "In order", "If one ends otherwise", "Policy says"} <= set(titles)
    assert len(answer.json()["decisions"]) == 2
    assert answer.json()["card"]["actions"] == []
    assert stored(held) == ((), ())


async def test_a_refusal_says_which_command_is_wrong(held, ask) -> None:
    unknown = step("service.restart", target={"kind": "service", "id": "nothing"}, arguments={"service": "nothing"})
    foreign = step("service.restart", target={"kind": "service", "id": "checkout"}, arguments={"service": "checkout"})
    mismatch = step("service.restart", target={"kind": "service", "id": "transcode"})
    answers = [
        await ask(plan() | {"commands": [step(KINDS[0]), wrong]}, dry=dry)
        for wrong in (unknown, foreign, mismatch)
        for dry in (False, True)
    ]
    assert [a.status_code for a in answers] == [422] * 6, [a.text for a in answers]
    assert all("command 2, service.restart" in a.json()["detail"] for a in answers)
    assert {a.content for a in answers[:4]} == {answers[0].content}, "another tenant's service shows itself"
    malformed = await ask(plan() | {"commands": [step(KINDS[0]), step("service.restart", arguments={"x": 1})]})
    assert {field["where"].rpartition(".")[0] for field in malformed.json()["fields"]} == {"body.commands.1"}
    assert stored(held) == ((), ())


async def test_a_body_beyond_its_limits_is_refused(held, ask) -> None:
    now = held.clock.now()
    long = {"start": now.isoformat(), "end": (now + timedelta(days=8)).isoformat()}
    bodies = {
        "no command": plan() | {"commands": []},
        "too many": plan() | {"commands": [step("service.restart")] * 201},
        "a field of its own": plan(proposer="root"),
        "every tenant": plan(tenant="*"),
        "a window that is too long": plan(window=long),
        "a position beyond": plan(compensate_in=[2]),
        "a position twice": plan(compensate_in=[1, 1]),
        "the same field twice": plan() | {"commands": [step(KINDS[0])] * 2},
        "an undo there is not": plan("service.restart", compensate_in=[0]),
    }
    for name, body in bodies.items():
        for dry in (False, True):
            answer = await ask(body, dry=dry)
            assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json"), name
    assert (await ask(plan(rationale="x" * 2001))).status_code == 422
    assert (await ask(plan() | {"commands": [step(KINDS[0], rationale="x" * 2**21)]})).status_code == 413
    assert stored(held) == ((), ())
