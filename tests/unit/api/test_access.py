"""Who gets what from every route: nothing without a token, nothing of another tenant, no decision by a machine."""

import json
from typing import NamedTuple

import httpx
import pytest

from tests.unit.api.fakes import World, app_over, client_of, record, services

CLICK = {"digest": record("cmd-acme", "acme").digest}
ROLLBACK = {
    "kind": "service.rollback",
    "arguments": {"service": "checkout", "to_version": "v41"},
    "target": {"kind": "service", "id": "checkout"},
    "environment": "prod",
}
PLAN = {"environment": "prod", "commands": [{k: v for k, v in ROLLBACK.items() if k != "environment"}]}
WINDOW = {"start": "2026-03-02T09:00:00Z", "end": "2026-03-02T10:00:00Z", "reason": "quarter end"}
ROLE = {"role": "viewer", "tenant": "{tenant}"}


class Case(NamedTuple):
    """One route: how it is called about a thing of one's own, another tenant's, and none at all.

    `{tenant}`, `{thing}` are filled in; `change` tells that a success must be noted as a change.
    """

    route: str
    url: str
    things: tuple[str, str, str] = ("", "", "")
    body: object = None
    change: bool = True


INCIDENTS = ("inc-acme", "inc-globex", "inc-nowhere")
COMMANDS = ("cmd-acme", "cmd-globex", "cmd-nowhere")
SHARED = ("shared-acme", "shared-globex", "shared-nowhere")
SUBSCRIPTIONS = ("sub-acme", "sub-globex", "sub-nowhere")
PLANS = ("plan-acme", "plan-globex", "plan-nowhere")
PEOPLE = ("guest", "stranger", "missing")
CASES = (
    Case("get /v1/incidents", "/v1/incidents", change=False),
    Case("get /v1/incidents/{incident}", "/v1/incidents/{thing}", INCIDENTS, change=False),
    Case("get /v1/commands", "/v1/commands", change=False),
    Case("post /v1/commands", "/v1/commands", body={**ROLLBACK, "tenant": "{tenant}"}),
    Case("get /v1/commands/{command}", "/v1/commands/{thing}", COMMANDS, change=False),
    Case("post /v1/commands/{command}/approve", "/v1/commands/{thing}/approve", COMMANDS, CLICK),
    Case("post /v1/commands/{command}/reject", "/v1/commands/{thing}/reject", COMMANDS, CLICK),
    Case("post /v1/commands/{command}/cancel", "/v1/commands/{thing}/cancel", COMMANDS, CLICK),
    Case(
        "post /v1/commands/{command}/narrow", "/v1/commands/{thing}/narrow", COMMANDS, {**CLICK, "arguments": {"a": 1}}
    ),
    Case("get /v1/shared-commands", "/v1/shared-commands", change=False),
    Case("get /v1/shared-commands/{command}", "/v1/shared-commands/{thing}", SHARED, change=False),
    Case("get /v1/plans", "/v1/plans", change=False),
    Case("post /v1/plans", "/v1/plans", body={**PLAN, "tenant": "{tenant}"}),
    Case("get /v1/plans/{plan}", "/v1/plans/{thing}", PLANS, change=False),
    Case("post /v1/plans/{plan}/approve", "/v1/plans/{thing}/approve", PLANS, CLICK),
    Case("post /v1/plans/{plan}/reject", "/v1/plans/{thing}/reject", PLANS, CLICK),
    Case("get /v1/kill-switches", "/v1/kill-switches", change=False),
    Case("post /v1/kill-switches", "/v1/kill-switches", body={"scope": "tenant", "value": "{tenant}", "reason": "x"}),
    Case(
        "post /v1/kill-switches",
        "/v1/kill-switches",
        COMMANDS,
        {"scope": "command", "value": "{thing}", "reason": "x"},
    ),
    Case("delete /v1/kill-switches/{scope}/{value}", "/v1/kill-switches/tenant/{tenant}?reason=x"),
    Case("delete /v1/kill-switches/{scope}/{value}", "/v1/kill-switches/command/{thing}?reason=x", COMMANDS),
    Case("get /v1/freezes", "/v1/freezes?tenant={tenant}", change=False),
    Case("post /v1/freezes", "/v1/freezes", body={**WINDOW, "tenant": "{tenant}"}),
    Case(
        "delete /v1/freezes/{freeze}",
        "/v1/freezes/{thing}?tenant=acme",
        ("frz-acme", "frz-globex", "frz-nowhere"),
    ),
    Case("delete /v1/freezes/{freeze}", "/v1/freezes/frz-globex?tenant={tenant}", ("", "", "")),
    Case(
        "get /v1/traces/{subject}", "/v1/traces/{thing}", ("trace-acme", "trace-globex", "trace-nowhere"), change=False
    ),
    Case("get /v1/subscriptions", "/v1/subscriptions?tenant={tenant}", change=False),
    Case("get /v1/subscriptions/key", "/v1/subscriptions/key", change=False),
    Case("post /v1/subscriptions", "/v1/subscriptions", body={"tenant": "{tenant}", "url": "https://example.com/in"}),
    Case("delete /v1/subscriptions/{subscription}", "/v1/subscriptions/{thing}?tenant=acme", SUBSCRIPTIONS),
    Case(
        "post /v1/subscriptions/{subscription}/replay",
        "/v1/subscriptions/{thing}/replay?tenant=acme",
        SUBSCRIPTIONS,
        {"after": 0},
    ),
    Case(
        "get /v1/subscriptions/{subscription}/dead-letters",
        "/v1/subscriptions/{thing}/dead-letters?tenant=acme",
        SUBSCRIPTIONS,
        change=False,
    ),
    Case("get /v1/principals", "/v1/principals", change=False),
    Case("get /v1/principals/me", "/v1/principals/me", change=False),
    Case(
        "post /v1/principals",
        "/v1/principals",
        body={"id": "eve@acme", "kind": "person", "name": "Eve", "grants": [ROLE]},
    ),
    Case("put /v1/principals/{principal}/grants", "/v1/principals/{thing}/grants", PEOPLE, {"grants": []}),
    Case("post /v1/principals/{principal}/tokens", "/v1/principals/{thing}/tokens", PEOPLE),
    Case("delete /v1/principals/{principal}", "/v1/principals/{thing}", PEOPLE),
    Case("get /v1/sources", "/v1/sources", change=False),
    Case("post /v1/sources", "/v1/sources", body={"id": "probe@acme", "source": "urn:p", "tenants": ["{tenant}"]}),
    Case("delete /v1/sources/{source}", "/v1/sources/{thing}", ("sensor", "foreign-sensor", "missing")),
    Case("get /v1/audit/verify", "/v1/audit/verify?tenant={tenant}", change=False),
    Case("get /v1/lessons", "/v1/lessons", change=False),
    Case("get /v1/schema", "/v1/schema", change=False),
)
NAMES = [f"{n}-{case.route.replace('/v1/', '')}" for n, case in enumerate(CASES)]
APP = app_over(World(leaky=False))
"""Built once: each call puts its own world behind it."""
MINE, FOREIGN, MISSING = range(3)
TENANTS = ("acme", "globex", "nowhere")


