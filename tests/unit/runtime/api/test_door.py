"""The one door: what a write does without a grant, with a good one, and with every kind of bad one."""

from datetime import timedelta

import pytest

from domain.changes import ResourceChange, preview_digest
from domain.commands import Proposal
from domain.topology import EntityRef
from tests.support.runtime_bench import EXECUTOR, PROD, Issuer
from tests.support.small_runtime import small_bench
from tools.actions import bind_actions

BASE = f"/runtime/environments/{PROD}"
TICKET = {"owner_team": "shop-team", "title": "slow", "cause": "zone lost", "missing_action": "move the database"}
WRITES = {
    "desired-state": ("PATCH", {"patches": [{"op": "set", "path": ["services", "shop", "replicas"], "value": 8}]}),
    "restart": ("POST", {"kind": "service.restart", "arguments": {"service": "shop"}}),
    "ticket": ("POST", {"kind": "ticket.open", "arguments": TICKET}),
}
PATHS = {"restart": "operations", "ticket": "operations"}
KINDS = {"desired-state": "service.scale", "restart": "service.restart", "ticket": "ticket.open"}
every_write = pytest.mark.parametrize("route", WRITES)


@pytest.fixture
async def bench(tmp_path):
    bench = await small_bench(tmp_path)
    yield bench
    await bench.client.http.aclose()
    bench.services.database.close()


@pytest.fixture
async def person(bench):
    async with bench.http("person-token") as http:
        yield http


@pytest.fixture
async def executor(bench):
    async with bench.http(EXECUTOR) as http:
        http.headers["Opsmesh-Tenant"] = "acme"
        yield http


async def write(http, route, *, key="k1", grant=None, body=None, params=None, **headers):
    method, usual = WRITES[route]
    sent = {"Idempotency-Key": key} if key else {}
    sent |= {"Opsmesh-Grant": grant} if grant else {}
    return await http.request(
        method, f"{BASE}/{PATHS.get(route, route)}", json=body or usual, params=params, headers=sent | headers
    )  # fmt: skip


async def scale(bench, replicas=8, tenant="acme"):
    """A planned and decided command that sets the shop's replicas."""
    proposal = Proposal(
        kind="service.scale",
        arguments={"service": "shop", "replicas": replicas},
        target=EntityRef.parse("shop"),
        tenant=tenant,
        environment=PROD,
        proposer="sre",
        rationale="because",
    )
    plan = await bind_actions(bench.client)["scale"].plan(proposal, at=bench.clock.now())
    return bench.command(proposal, plan, idempotency_key=f"k{replicas}")


async def replicas(bench):
    return (await bench.target.live(PROD)).services["shop"].replicas


async def refused(bench, response, reason, status=403):
    assert (response.status_code, response.json()["reason"]) == (status, reason)
    assert response.headers["content-type"] == "application/problem+json"
    assert await replicas(bench) == 3
    return True


@every_write
async def test_a_write_without_a_grant_becomes_a_proposal_with_no_effect(bench, person, route):
    response = await write(person, route)
    assert response.status_code == 202
    assert response.headers["location"] == "/commands/k1"
    assert response.json() == {"status": "proposed", "location": "/commands/k1", "effects": 0}
    assert bench.proposals.taken["k1"].kind == KINDS[route]
    assert bench.proposals.taken["k1"].proposer == "ana"
    assert await replicas(bench) == 3
    assert bench.target.restarts == []
    assert (await person.get(f"{BASE}/effects/k1")).status_code == 404
    assert (await person.get(f"{BASE}/tickets")).json() == []


@every_write
async def test_the_same_proposed_write_gets_the_same_address(bench, person, route):
    first, again = await write(person, route), await write(person, route)
    assert (again.status_code, again.json()) == (202, first.json())


async def test_another_write_under_a_proposed_key_is_a_conflict(bench, person):
    await write(person, "desired-state")
    other = {"patches": [{"op": "set", "path": ["services", "shop", "replicas"], "value": 9}]}
    response = await write(person, "desired-state", body=other)
    await refused(bench, response, "key_reused", 409)


