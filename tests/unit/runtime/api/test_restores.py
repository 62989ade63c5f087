"""Restore points and restores over HTTP: the frame of a write, whose they are, how they are followed to their end."""

import json

import pytest

from domain.commands import Proposal
from domain.topology import EntityRef
from runtime.api.limits import MAX_BODY_BYTES
from tests.support.backup_bench import ACME, GLOBEX, OWN, SHARED, TOOL, backup_bench
from tests.support.runtime_bench import EXECUTOR, PROD
from tools.actions import bind_actions

POINTS, RESTORES = "/runtime/restore-points", "/runtime/restores"
POINT = {"environment": PROD, "tenant": ACME}
IN_PROD = {"environment": PROD}
DRY = {"dryRun": "true"}


@pytest.fixture
async def place(tmp_path):
    place = await backup_bench(tmp_path)
    yield place
    await place.close()


@pytest.fixture
async def person(place):
    async with place.http() as http:
        yield http


@pytest.fixture
async def executor(place):
    async with place.http(EXECUTOR) as http:
        http.headers["Opsmesh-Tenant"] = ACME
        yield http


def of(point, **changed):
    return {"environment": PROD, "tenant": ACME, "restore_point": point, **changed}


async def writes(place):
    """Valid bodies of both routes."""
    point = await place.point()
    return ((POINTS, POINT), (RESTORES, of(point.id)))


async def granted(place, http, path, body, key, kind):
    """Post with a grant for just that."""
    arguments = {name: value for name, value in body.items() if name not in {"environment", "drill"}}
    proposal = Proposal(
        kind=kind, arguments=arguments, target=EntityRef(kind="tenant", id=ACME), tenant=ACME, environment=PROD,
        proposer="ana", rationale="because",
    )  # fmt: skip
    plan = await bind_actions(place.bench.client)[TOOL[kind.partition(".")[0]]].plan(
        proposal, at=place.bench.clock.now()
    )
    command = place.bench.command(proposal, plan, idempotency_key=key)
    headers = {"Idempotency-Key": key, "Opsmesh-Grant": place.bench.issuer.grant(command)}
    return await http.post(path, json=body, headers=headers)


def files(place):
    return sorted(p for p in place.parts.home.rglob("*") if p.is_file())


async def test_a_dry_run_shows_every_store_and_leaves_nothing(place, person):
    for path, body in await writes(place):
        before, rows = files(place), await place.contents(ACME)
        answer = await person.post(path, json=body, params=DRY)
        assert answer.status_code == 200
        changes = answer.json()["changes"]
        assert [c["address"] for c in changes] == [f"data_store/{OWN}", f"tenant/{ACME}"]
        assert SHARED in changes[1]["path"]
        assert (files(place), await place.contents(ACME)) == (before, rows)
    assert place.bench.proposals.taken == {}
    assert len(place.points.listed(PROD, None)) == 1


async def test_without_a_grant_it_is_proposed_and_nothing_happens(place, person):
    for number, (path, body) in enumerate(await writes(place)):
        before, key = files(place), {"Idempotency-Key": f"k{number}"}
        answer = await person.post(path, json=body, headers=key)
        assert (answer.status_code, answer.headers["location"]) == (202, f"/commands/k{number}")
        assert answer.json() == {"status": "proposed", "location": f"/commands/k{number}", "effects": 0}
        again = await person.post(path, json=body, headers=key)
        assert (again.status_code, again.content) == (202, answer.content)
        assert files(place) == before
    real = await person.post(RESTORES, json=of(place.points.listed(PROD, None)[0].id, drill=False))
    assert real.status_code == 202
    kinds = [p.kind for p in place.bench.proposals.taken.values()]
    assert kinds == ["restore_point.create", "restore.drill", "restore.run"]
    assert len(place.points.listed(PROD, None)) == 1


