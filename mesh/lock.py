"""The exclusive lock on a state folder: one process owns an embedded store, so two loops never run over it."""

import fcntl
import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from domain.base import Frozen
from domain.errors import Unavailable

LOCK, SERVER = "lock", "server.json"


class ServerAddress(Frozen):
    """Where the server that holds the lock listens."""

    url: str
    pid: int


@contextmanager
def exclusive(home: Path) -> Generator[None]:
    """Hold the state folder's lock. Raises Unavailable naming the holder when another process has it."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (home / LOCK).open("a+", encoding="utf-8") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            handle.seek(0)
            holder = handle.read().strip() or "unknown"
            raise Unavailable(
                f"{home} is in use by process {holder}; stop it or wait", reason="store_locked"
            ) from error
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        yield


@contextmanager
def announced(home: Path, url: str) -> Generator[None]:
    """Tell the command line where the server listens, for as long as it does."""
    path = home / SERVER
    path.write_text(ServerAddress(url=url, pid=os.getpid()).model_dump_json(), encoding="utf-8")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def running_server(home: Path) -> ServerAddress | None:
    """Return the address of the live server of this state folder, if there is one."""
    path = home / SERVER
    if not path.exists():
        return None
    address = ServerAddress.model_validate(json.loads(path.read_text(encoding="utf-8")))
    try:
        os.kill(address.pid, 0)
    except ProcessLookupError:
        return None
    return address
