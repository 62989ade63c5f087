"""Where a webhook may lead: nowhere inside, whatever a name resolves to, now or the second time it is asked."""

import asyncio

import httpx
import pytest

from domain.errors import Unavailable
from domain.subscriptions import inside
from mesh.outside import PinnedTransport, outside

NAME = "hooks.example.net"
OUTSIDE = ("93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946")
INSIDE = (
    "127.0.0.1", "127.8.8.8", "::1", "0.1.2.3", "::", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1",
    "169.254.169.254", "169.254.1.1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "224.0.0.1",
    "239.255.255.250", "ff02::1", "ff0e::1", "255.255.255.255", "240.0.0.1", "192.0.2.1", "198.18.0.1", "192.0.0.192",
    "168.63.129.16", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1",
    "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2002:a9fe:a9fe::",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2", "no address",
)  # fmt: skip


class Recording(httpx.AsyncBaseTransport):
    """Answers everything, and remembers what it was to connect to."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return httpx.Response(204)


class Resolver:
    """Answers a name with one list after the other."""

    def __init__(self, *answers: tuple[str, ...]) -> None:
        self.answers, self.asked = list(answers), 0

    async def __call__(self, host: str, port: int) -> tuple[str, ...]:
        self.asked += 1
        if not self.answers:
            raise OSError("no such name")
        return self.answers.pop(0)


async def sent(resolver: Resolver, url: str = f"https://{NAME}/in", *, loopback_too: bool = False) -> Recording:
    below = Recording()
    transport = PinnedTransport(below, resolver, loopback_too=loopback_too)
    async with httpx.AsyncClient(transport=transport, trust_env=False) as http:
        await http.post(url, content=b"x")
    return below


@pytest.mark.parametrize("address", INSIDE)
async def test_a_name_that_leads_inside_is_answered_like_one_that_leads_nowhere(address: str) -> None:
    assert inside(address)
    said: set[tuple[str, str]] = set()
    for resolver in (Resolver((address,)), Resolver((OUTSIDE[0], address)), Resolver()):
        with pytest.raises(Unavailable) as error:
            await sent(resolver)
        said.add((str(error.value), error.value.reason))
    assert len(said) == 1
    assert said.pop()[1] == "unresolvable"


@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.1", "[::1]", "[::ffff:169.254.169.254]", "[fd00::1]"])
async def test_an_address_inside_is_refused_before_anything_is_sent(host: str) -> None:
    with pytest.raises(Unavailable) as error:
        await sent(Resolver((OUTSIDE[0],)), f"https://{host}/")
    assert error.value.reason == "refused_address"


async def test_the_name_of_this_machine_leads_nowhere_by_the_systems_own_resolver() -> None:
    below = Recording()
    async with httpx.AsyncClient(transport=PinnedTransport(below), trust_env=False) as http:
        with pytest.raises(Unavailable):
            await http.get("https://localhost/")
    assert below.requests == []


@pytest.mark.parametrize("address", OUTSIDE)
async def test_the_connection_goes_to_the_address_that_was_checked_under_the_name(address: str) -> None:
    resolver = Resolver((address,), ("127.0.0.1",))
    (request,) = (await sent(resolver, f"https://{NAME}:8443/in")).requests
    assert resolver.asked == 1  # a second answer, which leads inside, is never asked for
    assert (request.url.host, request.url.port) == (address, 8443)
    assert request.headers["host"] == f"{NAME}:8443"
    assert request.extensions["sni_hostname"] == NAME


async def test_this_machine_is_a_receiver_by_an_explicit_setting_only() -> None:
    (request,) = (await sent(Resolver(("127.0.0.1",)), loopback_too=True)).requests
    assert request.url.host == "127.0.0.1"
    with pytest.raises(Unavailable):
        await sent(Resolver(("10.0.0.1",)), loopback_too=True)


async def test_a_real_listener_is_reached_by_the_setting_and_no_redirect_is_followed() -> None:
    met: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        met.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 307 T\r\nLocation: http://127.0.0.1:1/\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with outside(loopback_too=True) as http:
            assert (await http.get(url)).status_code == 307
        async with outside() as http:
            with pytest.raises(Unavailable):
                await http.get(url)
    assert len(met) == 1
