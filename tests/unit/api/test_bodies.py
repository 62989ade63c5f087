"""Malformed, oversized and hostile requests get a clear problem that repeats nothing, and they change nothing."""

import json
from collections.abc import AsyncIterator

import httpx
import pytest
from inline_snapshot import snapshot

from domain.base import digest_of
from domain.errors import Broken, Conflict, OutcomeUnknown, Refused, Unavailable
from tests.unit.api.fakes import World, app_over, client_of

ROLLBACK = {
    "kind": "service.rollback",
    "arguments": {"service": "checkout", "to_version": "v41"},
    "target": {"kind": "service", "id": "checkout"},
    "tenant": "acme",
    "environment": "prod",
}
LIMIT = 4096


async def post(
    content: bytes | AsyncIterator[bytes], *, world: World | None = None, path: str = "/v1/commands"
) -> httpx.Response:
    app = app_over(world or World(leaky=False), max_body_bytes=LIMIT)
    async with client_of(app, "dana") as client:
        return await client.post(path, content=content, headers={"Content-Type": "application/json"})


def body(**changes: object) -> bytes:
    return json.dumps({**ROLLBACK, **changes}).encode()


async def chunks(size: int, *, at: int = 512) -> AsyncIterator[bytes]:
    for _ in range(size // at):
        yield b" " * at


BAD: dict[str, tuple[bytes, int]] = {
    "empty": (b"", 422),
    "not json": (b"{", 400),
    "half a string": (b'{"kind": "service.roll', 400),
    "not utf-8": (b'{"kind": "\xff"}', 400),
    "deep": (b"[" * 4000, 400),
    "a list": (b"[]", 422),
    "null": (b"null", 422),
    "unknown kind": (body(kind="service.delete_everything"), 422),
    "unknown field": (body(proposer="root"), 422),
    "arguments of another kind": (body(arguments={"service": "checkout", "replicas": 3}), 422),
    "an extra argument": (body(arguments={"service": "c", "to_version": "v", "force": True}), 422),
    "not a number": (body(arguments={"service": "c", "to_version": float("nan")}), 422),
    "zero character": (body(rationale="a\x00b"), 422),
    "half a character": (body(rationale="\ud800"), 422),
    "a number beyond JSON": (body(kind="service.scale", arguments={"service": "c", "replicas": 2**60}), 422),
    "a shell in a name": (body(environment="prod; rm -rf /"), 422),
    "an empty tenant": (body(tenant=""), 422),
    "every tenant": (body(tenant="*"), 422),
    "a long rationale": (body(rationale="x" * 2001), 422),
}


@pytest.mark.parametrize("name", BAD)
async def test_what_does_not_fit_is_refused_with_a_problem(name: str) -> None:
    world = World(leaky=False)
    content, status = BAD[name]
    response = await post(content, world=world)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "detail", "reason"} <= set(response.json())
    assert world.calls == []


async def test_a_problem_says_where_and_what_without_the_value() -> None:
    response = await post(body(environment="prod; DROP TABLE", confidence=2))
    assert response.json() == snapshot(
        {
            "type": "urn:opsmesh:problem:invalid",
            "title": "Unprocessable Entity",
            "status": 422,
            "detail": "the request does not fit its schema",
            "reason": "invalid",
            "fields": [
                {
                    "where": "body.environment",
                    "what": "String should match pattern '^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$'",
                },
                {"where": "body.confidence", "what": "Extra inputs are not permitted"},
            ],
        }
    )


async def test_text_of_a_ticket_may_hold_no_zero_character() -> None:
    ticket = {"owner_team": "web", "title": "a\x00", "cause": "b", "missing_action": "c"}
    response = await post(body(kind="ticket.open", arguments=ticket))
    assert response.status_code == 422


@pytest.mark.parametrize("path", ["/v1/commands", "/v1/commands/cmd-acme/approve", "/v1/freezes", "/nowhere"])
async def test_a_body_over_the_limit_is_cut_off_declared_or_not(path: str) -> None:
    world = World(leaky=False)
    declared = await post(b" " * (LIMIT + 1), world=world, path=path)
    assert (declared.status_code, declared.json()["reason"]) == (413, "too_large")
    if path != "/nowhere":  # nobody reads the body there, so nobody counts it
        counted = await post(chunks(10 * LIMIT), world=world, path=path)
        assert (counted.status_code, counted.json()["reason"]) == (413, "too_large")
    assert world.calls == []


async def test_a_body_at_the_limit_is_read() -> None:
    content = body()
    assert (await post(content + b" " * (LIMIT - len(content)))).status_code == 202


async def test_intake_counts_its_own_bytes() -> None:
    for path in ("/events", "/webhooks/alertmanager", "/v1/metrics", "/v1/logs", "/v1/traces"):
        assert (await post(b" " * (LIMIT + 1), path=path)).status_code == 404, "not cut off by this limit"


@pytest.mark.parametrize("digest", [None, "", "sha256:0", "md5:" + "0" * 64, 7])
async def test_an_answer_names_a_digest(digest: object) -> None:
    world = World(leaky=False)
    sent = {} if digest is None else {"digest": digest}
    for verb in ("approve", "reject", "cancel", "narrow"):
        path = f"/v1/commands/cmd-acme/{verb}"
        assert (await post(json.dumps(sent).encode(), world=world, path=path)).status_code == 422
    assert world.calls == []


@pytest.mark.parametrize("name", ["..", "a b", "%00", "x" * 201, "%2e%2e%2fetc"])
async def test_hostile_ids_find_nothing(name: str) -> None:
    world = World(leaky=False)
    async with client_of(app_over(world), "dana") as client:
        for path in (f"/v1/commands/{name}", f"/v1/incidents/{name}"):
            assert (await client.get(path)).status_code in {404, 422}