@every_write
async def test_a_dry_run_shows_the_change_and_proposes_nothing(bench, person, route):
    response = await write(person, route, params={"dryRun": "true"})
    assert response.status_code == 200
    assert len(response.json()["changes"]) == 1
    assert bench.proposals.taken == {}
    assert await replicas(bench) == 3


@every_write
async def test_a_viewer_may_not_even_propose(bench, route):
    async with bench.http("viewer-token") as http:
        response = await write(http, route)
    assert (response.status_code, response.json()["reason"]) == (403, "role_missing")
    assert bench.proposals.taken == {}


@every_write
async def test_without_a_token_there_is_no_answer(bench, person, route):
    del person.headers["Authorization"]
    assert (await write(person, route)).status_code == 401


async def test_a_granted_write_takes_effect_once(bench, executor):
    command = await scale(bench)
    grant = bench.issuer.grant(command)
    first = await write(executor, "desired-state", key="k8", grant=grant)
    assert (first.status_code, first.json()["status"], first.json()["replayed"]) == (200, "applied", False)
    assert first.headers["etag"] == '"2"'
    again = await write(executor, "desired-state", key="k8", grant=grant)
    assert again.json() == first.json() | {"replayed": True}
    assert await replicas(bench) == 8
    assert bench.target.effects("k8") == 1
    effect = (await executor.get(f"{BASE}/effects/k8")).json()
    assert effect["applied_count"] == 1
    assert bench.proposals.taken == {}


async def test_a_replay_is_answered_even_when_its_grant_has_expired(bench, executor):
    command = await scale(bench)
    grant = bench.issuer.grant(command)
    await write(executor, "desired-state", key="k8", grant=grant)
    bench.clock.advance(timedelta(hours=1))
    assert (await write(executor, "desired-state", key="k8", grant=grant)).json()["replayed"]


async def test_another_body_under_a_used_key_is_a_conflict(bench, executor):
    command = await scale(bench)
    grant = bench.issuer.grant(command)
    await write(executor, "desired-state", key="k8", grant=grant)
    body = {"patches": [{"op": "set", "path": ["services", "shop", "replicas"], "value": 9}]}
    response = await write(executor, "desired-state", key="k8", grant=grant, body=body)
    assert (response.status_code, response.json()["reason"]) == (409, "key_reused")
    assert await replicas(bench) == 8


async def test_a_grant_nobody_trusted_signed_is_refused(bench, executor):
    command = await scale(bench)
    grant = Issuer(bench.clock).grant(command)
    assert await refused(bench, await write(executor, "desired-state", key="k8", grant=grant), "grant_invalid")


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "eyJhbGciOiJub25lIn0.e30."])
async def test_a_grant_that_is_none_is_refused(bench, executor, text):
    await scale(bench)
    response = await write(executor, "desired-state", key="k8", **{"Opsmesh-Grant": text})
    assert await refused(bench, response, "grant_invalid")


@pytest.mark.parametrize("wrong", [{"aud": "another-service"}, {"iss": "somebody"}])
async def test_a_token_meant_for_something_else_is_refused(bench, executor, wrong):
    command = await scale(bench)
    claims = bench.services.door.gate.read(bench.issuer.grant(command))
    grant = bench.issuer.sign(claims, **wrong)
    assert await refused(bench, await write(executor, "desired-state", key="k8", grant=grant), "grant_invalid")


async def test_an_expired_grant_is_refused(bench, executor):
    command = await scale(bench)
    grant = bench.issuer.grant(command, expires_at=bench.clock.now())
    assert await refused(bench, await write(executor, "desired-state", key="k8", grant=grant), "grant_expired")