async def call(world: World, case: Case, token: str | None, which: int) -> httpx.Response:
    def filled(text: str) -> str:
        return text.replace("{tenant}", TENANTS[which]).replace("{thing}", case.things[which])

    method = case.route.partition(" ")[0].upper()
    APP.state.services = services(world)
    async with client_of(APP, token) as client:
        body = None if case.body is None else json.loads(filled(json.dumps(case.body)))
        return await client.request(method, filled(case.url), json=body)


def is_scoped(case: Case) -> bool:
    return "{tenant}" in case.url + json.dumps(case.body) or case.things != ("", "", "")


def answer(response: httpx.Response) -> tuple[int, bytes, dict[str, str]]:
    return response.status_code, response.content, dict(response.headers)


def test_every_route_has_a_case() -> None:
    paths = app_over(World(leaky=False)).openapi()["paths"]
    routes = {f"{method} {path}" for path, methods in paths.items() for method in methods}
    assert {case.route for case in CASES} | {"get /healthz"} == routes


@pytest.mark.parametrize("case", CASES, ids=NAMES)
@pytest.mark.parametrize("token", [None, "", "wrong"], ids=["none", "empty", "wrong"])
async def test_nothing_without_a_token_that_counts(case: Case, token: str | None) -> None:
    world = World(leaky=False)
    first, second = await call(world, case, token, MINE), await call(world, case, token, FOREIGN)
    assert first.status_code == 401
    assert first.headers["www-authenticate"] == "Bearer"
    assert answer(first) == answer(second)
    assert b"revoked" not in first.content
    assert world.calls == []