@pytest.mark.parametrize(
    "request_body",
    [
        {"scope": "global", "value": "acme", "reason": "x"},
        {"scope": "tenant", "value": "*", "reason": "x"},
        {"scope": "tenant", "reason": "x"},
        {"scope": "tenant", "value": "acme", "reason": ""},
        {"scope": "tenant", "value": "acme"},
    ],
    ids=["global of one", "tenant of all", "tenant of none", "no reason", "reason missing"],
)
async def test_a_switch_names_what_it_stops_and_why(request_body: dict[str, str]) -> None:
    world = World(leaky=False)
    async with client_of(app_over(world), "root") as client:
        assert (await client.post("/v1/kill-switches", json=request_body)).status_code == 422
    assert world.calls == []


async def test_a_freeze_ends_after_it_starts() -> None:
    window = {"tenant": "acme", "start": "2026-03-02T10:00:00Z", "end": "2026-03-02T10:00:00Z", "reason": "x"}
    assert (await post(json.dumps(window).encode(), path="/v1/freezes")).status_code == 422
    naive = {**window, "end": "2026-03-02T11:00:00"}
    assert (await post(json.dumps(naive).encode(), path="/v1/freezes")).status_code == 422


async def test_a_proposal_is_accepted_with_its_address_and_a_dry_run_leaves_nothing() -> None:
    world = World(leaky=False)
    async with client_of(app_over(world), "dana") as client:
        done = await client.post("/v1/commands", json=ROLLBACK, headers={"Idempotency-Key": "once"})
        assert (done.status_code, done.headers["location"]) == (202, "/v1/commands/cmd-acme")
        dry = await client.post("/v1/commands?dryRun=true", json=ROLLBACK)
        assert (dry.status_code, dry.json()["record"]) == (200, None)
        assert "location" not in dry.headers
    assert world.calls == [("propose", "dana", "acme", "once", False)]


async def test_an_answer_reaches_the_decider_with_who_and_what() -> None:
    world = World(leaky=False)
    digest = world.records["cmd-acme"].digest
    async with client_of(app_over(world), "dana") as client:
        for verb in ("approve", "reject", "cancel"):
            done = await client.post(f"/v1/commands/cmd-acme/{verb}", json={"digest": digest})
            assert done.json()["decided_by"] == "dana"
    assert [call[1:] for call in world.calls] == [("dana", "cmd-acme", digest)] * 3


@pytest.mark.parametrize("verb", ["cancel", "narrow"])
async def test_another_digest_takes_nothing_back(verb: str) -> None:
    world = World(leaky=False)
    stale = json.dumps({"digest": digest_of("an older card"), **({"arguments": {}} if verb == "narrow" else {})})
    response = await post(stale.encode(), world=world, path=f"/v1/commands/cmd-acme/{verb}")
    assert (response.status_code, response.json()["reason"]) == (403, "digest_mismatch")
    assert world.calls == []


async def test_states_filter_the_list() -> None:
    async with client_of(app_over(World(leaky=False)), "dana") as client:
        both = await client.get("/v1/commands?state=AWAITING_APPROVAL&state=APPROVED")
        assert [row["command"]["id"] for row in both.json()] == ["cmd-acme"]
        assert (await client.get("/v1/commands?state=APPROVED")).json() == []
        assert (await client.get("/v1/commands?state=NONSENSE")).status_code == 422
        assert (await client.get("/v1/commands?limit=0")).status_code == 422


ERRORS = [
    (Refused("self_approval: nobody decides about their own proposal", reason="self_approval"), 403, "self_approval"),
    (Conflict("it has started", reason="not_allowed"), 409, "not_allowed"),
    (Unavailable("the store did not answer", reason="store_unavailable"), 503, "store_unavailable"),
    (OutcomeUnknown("no answer from the target", reason="outcome_unknown"), 504, "outcome_unknown"),
    (Broken("chain of acme is torn at 7", reason="chain"), 500, "broken"),
    (ZeroDivisionError("internal detail"), 500, "broken"),
]


@pytest.mark.parametrize(("error", "status", "reason"), ERRORS, ids=[type(row[0]).__name__ for row in ERRORS])
async def test_each_family_of_errors_has_its_answer(error: Exception, status: int, reason: str) -> None:
    world = World(leaky=False)
    app = app_over(world)

    class Failing:
        def lessons(self, reach: object, *, limit: int) -> None:
            raise error

    object.__setattr__(app.state.services, "records", Failing())
    async with client_of(app, "dana") as client:
        response = await client.get("/v1/lessons")
    assert (response.status_code, response.json()["reason"]) == (status, reason)
    assert response.headers["content-type"] == "application/problem+json"
    assert ("retry-after" in response.headers) == isinstance(error, Unavailable)
    if reason == "broken":
        assert str(error) not in response.text


async def test_health_tells_strangers_whether_and_not_what() -> None:
    world = World(leaky=False)
    async with client_of(app_over(world)) as client:
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        world.faults_.append("store at db-7.internal")
        degraded = await client.get("/healthz")
    assert (degraded.status_code, degraded.json()) == (503, {"status": "degraded"})


async def test_schemas_are_served_and_the_surface_describes_itself() -> None:
    app = app_over(World(leaky=False))
    async with client_of(app, "guest") as client:
        assert "command:service.rollback" in (await client.get("/v1/schema")).json()
    assert "/v1/commands/{command}/approve" in app.openapi()["paths"]