async def test_a_used_grant_is_refused_for_another_effect(bench, executor):
    first = await scale(bench)
    await write(executor, "desired-state", key="k8", grant=bench.issuer.grant(first, jti="once"))
    second = await scale(bench, 3)
    response = await write(
        executor,
        "desired-state",
        key="k3",
        grant=bench.issuer.grant(second, jti="once"),
        body={"patches": [{"op": "set", "path": ["services", "shop", "replicas"], "value": 3}]},
    )
    assert (response.status_code, response.json()["reason"]) == (403, "grant_used")
    assert await replicas(bench) == 8


async def test_a_grant_of_another_tenant_is_refused(bench, executor):
    command = await scale(bench)
    grant = bench.issuer.grant(command, tenant="globex")
    assert await refused(bench, await write(executor, "desired-state", key="k8", grant=grant), "grant_tenant")


async def test_a_grant_for_another_environment_is_refused(bench, executor):
    command = await scale(bench)
    grant = bench.issuer.grant(command, environment="staging")
    assert await refused(bench, await write(executor, "desired-state", key="k8", grant=grant), "grant_environment")


async def test_a_grant_for_another_key_is_refused(bench, executor):
    command = await scale(bench)
    grant = bench.issuer.grant(command)
    assert await refused(bench, await write(executor, "desired-state", key="other", grant=grant), "grant_key")


async def test_a_grant_without_a_key_is_refused(bench, executor):
    command = await scale(bench)
    grant = bench.issuer.grant(command)
    assert await refused(bench, await write(executor, "desired-state", key=None, grant=grant), "key_missing", 422)


@pytest.mark.parametrize(
    "patch",
    [
        {"op": "set", "path": ["services", "shop", "replicas"], "value": 9},
        {"op": "set", "path": ["services", "cart", "memory_mib"], "value": 8},
        {"op": "set", "path": ["services", "shop", "replicas"], "value": 8, "override_until": "2026-03-10T10:00:00Z"},
    ],
)
async def test_an_altered_body_is_refused(bench, executor, patch):
    command = await scale(bench)
    response = await write(
        executor, "desired-state", key="k8", grant=bench.issuer.grant(command), body={"patches": [patch]}
    )
    assert await refused(bench, response, "preview_changed")


async def test_a_longer_override_than_was_allowed_is_refused(bench, executor):
    def body(until):
        path = ["tenants", "acme", "rate_limit_rps"]
        return {"patches": [{"op": "set", "path": path, "value": 10.0, "override_until": until}]}

    allowed = await write(
        executor, "desired-state", body=body("2026-03-10T10:00:00+00:00"), params={"dryRun": "true"}
    )  # fmt: skip
    command = await scale(bench)
    grant = bench.issuer.grant(command, preview_digest=_digest(allowed.json()["changes"]))
    response = await write(
        executor, "desired-state", key="k8", grant=grant, body=body("2026-03-10T20:00:00+00:00")
    )  # fmt: skip
    assert await refused(bench, response, "preview_changed")
    response = await write(
        executor, "desired-state", key="k8", grant=grant, body=body("2026-03-10T10:00:00+00:00")
    )  # fmt: skip
    assert response.status_code == 200


def _digest(changes):
    return preview_digest([ResourceChange.model_validate(change) for change in changes])


async def test_a_grant_lapses_when_somebody_changes_the_field_first(bench, executor):
    command = await scale(bench)
    other = await scale(bench, 5)
    body = {"patches": [{"op": "set", "path": ["services", "shop", "replicas"], "value": 5}]}
    await write(executor, "desired-state", key="k5", grant=bench.issuer.grant(other), body=body)
    response = await write(executor, "desired-state", key="k8", grant=bench.issuer.grant(command))
    assert (response.status_code, response.json()["reason"]) == (403, "preview_changed")
    assert await replicas(bench) == 5


