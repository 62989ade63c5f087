"""The gateway against a real HTTP server on loopback: what is sent, what is retried, what gives up."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence

import pytest

from agents.llm import MODEL_CALLS, OpenAIChat
from domain.errors import Unavailable


class Endpoint:
    """An OpenAI-compatible endpoint that gives the answers it was told to, in order; None never answers."""

    def __init__(self, answers: Sequence[tuple[int, str] | None]) -> None:
        self.answers = list(answers)
        self.bodies: list[str] = []
        self.url = ""
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(
            next(line for line in head.lower().splitlines() if line.startswith("content-length")).split(":")[1]
        )
        self.bodies.append((await reader.readexactly(length)).decode())
        answer = self.answers.pop(0)
        if answer is not None:
            status, body = answer
            head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            writer.write(f"{head}Connection: close\r\n\r\n{body}".encode())
            await writer.drain()
            writer.close()


def said(text: str, finish: str = "stop") -> tuple[int, str]:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "finish_reason": finish, "message": message}
    return 200, json.dumps({"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]})


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    MODEL_CALLS.allowed = True
    fake = Endpoint([])
    server = await asyncio.start_server(fake.serve, "127.0.0.1", 0)
    fake.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    yield fake
    server.close()
    for writer in fake.writers:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def chat(endpoint: Endpoint, **more: float) -> OpenAIChat:
    return OpenAIChat(base_url=endpoint.url, api_key="k", model="m", deadline_s=more.get("deadline_s", 30.0), budget=2)


async def test_the_answer_comes_back_and_secrets_stay_here(endpoint: Endpoint):
    endpoint.answers = [said('{"order": []}')]
    assert await chat(endpoint).ask("be brief", "why did password=hunter2 fail") == '{"order": []}'
    assert "hunter2" not in endpoint.bodies[0]


async def test_a_failing_endpoint_is_asked_once_more(endpoint: Endpoint):
    endpoint.answers = [(500, "{}"), said("{}")]
    assert await chat(endpoint).ask("a", "b") == "{}"
    assert len(endpoint.bodies) == 2


async def test_what_keeps_failing_is_unavailable(endpoint: Endpoint):
    endpoint.answers = [(500, "{}"), (429, "{}")]
    with pytest.raises(Unavailable):
        await chat(endpoint).ask("a", "b")


async def test_a_silent_endpoint_is_given_up_at_the_deadline(endpoint: Endpoint):
    endpoint.answers = [None, None, None]
    began = asyncio.get_running_loop().time()
    with pytest.raises(Unavailable):
        await chat(endpoint, deadline_s=0.5).ask("a", "b")
    assert asyncio.get_running_loop().time() - began < 20.0


async def test_a_cut_answer_is_no_answer(endpoint: Endpoint):
    endpoint.answers = [said('{"order": [0', "length"), said('{"order": [0', "length")]
    with pytest.raises(Unavailable):
        await chat(endpoint).ask("a", "b")


async def test_the_budget_of_calls_holds(endpoint: Endpoint):
    endpoint.answers = [said("{}"), said("{}"), said("{}")]
    asked = chat(endpoint)
    await asked.ask("a", "b")
    await asked.ask("a", "b")
    with pytest.raises(Unavailable, match="budget"):
        await asked.ask("a", "b")
