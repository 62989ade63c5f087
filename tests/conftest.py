"""What holds for every test: nothing leaves loopback, and generated cases are the same on every run."""

import ipaddress
import itertools
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from storage.engine import Database
from tests.postgres import begin_session, end_session, session_server

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


_OWN_SERVER = pytest.StashKey[Path | None]()
_NUMBERS = itertools.count()


def pytest_configure(config: pytest.Config) -> None:
    """The session's first process names the PostgreSQL folder; workers inherit the name."""
    config.stash[_OWN_SERVER] = begin_session()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Whoever named it stops the server, if one was ever started."""
    folder = config.stash.get(_OWN_SERVER, None)
    if folder is not None:
        end_session(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a store without tables, once for each database we support. The second is a real PostgreSQL."""
    yield from _fresh(request.param, tmp_path, tables=False)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a store with every table, fresh for the test, for processes that open it themselves."""
    yield from _fresh(request.param, tmp_path, tables=True)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A store with every table, fresh for the test."""
    store = Database(database_url)
    yield store
    store.close()


def _fresh(kind: str, folder: Path, *, tables: bool) -> Iterator[str]:
    if kind == "postgresql":
        name = f"t{os.getpid()}_{next(_NUMBERS)}"
        server = session_server()
        yield server.fresh(name, tables=tables)
        server.drop(name)
        return
    url = f"sqlite:///{folder}/store.db"
    if tables:
        store = Database(url)
        store.create()
        store.close()
    yield url
