"""Experiments, consents and the stop over HTTP: each tenant its own, people decide, a stop takes effect at once."""

import pytest

from domain.ids import TenantId
from tests.support.chaos_bench import ALWAYS, chaos_bench, document
from tests.support.runtime_bench import principal


@pytest.fixture
async def bench(tmp_path):
    bench = await chaos_bench(tmp_path)
    held = bench.bench.services.authenticator.held
    held["approver-token"] = principal("amy", ("approver", "acme"))
    held["robot-token"] = principal("robot", ("approver", "acme"), kind="service")
    return bench


def body(**changed):
    return {"environment": "prod", "id": "trial", "experiment": document()} | changed


IN_PROD = {"environment": "prod"}


async def test_an_experiment_is_kept_and_read_as_it_came(bench):
    async with bench.bench.http() as http:
        kept = await http.post("/runtime/experiments", json=body())
        assert (kept.status_code, kept.headers["ETag"]) == (200, '"1"')
        again = await http.post("/runtime/experiments", json=body())
        assert again.json()["version"] == 1
        found = await http.get("/runtime/experiments/trial", params=IN_PROD)
        assert found.json()["document"] == document()
        names = [e["id"] for e in (await http.get("/runtime/experiments", params=IN_PROD)).json()]
        assert names == ["cart", "trial"]


async def test_the_frame_of_a_write_holds(bench):
    async with bench.bench.http() as http:
        assert (await http.post("/runtime/experiments", json=body(), params={"dryRun": "true"})).json()["version"] == 0
        assert (await http.get("/runtime/experiments/trial", params=IN_PROD)).status_code == 404
        match = {"If-Match": '"7"'}
        assert (await http.post("/runtime/experiments", json=body(), headers=match)).status_code == 412
        key = {"Idempotency-Key": "k1"}
        assert (await http.post("/runtime/experiments", json=body(), headers=key)).status_code == 200
        other = body(id="another")
        assert (await http.post("/runtime/experiments", json=other, headers=key)).status_code == 409
        bad = document()
        bad["method"][0]["provider"] = {"type": "process", "path": "/bin/sh"}
        assert (await http.post("/runtime/experiments", json=body(experiment=bad))).status_code == 422


async def test_a_repeated_request_does_not_write_over_what_came_since(bench):
    newer = document() | {"title": "newer"}
    async with bench.bench.http() as http:
        key = {"Idempotency-Key": "k1"}
        await http.post("/runtime/experiments", json=body(), headers=key)
        await http.post("/runtime/experiments", json=body(experiment=newer))
        again = await http.post("/runtime/experiments", json=body(), headers=key)
        assert (again.status_code, again.headers["ETag"]) == (200, '"2"')
        found = await http.get("/runtime/experiments/trial", params=IN_PROD)
        assert found.json()["document"]["title"] == "newer"


async def test_a_stranger_is_answered_as_if_it_were_missing(bench):
    await bench.run()
    async with bench.bench.http() as mine, bench.bench.http("globex-token") as theirs:
        for path in ("/runtime/experiments/cart", "/runtime/experiments/cart/journal"):
            assert (await mine.get(path, params=IN_PROD)).status_code == 200
            crossed = await theirs.get(path, params=IN_PROD)
            missing = await theirs.get(path.replace("cart", "nothing"), params=IN_PROD)
            assert (crossed.status_code, crossed.content) == (missing.status_code, missing.content)
            assert crossed.status_code == 404


async def test_only_a_person_who_may_approve_consents(bench):
    asked = {"environment": "prod", "consent": ALWAYS.model_dump(mode="json") | {"max_share": 0.1}}
    for token, status in (("person-token", 403), ("robot-token", 403), ("approver-token", 200)):
        async with bench.bench.http(token) as http:
            answer = await http.put("/runtime/chaos-consents", json=asked)
            assert answer.status_code == status, token
    async with bench.bench.http("globex-token") as http:
        nothing = (await http.get("/runtime/chaos-consents", params=IN_PROD)).json()
        assert (nothing["tenant"], nothing["version"], nothing["consent"]["faults"]) == ("globex", 0, [])


