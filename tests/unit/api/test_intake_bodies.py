"""A body is counted while it is read: nobody makes us hold, or unpack, more than the limit."""

import gzip

import pytest
from starlette.requests import Request

from api.intake.bodies import gunzip, read_body
from domain.intake import RefusedInput

MIB = 1024 * 1024


class Sender:
    """Offers 64 chunks of 1 MiB and counts how many were asked for."""

    def __init__(self, **headers: str) -> None:
        self.pulled = 0
        named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        self.request = Request({"type": "http", "method": "POST", "path": "/", "headers": named}, self.receive)

    async def receive(self) -> dict[str, object]:
        self.pulled += 1
        return {"type": "http.request", "body": b"x" * MIB, "more_body": self.pulled < 64}


async def test_a_declared_giant_is_refused_unread() -> None:
    sender = Sender(content_length=str(10 * MIB))
    refused = await read_body(sender.request, 4 * MIB)
    assert isinstance(refused, RefusedInput)
    assert (refused.reason, refused.size, sender.pulled) == ("too_large", 10 * MIB, 0)


@pytest.mark.parametrize("headers", [{}, {"content_length": "17"}, {"content_length": "-1"}])
async def test_an_undeclared_or_understated_giant_is_cut_off(headers: dict[str, str]) -> None:
    sender = Sender(**headers)
    refused = await read_body(sender.request, 4 * MIB)
    assert isinstance(refused, RefusedInput)
    assert (refused.reason, refused.size, sender.pulled, len(refused.body)) == ("too_large", 5 * MIB, 5, 4096)


def test_a_gzip_bomb_is_never_unpacked_beyond_the_limit() -> None:
    refused = gunzip(gzip.compress(b"a" * 100 * MIB), MIB)
    assert isinstance(refused, RefusedInput)
    assert (refused.reason, len(refused.body)) == ("too_large", 4096)
    assert gunzip(gzip.compress(b"a" * MIB), MIB) == b"a" * MIB