async def test_a_stale_executor_is_refused(bench, executor):
    command = await scale(bench)
    other = await scale(bench, 5)
    body = {"patches": [{"op": "set", "path": ["services", "shop", "replicas"], "value": 5}]}
    await write(executor, "desired-state", key="k5", grant=bench.issuer.grant(other, fencing=7), body=body)
    command = await scale(bench, 8)
    response = await write(executor, "desired-state", key="k8", grant=bench.issuer.grant(command, fencing=6))
    assert (response.status_code, response.json()["reason"]) == (403, "fencing_stale")
    assert await replicas(bench) == 5
    assert (await write(executor, "desired-state", key="k8", grant=bench.issuer.grant(command, fencing=7))).is_success


async def test_fencing_is_kept_per_resource(bench, executor):
    shop, cart = await scale(bench), {"kind": "service.restart", "arguments": {"service": "cart"}}
    await write(executor, "desired-state", key="k8", grant=bench.issuer.grant(shop, fencing=7))
    preview = (await write(executor, "restart", body=cart, params={"dryRun": "true"})).json()["changes"]
    grant = bench.issuer.grant(shop, fencing=2, idempotency_key="r", preview_digest=_digest(preview))
    assert (await write(executor, "restart", key="r", grant=grant, body=cart)).status_code == 200
    assert bench.target.restarts == ["cart"]


async def test_if_match_holds_a_write_to_the_version_it_was_made_for(bench, person):
    current = (await person.get(f"{BASE}/desired-state")).headers["etag"]
    good = await write(person, "desired-state", params={"dryRun": "true"}, **{"If-Match": current})
    assert good.status_code == 200
    response = await write(person, "desired-state", **{"If-Match": '"99"'})
    assert await refused(bench, response, "version_mismatch", 412)
    assert bench.proposals.taken == {}


@pytest.mark.parametrize(
    ("patches", "reason"),
    [
        ([("services", "shop", "nonsense", 1)], "patch_invalid"),
        ([("services", "shop", "replicas", -1)], "patch_invalid"),
        ([("services", "cart", "replicas", 3)], "field_owned"),
        ([("services", "shop", "health", "fast_burn_rate", 2.0)], "no_such_command"),
        ([("services", "shop", "replicas", 4), ("services", "shop", "version", "v2")], "not_one_command"),
        ([("services", "shop", 1)], "path_unknown"),
        ([("secrets", "x", "y", 1)], "path_unknown"),
    ],
)
async def test_a_write_that_is_no_command_is_told_why(bench, person, patches, reason):
    body = {"patches": [{"op": "set", "path": list(path), "value": value} for *path, value in patches]}
    assert await refused(bench, await write(person, "desired-state", body=body), reason, 422)
    assert bench.proposals.taken == {}


async def test_two_patches_may_be_one_resize(bench, person):
    patches = [("services", "shop", "cpu_millicores", 900), ("services", "shop", "memory_mib", 900)]
    body = {"patches": [{"op": "set", "path": list(path), "value": value} for *path, value in patches]}
    assert (await write(person, "desired-state", body=body)).status_code == 202
    assert bench.proposals.taken["k1"].arguments == {"service": "shop", "cpu_millicores": 900, "memory_mib": 900}


@pytest.mark.parametrize("extra", [{"force": True}, {"tenant": "globex"}])
@every_write
async def test_bodies_are_closed(bench, person, route, extra):
    response = await write(person, route, body=WRITES[route][1] | extra)
    assert await refused(bench, response, "invalid", 422)


async def test_an_oversized_body_is_not_parsed(bench, person):
    response = await write(person, "ticket", body={"cause": "x" * 300_000})
    assert await refused(bench, response, "too_large", 413)


async def test_what_the_target_could_not_follow_it_follows_later(bench, executor):
    command = await scale(bench)
    bench.target.unreachable = 1
    response = await write(executor, "desired-state", key="k8", grant=bench.issuer.grant(command))
    assert response.json()["status"] == "applied"
    assert "did not answer" in response.json()["detail"]
    assert await replicas(bench) == 3
    assert await bench.services.convergence.reconcile() == ()
    assert await replicas(bench) == 8
