"""What holds for every test: nothing leaves loopback, and generated cases are the same on every run."""

import ipaddress
import sys

from hypothesis import settings

# A deadline per example would measure the machine's load; the cases are derived from the test's name, not drawn anew.
settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")


def _is_loopback(host: object) -> bool:
    if host in {"localhost", b"localhost"}:
        return True
    try:
        return ipaddress.ip_address(str(host)).is_loopback
    except ValueError:
        return False


def _keep_to_loopback(event: str, arguments: tuple[object, ...]) -> None:
    """Refuse to connect, bind or look up beyond loopback; Unix sockets have a path, not a pair, and pass."""
    if event in {"socket.connect", "socket.bind", "socket.sendto"}:
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else "localhost"
    elif event == "socket.getaddrinfo":
        host = arguments[0] or "localhost"
    else:
        return
    if not _is_loopback(host):
        message = f"a test tried to leave loopback: {event} {host!r}"
        raise RuntimeError(message)


sys.addaudithook(_keep_to_loopback)