async def test_another_body_under_a_used_key_is_a_conflict(place, person):
    point, other = await place.point(), await place.point()
    key = {"Idempotency-Key": "k"}
    assert (await person.post(RESTORES, json=of(point.id), headers=key)).status_code == 202
    for body in (of(other.id), of(point.id, drill=False)):
        answer = await person.post(RESTORES, json=body, headers=key)
        assert (answer.status_code, answer.json()["reason"]) == (409, "key_reused")
    assert len(place.bench.proposals.taken) == 1


async def test_if_match_holds_it_to_a_version_of_the_environment(place, person):
    for path, body in await writes(place):
        etag = (await person.post(path, json=body, params=DRY)).headers["etag"]
        held = await person.post(path, json=body, headers={"If-Match": etag})
        assert held.status_code == 202
        other = await person.post(path, json=body, headers={"If-Match": '"99"'})
        assert (other.status_code, other.json()["reason"]) == (412, "version_mismatch")
        none = await person.post(path, json=body, headers={"If-Match": '"x"'})
        assert (none.status_code, none.json()["reason"]) == (422, "etag_invalid")


async def test_a_granted_point_is_taken_once_and_can_be_followed(place, executor, person):
    first = await granted(place, executor, POINTS, POINT, "k1", "restore_point.create")
    assert (first.status_code, first.json()["status"]) == (200, "applied")
    operation = first.json()["operation"]
    path = f"/runtime/environments/{PROD}/operations/{operation}"
    seen = (await person.get(path)).json()
    assert (seen["kind"], seen["progress"]["status"]) == ("restore_point.create", "running")
    assert 0 < seen["progress"]["fraction"] < 1
    await place.bench.services.convergence.reconcile()
    ended = (await person.get(path)).json()["progress"]
    assert (ended["status"], ended["result"]["restore_point"]) == ("done", operation)
    again = await granted(place, executor, POINTS, POINT, "k1", "restore_point.create")
    assert again.json() == first.json() | {"replayed": True}
    other = await granted(place, executor, POINTS, POINT | {"data_stores": [OWN]}, "k1", "restore_point.create")
    assert (other.status_code, other.json()["reason"]) == (409, "key_reused")
    listed = (await person.get(POINTS, params=IN_PROD)).json()
    assert [p["id"] for p in listed] == [operation]
    one = (await person.get(f"{POINTS}/{operation}", params=IN_PROD)).json()
    assert (one["asked"], one["complete"], one["region"]) == ([OWN, SHARED], True, "west")


async def test_a_granted_restore_brings_the_tenant_back_and_says_what_it_cost(place, executor, person):
    point = await place.point()
    then = await place.contents(ACME, point.cut_seq)
    place.live(hours=1)
    answer = await granted(place, executor, RESTORES, of(point.id, drill=False), "k1", "restore.run")
    progress = await place.ended(answer.json()["operation"])
    assert progress["status"] == "done"
    figures = {"rpo_s", "rto_s", "held_s", "rows_compared", "commits_taken_back", "erased_again", "kept_before"}
    assert figures <= progress["result"].keys()
    assert progress["result"]["rpo_s"] > 3000
    forgotten = {e.subject for e in await place.memory.erasures(ACME, point.cut_seq)}
    restored = (await place.contents(ACME))[OWN]["profiles"]
    assert restored == {k: row for k, row in then[OWN]["profiles"].items() if k not in forgotten}
    proven = (await person.get(f"{POINTS}/{point.id}", params=IN_PROD)).json()
    assert proven["proof"]["status"] == "proven"


async def test_a_point_can_be_cancelled_over_http_and_leaves_nothing(place, person):
    operation = await place.granted("restore_point.create")
    assert files(place)
    cancel = await place.granted("operation.cancel", operation=operation)
    assert (await place.ended(cancel))["status"] == "done"
    seen = (await person.get(f"/runtime/environments/{PROD}/operations/{operation}")).json()
    assert seen["progress"]["status"] == "cancelled"
    assert (await person.get(POINTS, params=IN_PROD)).json() == []
    assert not [p for p in files(place) if p.suffix == ".sealed"]


