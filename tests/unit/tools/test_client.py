"""The client's bounds: time, size, retries only where they are safe, and errors of ours only."""

import asyncio

import httpx
import pytest
from pydantic import TypeAdapter

from domain.errors import (
    Broken,
    Conflict,
    Invalid,
    NotFound,
    OutcomeUnknown,
    Refused,
    Unauthenticated,
    Unavailable,
)
from domain.problems import Problem
from domain.runtime_api import REQUESTS
from tools.client import Limits, RuntimeClient

NUMBERS = TypeAdapter(list[int])
BODY = REQUESTS["service.restart"].model_validate({"kind": "service.restart", "arguments": {"service": "shop"}})


class Scripted(httpx.AsyncBaseTransport):
    """Answers from a list; the last one for ever. An exception is raised, a number is a status."""

    def __init__(self, *script):
        self.script, self.requests = list(script), []

    async def handle_async_request(self, request):
        self.requests.append(request)
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if step == "hang":
            await asyncio.Event().wait()
        if isinstance(step, Exception):
            raise step
        return httpx.Response(step) if isinstance(step, int) else step


def problem(status, reason="why"):
    body = Problem(type="urn:x", title="t", status=status, detail="because", reason=reason)
    return httpx.Response(status, json=body.model_dump())


def good(content=b"[1]", status=200):
    return httpx.Response(status, content=content)


@pytest.fixture
def made():
    waits, clients = [], []

    def make(*script, **limits):
        async def pause(seconds):
            waits.append(seconds)

        wire = Scripted(*script)
        http = httpx.AsyncClient(transport=wire, base_url="http://runtime")
        clients.append(http)
        client = RuntimeClient(http=http, token="t", limits=Limits(**limits), pause=pause)
        return client, wire

    make.waits = waits
    return make


async def send(client):
    return await client.write("POST", "/x", BODY, key="k", grant="g")


@pytest.mark.parametrize(
    "trouble", [httpx.ReadError("lost"), httpx.ConnectError("refused"), httpx.ReadTimeout("slow"), 500, 503, 429]
)
async def test_reads_are_tried_again(made, trouble):
    client, wire = made(trouble, trouble, good())
    assert await client.read("/x", NUMBERS) == [1]
    assert len(wire.requests) == 3
    assert made.waits == sorted(made.waits)
    assert len(made.waits) == 2


async def test_reads_give_up_with_the_reason(made):
    client, wire = made(problem(503, "store_unavailable"))
    with pytest.raises(Unavailable) as caught:
        await client.read("/x", NUMBERS)
    assert (caught.value.reason, len(wire.requests)) == ("store_unavailable", 3)


@pytest.mark.parametrize(
    ("status", "family"),
    [
        (400, Invalid), (401, Unauthenticated), (403, Refused), (404, NotFound), (409, Conflict), (412, Conflict),
        (413, Invalid), (422, Invalid), (418, Broken),
    ],
)  # fmt: skip
async def test_an_error_answer_is_one_of_ours_and_final(made, status, family):
    for call in (lambda c: c.read("/x", NUMBERS), send):
        client, wire = made(problem(status, "slug"))
        with pytest.raises(family) as caught:
            await call(client)
        assert type(caught.value) is family
        assert (caught.value.reason, str(caught.value), len(wire.requests)) == ("slug", "because", 1)


@pytest.mark.parametrize(
    "lost", [httpx.ReadError("lost"), httpx.ReadTimeout("slow"), httpx.WriteError("cut"), 500, 502]
)
async def test_a_write_whose_answer_is_lost_is_unknown_and_never_sent_again(made, lost):
    client, wire = made(lost, good())
    with pytest.raises(OutcomeUnknown):
        await send(client)
    assert len(wire.requests) == 1


@pytest.mark.parametrize("unreceived", [httpx.ConnectError("refused"), httpx.ConnectTimeout("slow"), 429])
async def test_a_write_that_was_not_received_is_sent_again(made, unreceived):
    client, wire = made(unreceived, good())
    assert (await send(client)).body == b"[1]"
    assert [r.headers["Idempotency-Key"] for r in wire.requests] == ["k", "k"]


async def test_a_write_that_was_never_received_is_not_unknown(made):
    client, _ = made(httpx.ConnectError("refused"))
    with pytest.raises(Unavailable) as caught:
        await send(client)
    assert not isinstance(caught.value, OutcomeUnknown)


async def test_a_deadline_holds_on_every_transport(made):
    client, _ = made("hang", time_s=0.01, attempts=1)
    with pytest.raises(Unavailable) as caught:
        await client.read("/x", NUMBERS)
    assert caught.value.reason == "timeout"
    with pytest.raises(OutcomeUnknown):
        await send(client)


async def test_an_answer_larger_than_the_limit_is_cut_off(made):
    client, wire = made(good(b"[" + b"1," * 500 + b"1]"), output_bytes=100)
    with pytest.raises(Invalid) as caught:
        await client.read("/x", NUMBERS)
    assert (caught.value.reason, len(wire.requests)) == ("output_limit", 1)


async def test_a_write_with_an_answer_too_large_is_unknown(made):
    client, _ = made(good(b"x" * 200), output_bytes=100)
    with pytest.raises(OutcomeUnknown):
        await send(client)


async def test_a_request_larger_than_the_limit_is_not_sent(made):
    client, wire = made(good(), input_bytes=100)
    ticket = {"owner_team": "t", "title": "t", "cause": "x" * 200, "missing_action": "y"}
    body = REQUESTS["ticket.open"].model_validate({"kind": "ticket.open", "arguments": ticket})
    with pytest.raises(Invalid) as caught:
        await client.write("POST", "/x", body, key="k", grant="g")
    assert (caught.value.reason, wire.requests) == ("input_limit", [])


@pytest.mark.parametrize("content", [b"", b"{", b'["x"]', b"null"])
async def test_an_answer_that_does_not_fit_is_broken(made, content):
    client, _ = made(good(content))
    with pytest.raises(Broken):
        await client.read("/x", NUMBERS)


async def test_every_call_names_caller_tenant_and_trace(made):
    client, wire = made(good())
    await client.for_tenant("acme").write("POST", "/x", BODY, key="k", grant="g", trace="00-a-b-01")
    headers = wire.requests[0].headers
    assert headers["Authorization"] == "Bearer t"
    assert headers["Opsmesh-Tenant"] == "acme"
    assert (headers["Opsmesh-Grant"], headers["traceparent"]) == ("g", "00-a-b-01")


async def test_an_error_page_that_is_no_problem_is_still_told(made):
    client, _ = made(httpx.Response(404, content=b"<html>"))
    with pytest.raises(NotFound) as caught:
        await client.read("/x", NUMBERS)
    assert caught.value.reason == "http_404"


def test_a_clients_token_is_in_no_text_of_it() -> None:
    client = RuntimeClient(http=httpx.AsyncClient(), token="very-secret")
    assert "very-secret" not in f"{client!r} {client}"