async def test_a_stop_takes_back_now_and_holds_until_it_is_lifted(bench):
    await bench.step()
    assert bench.faults.broken
    async with bench.bench.http("approver-token") as http:
        answer = await http.post("/runtime/chaos-stops", json={"environment": "prod", "reason": "release day"})
        assert (answer.status_code, answer.json()["engaged"], answer.json()["left"]) == (200, True, [])
        assert bench.faults.broken == {}
        assert (await bench.round()).status == "cancelled"
        again = await bench.run(record=bench.record(number=2))
        assert (again.status, bench.faults.broken) == ("cancelled", {})
        lifted = await http.post("/runtime/chaos-stops", json={"environment": "prod", "engaged": False})
        assert lifted.json()["engaged"] is False
    assert (await bench.run(record=bench.record(number=3))).status == "done"


async def test_a_stop_that_cannot_take_back_says_what_is_left(bench):
    await bench.step()
    bench.faults.unreachable = 1
    async with bench.bench.http("approver-token") as http:
        answer = await http.post("/runtime/chaos-stops", json={"environment": "prod"})
        assert [one["target"] for one in answer.json()["left"]] == ["service/cart"]
        await bench.watch.turn()
        assert (await http.get("/runtime/chaos-stops", params=IN_PROD)).json()["left"] == []


async def test_a_run_goes_through_the_door(bench):
    asked = {"kind": "chaos.run", "arguments": {"experiment": "cart"}}
    async with bench.bench.http() as http:
        preview = await http.post("/runtime/environments/prod/operations", json=asked, params={"dryRun": "true"})
        assert preview.json()["changes"][0]["after"]["tenants"] == ["acme"]
        proposed = await http.post("/runtime/environments/prod/operations", json=asked)
        assert (proposed.status_code, bench.faults.effects) == (202, [])
    assert [p.kind for p in bench.bench.proposals.taken.values()] == ["chaos.run"]
    assert TenantId("acme") in {p.tenant for p in bench.bench.proposals.taken.values()}


CONSENT = {"environment": "prod", "consent": ALWAYS.model_dump(mode="json")}


def keyed(key="k1"):
    return {"Idempotency-Key": key}


async def test_a_repeated_consent_does_not_bring_back_what_was_withdrawn(bench):
    nothing = {"environment": "prod", "consent": CONSENT["consent"] | {"faults": []}}
    async with bench.bench.http("approver-token") as http:
        given = await http.put("/runtime/chaos-consents", json=CONSENT, headers=keyed())
        await http.put("/runtime/chaos-consents", json=nothing)
        again = await http.put("/runtime/chaos-consents", json=CONSENT, headers=keyed())
        assert (given.status_code, again.status_code) == (200, 200)
        assert again.json()["consent"]["faults"] == []
        other = await http.put("/runtime/chaos-consents", json=nothing, headers=keyed())
        assert (other.status_code, other.json()["reason"]) == (409, "key_reused")


async def test_a_dry_run_uses_no_key_up(bench):
    async with bench.bench.http("approver-token") as http:
        dry = {"dryRun": "true"}
        other = CONSENT | {"consent": CONSENT["consent"] | {"faults": []}}
        assert (await http.put("/runtime/chaos-consents", json=other, headers=keyed(), params=dry)).status_code == 200
        assert (await http.put("/runtime/chaos-consents", json=CONSENT, headers=keyed())).status_code == 200


async def test_a_repeated_lift_ends_no_later_stop_and_no_key_holds_a_stop_up(bench):
    def said(engaged, reason=""):
        return {"environment": "prod", "engaged": engaged, "reason": reason}

    async with bench.bench.http("approver-token") as http:
        path = "/runtime/chaos-stops"
        assert (await http.post(path, json=said(True, "odd"), headers=keyed("a"))).json()["engaged"]
        assert not (await http.post(path, json=said(False), headers=keyed("b"))).json()["engaged"]
        for key in ("a", "b"):
            assert (await http.post(path, json=said(True, "odd again"), headers=keyed(key))).json()["engaged"]
            again = await http.post(path, json=said(False), headers=keyed("b"))
            assert (again.status_code, again.json()["engaged"]) == (200, True)
        other = await http.post(path, json=said(False, "else"), headers=keyed("b"))
        assert (other.status_code, other.json()["reason"]) == (409, "key_reused")


async def test_a_consent_names_a_bounded_number_of_services(bench):
    wide = CONSENT | {"consent": CONSENT["consent"] | {"services": [f"s{n}" for n in range(1001)]}}
    async with bench.bench.http("approver-token") as http:
        assert (await http.put("/runtime/chaos-consents", json=wide)).status_code == 422