async def test_a_stranger_is_answered_as_of_a_missing_thing(place):
    point = await place.point()
    async with place.http("globex-token") as theirs:
        pairs = [
            (theirs.post(POINTS, json=POINT), theirs.post(POINTS, json=POINT | {"tenant": "nobody"})),
            (theirs.post(RESTORES, json=of(point.id)), theirs.post(RESTORES, json=of("nothing"))),
            (
                theirs.post(RESTORES, json=of(point.id, tenant=GLOBEX)),
                theirs.post(RESTORES, json=of("nothing", tenant=GLOBEX)),
            ),
            (theirs.get(f"{POINTS}/{point.id}", params=IN_PROD), theirs.get(f"{POINTS}/nothing", params=IN_PROD)),
            (
                theirs.post(POINTS, json={"environment": PROD, "tenant": GLOBEX, "data_stores": [OWN]}),
                theirs.post(POINTS, json={"environment": PROD, "tenant": GLOBEX, "data_stores": ["nothing"]}),
            ),
        ]  # fmt: skip
        for crossed, missing in pairs:
            one, other = await crossed, await missing
            assert (one.status_code, one.content) == (other.status_code, other.content)
            assert one.status_code == 404
        assert (await theirs.get(POINTS, params=IN_PROD)).json() == []
        elsewhere = await theirs.post(POINTS, json=POINT | {"environment": "staging"})
        assert elsewhere.status_code == 404
    assert place.bench.proposals.taken == {}


async def test_who_may_only_read_proposes_nothing_and_nobody_without_a_token_is_answered(place):
    for path, body in await writes(place):
        async with place.http("viewer-token") as http:
            answer = await http.post(path, json=body)
            assert (answer.status_code, answer.json()["reason"]) == (403, "role_missing")
            del http.headers["Authorization"]
            assert (await http.post(path, json=body)).status_code == 401
    assert place.bench.proposals.taken == {}


@pytest.mark.parametrize(
    "changed",
    [
        {"environment": None}, {"tenant": "Not A Slug"}, {"surplus": 1}, {"rationale": "x" * 10_000},
        {"restore_point": "../../etc"}, {"to": "yesterday"}, {"to": "2026-03-10T09:00:00"}, {"drill": "perhaps"},
    ],
)  # fmt: skip
async def test_a_body_that_is_none_is_told_what_is_wrong(place, person, changed):
    answer = await person.post(RESTORES, json=of("point") | changed)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert next(iter(changed)) in answer.text


async def test_what_is_no_json_or_too_large_is_refused(place, person):
    for path in (POINTS, RESTORES):
        headers = {"Content-Type": "application/json"}
        assert (await person.post(path, content=b"{not json", headers=headers)).status_code == 422
        large = json.dumps(POINT | {"rationale": "x" * MAX_BODY_BYTES}).encode()
        answer = await person.post(path, content=large, headers=headers)
        assert (answer.status_code, answer.json()["reason"]) == (413, "too_large")
        many = await person.post(POINTS, json=POINT | {"data_stores": [f"s{n}" for n in range(101)]})
        assert many.status_code == 422


async def test_what_residency_or_time_forbids_is_refused_with_the_reason(place, person):
    point = await place.point()
    for path, body, status, reason in (
        (POINTS, POINT | {"region": "north"}, 403, "residency"),
        (POINTS, POINT | {"region": "atlantis"}, 422, "unknown_region"),
        (RESTORES, of(point.id, to="2026-03-10T09:30:00Z"), 422, "before_cut"),
        (RESTORES, of(point.id, to="2027-03-10T09:30:00Z"), 422, "after_now"),
    ):
        for params in (DRY, {}):
            answer = await person.post(path, json=body, params=params)
            assert (answer.status_code, answer.json()["reason"]) == (status, reason)
