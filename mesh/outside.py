"""Connections to addresses that tenants name: resolved once, every address checked, pinned to the one that was checked.

A name that leads inside is answered like one that leads nowhere, so that no tenant learns which names there are inside.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from ipaddress import ip_address

import httpx

from domain.errors import Unavailable
from domain.subscriptions import inside, loopback

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns every address of a name. Raises OSError where there is none."""


@cache
def _trusted() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)


def outside(*, loopback_too: bool = False) -> httpx.AsyncClient:
    """Return a client to receivers elsewhere: no proxy, no redirect, nothing inside.

    The trust store is read once, and not before it is needed.
    """
    inner = httpx.AsyncHTTPTransport(verify=_trusted(), trust_env=False)
    pinned = PinnedTransport(inner, loopback_too=loopback_too)
    return httpx.AsyncClient(transport=pinned, trust_env=False, follow_redirects=False)


async def resolved(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True, slots=True)
class PinnedTransport(httpx.AsyncBaseTransport):
    """Sends a request to an address that was checked, under the name that was asked for.

    The certificate is verified against the name. A second look at the name, which could answer otherwise, never
    happens.
    """

    inner: httpx.AsyncBaseTransport
    resolve: Resolve = resolved
    loopback_too: bool = field(default=False, kw_only=True)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request. Raises Unavailable with reason `unresolvable` or `refused_address`."""
        host = request.url.host
        address = await self._checked(host, request.url.port or (443 if request.url.scheme == "https" else 80))
        pinned = httpx.Request(
            request.method, request.url.copy_with(host=address), headers=request.headers, stream=request.stream,
            extensions={**request.extensions, "sni_hostname": host},
        )  # fmt: skip
        return await self.inner.handle_async_request(pinned)

    async def aclose(self) -> None:
        """Close what lies below."""
        await self.inner.aclose()

    async def _checked(self, host: str, port: int) -> str:
        if _literal(host):
            if self._refuses(host):
                raise Unavailable("addresses inside are no receivers", reason="refused_address")
            return host
        try:
            addresses = await self.resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise Unavailable("the name leads nowhere outside", reason="unresolvable") from error
        if not addresses or any(self._refuses(address) for address in addresses):
            raise Unavailable("the name leads nowhere outside", reason="unresolvable")
        return addresses[0]

    def _refuses(self, address: str) -> bool:
        return not (self.loopback_too and loopback(address)) if loopback(address) else inside(address)


def _literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