@pytest.mark.parametrize("case", CASES, ids=NAMES)
async def test_an_event_source_key_opens_nothing_here(case: Case) -> None:
    world = World(leaky=False)
    response = await call(world, case, "sensor", MINE)
    assert (response.status_code, response.json()["reason"]) == (403, "wrong_credential")
    assert world.calls == []


@pytest.mark.parametrize("leaky", [False, True], ids=["tight", "leaky"])
@pytest.mark.parametrize("case", CASES, ids=NAMES)
async def test_another_tenants_thing_is_answered_like_none_at_all(case: Case, leaky: bool) -> None:
    world = World(leaky=leaky)
    foreign, missing = await call(world, case, "dana", FOREIGN), await call(world, case, "dana", MISSING)
    assert answer(foreign) == answer(missing)
    if is_scoped(case):
        assert foreign.status_code in {403, 404}
        assert world.calls == []
    assert b"globex" not in foreign.content
    assert b"globex" not in missing.content


HOME = [n for n, case in enumerate(CASES) if not case.url.startswith("/v1/freezes/frz-globex")]
"""All but the one case that is about a tenant and a thing that do not fit."""


@pytest.mark.parametrize("case", [CASES[n] for n in HOME], ids=[NAMES[n] for n in HOME])
async def test_the_same_calls_succeed_at_home(case: Case) -> None:
    world = World(leaky=False)
    response = await call(world, case, "dana", MINE)
    assert response.status_code in {200, 201, 202, 204}, response.text
    assert b"globex" not in response.content
    assert bool(world.calls) == case.change


WITHOUT_ROLE = [
    (token, n)
    for token in ("guest", "nobody", "feeder", "staging-only")
    for n, case in enumerate(CASES)
    # whether a viewer's approval counts is judged, and audited, by the governed path itself
    if case.change and not (token == "guest" and case.route.endswith(("/approve", "/reject")))
]


@pytest.mark.parametrize(("token", "number"), WITHOUT_ROLE, ids=[f"{t}-{NAMES[n]}" for t, n in WITHOUT_ROLE])
async def test_without_the_role_in_the_place_nothing_changes(token: str, number: int) -> None:
    world = World(leaky=False)
    response = await call(world, CASES[number], token, MINE)
    assert response.status_code in {403, 404}, response.text
    assert world.calls == []


@pytest.mark.parametrize("verb", ["approve", "reject", "narrow"])
@pytest.mark.parametrize("token", ["sre", "robot"])
async def test_a_machine_decides_nothing_whatever_its_roles(verb: str, token: str) -> None:
    world = World(leaky=False)
    case = next(case for case in CASES if case.route.endswith(f"/{verb}"))
    response = await call(world, case, token, MINE)
    assert (response.status_code, response.json()["reason"]) == (403, "not_a_person")
    assert world.calls == []


async def test_an_agent_cancels_nothing_but_its_own() -> None:
    world = World(leaky=False)
    case = next(case for case in CASES if case.route.endswith("/cancel"))
    assert (await call(world, case, "sre", MINE)).status_code == 403
    held = world.records["cmd-acme"]
    own = held.model_copy(update={"command": held.command.model_copy(update={"proposer": "sre"})})
    world.records["cmd-acme"] = own
    assert (await call(world, case, "sre", MINE)).status_code == 200


@pytest.mark.parametrize("scope", [("global", "*"), ("agent", "sre"), ("kind", "service.rollback")], ids=str)
async def test_switches_of_shared_scope_take_the_platforms_operator(scope: tuple[str, str]) -> None:
    world = World(leaky=False)
    body = {"scope": scope[0], "value": scope[1], "reason": "calm down"}
    for token, status in (("dana", 404), ("platform-op", 201), ("root", 201)):
        async with client_of(app_over(world), token) as client:
            assert (await client.post("/v1/kill-switches", json=body)).status_code == status
            done = await client.delete(f"/v1/kill-switches/{scope[0]}/{scope[1]}?reason=over")
            assert done.status_code == (204 if status == 201 else status)
    assert [call[:2] for call in world.calls] == [
        ("engage", "platform-op"),
        ("release", "platform-op"),
        ("engage", "root"),
        ("release", "root"),
    ]


async def test_a_tenants_administrator_hands_out_nothing_beyond_the_tenant() -> None:
    world = World(leaky=False)
    async with client_of(app_over(world), "dana") as client:
        for grants in (
            [{"role": "viewer", "tenant": "*"}],
            [{"role": "viewer", "tenant": "platform"}],
            [{"role": "viewer", "tenant": "acme"}, {"role": "admin", "tenant": "globex"}],
        ):
            new = {"id": "eve@acme", "kind": "person", "name": "Eve", "grants": grants}
            assert (await client.post("/v1/principals", json=new)).status_code == 403
            assert (await client.put("/v1/principals/guest/grants", json={"grants": grants})).status_code == 403
    assert world.calls == []


async def test_roles_held_elsewhere_survive_and_stay_unseen() -> None:
    world = World(leaky=False)
    guest, stranger = world.people["guest"], world.people["stranger"]
    both = guest.model_copy(update={"grants": (*guest.grants, *stranger.grants)})
    world.people["guest"] = both
    async with client_of(app_over(world), "dana") as client:
        shown = await client.put("/v1/principals/guest/grants", json={"grants": []})
        assert shown.json()["grants"] == []
        assert (await client.post("/v1/principals/guest/tokens")).status_code == 403
        assert (await client.delete("/v1/principals/guest")).status_code == 403
        assert "globex" not in (await client.get("/v1/principals")).text
    assert world.calls == [("set_grants", "dana", "guest", stranger.grants)]


async def test_an_administrator_of_one_environment_gives_roles_there_only() -> None:
    world = World(leaky=False)
    async with client_of(app_over(world), "staging-only") as client:
        for environment, status in (("staging", 201), ("prod", 403), ("*", 403)):
            grant = {"role": "viewer", "tenant": "acme", "environment": environment}
            new = {"id": "eve@acme", "kind": "person", "name": "Eve", "grants": [grant]}
            assert (await client.post("/v1/principals", json=new)).status_code == status


async def test_an_agent_is_not_created_with_an_approving_role() -> None:
    world = World(leaky=False)
    new = {"id": "x@acme", "kind": "agent", "name": "x", "grants": [{"role": "approver", "tenant": "acme"}]}
    async with client_of(app_over(world), "dana") as client:
        assert (await client.post("/v1/principals", json=new)).status_code == 422
    assert world.calls == []


async def test_everything_is_seen_by_who_reaches_everything() -> None:
    world = World(leaky=False)
    async with client_of(app_over(world), "root") as client:
        assert len((await client.get("/v1/commands")).json()) == 2
        assert len((await client.get("/v1/principals")).json()) == len(world.people)
        assert set((await client.get("/v1/principals/me")).json()["grants"][0]) == {"role", "tenant", "environment"}
